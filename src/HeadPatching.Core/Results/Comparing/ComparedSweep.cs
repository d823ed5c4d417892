using HeadPatching.Core.Patching;

namespace HeadPatching.Core.Results.Comparing;

/// <summary>One of two sweeps that are held against each other.</summary>
/// <param name="Result">Its result.</param>
/// <param name="Pairs">Its pairs one by one; null where they are not at hand, and there can be no intervals.</param>
public sealed record ComparedSweep(SweepResult Result, IPairSource? Pairs)
{
    /// <summary>A sweep whose result holds every pair, as one of up to <see cref="SweepResult.MostPairs"/> does.</summary>
    public static ComparedSweep Of(SweepResult result) =>
        new(result, result.Pairs.Count == result.Dataset.Pairs ? new PairsOfResult(result) : null);
}

/// <summary>The numbers of a sweep's pairs, read anew each time.</summary>
public interface IPairSource
{
    /// <summary>The pairs' indices in the dataset, in the order in which they are read.</summary>
    IAsyncEnumerable<int> IndicesAsync(CancellationToken cancellationToken = default);

    /// <summary>Every pair at some places.</summary>
    IAsyncEnumerable<PairNumbers> ReadAsync(IReadOnlyList<ComparedPlace> places, CancellationToken cancellationToken = default);
}

/// <summary>The numbers of a pair.</summary>
/// <param name="Index">Its index in the dataset.</param>
/// <param name="Baseline">Its unpatched metrics.</param>
/// <param name="Patched">By place the metrics of its patched runs, [layer, head]; null at a place that it does not have.</param>
public sealed record PairNumbers(int Index, Baseline Baseline, IReadOnlyList<double[]?> Patched);

/// <summary>Where the patches were made whose effects are compared.</summary>
/// <param name="Position">Counted from the end; null where the place is a role, or all that was patched.</param>
/// <param name="Role">The role; null where the place is a position, or all that was patched.</param>
public sealed record ComparedPlace(int? Position, string? Role)
{
    /// <summary>All that was patched, where there are no places to tell apart.</summary>
    public static ComparedPlace Whole { get; } = new(null, null);
}

/// <summary>The pairs that a result holds itself.</summary>
internal sealed class PairsOfResult : IPairSource
{
    private readonly SweepResult _result;

    public PairsOfResult(SweepResult result)
    {
        _result = result;
    }

    public IAsyncEnumerable<int> IndicesAsync(CancellationToken cancellationToken = default) => _result.Pairs.Select(pair => pair.Index).ToAsyncEnumerable();

    public IAsyncEnumerable<PairNumbers> ReadAsync(IReadOnlyList<ComparedPlace> places, CancellationToken cancellationToken = default) =>
        _result.Pairs.Select(pair => new PairNumbers(pair.Index, new Baseline(pair.CleanMetric, pair.CorruptedMetric), [.. places.Select(place => At(pair, place))])).ToAsyncEnumerable();

    private static double[]? At(PairResult pair, ComparedPlace place)
    {
        if (place == ComparedPlace.Whole)
        {
            return Flat(pair.PatchedMetric);
        }

        if (place.Role is string role && pair.PatchedMetricByRole is { } byRole)
        {
            return Flat(byRole.GetValueOrDefault(role));
        }

        int? position = place.Position is int fromEnd ? pair.CleanTokens.Count + fromEnd
            : pair.Roles?.TryGetValue(place.Role!, out int at) == true ? at : null;
        return position is >= 0 && position < pair.CleanTokens.Count && pair.PatchedMetricByPosition is { } byPosition
            ? [.. byPosition.SelectMany(layer => layer.ElementAtOrDefault(position.Value) ?? [])]
            : null;
    }

    private static double[]? Flat(double[][]? table) => table is null ? null : [.. table.SelectMany(row => row)];
}
