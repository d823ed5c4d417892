using HeadPatching.Core.Patching.Caching;

namespace HeadPatching.Core.Patching;

/// <summary>The patched runs of one layer over a chunk of pairs.</summary>
/// <param name="Layer">The layer.</param>
/// <param name="PairIndices">The pairs, by their index in the dataset.</param>
/// <param name="PatchedMetric">
/// The metric of every patched run, [pair][row][head]: the rows are those of <see cref="Positions.In"/>, one where not each position or role is
/// patched in turn, and with each role not as many in every pair.
/// </param>
/// <param name="PatchedRuns">How many patched runs were made.</param>
/// <param name="Seconds">How long it took.</param>
/// <exception cref="Faults.InvalidInputException">A metric is not finite: the numbers of that run grew beyond what its type can hold.</exception>
public sealed record LayerPatches(int Layer, IReadOnlyList<int> PairIndices, double[][][] PatchedMetric, long PatchedRuns, double Seconds)
{
    /// <summary>The metric of every patched run, [pair][position][head]; all of them are finite.</summary>
    public double[][][] PatchedMetric { get; init; } = FiniteNumbers.Checked(PatchedMetric, Layer, PairIndices);
}
