using System.Globalization;
using System.Text.Json.Serialization;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;

namespace HeadPatching.Sweeps.Plans;

/// <summary>What memory one activity of a sweep takes at the most, in bytes: on a CPU, or of a GPU beside what a batch of patched runs finds free.</summary>
/// <param name="Streamed">Whether weights are read when they are used.</param>
/// <param name="AllWeights">All weights.</param>
/// <param name="Weights">Those that are in memory at a time.</param>
/// <param name="Activations">A chunk's activations, and what patches make of them.</param>
/// <param name="Streams">The residual streams that go through the layers together.</param>
/// <param name="Step">What a layer makes of those of them that are computed at a time.</param>
/// <param name="Passes">How often the weights are read for a chunk, where they are streamed.</param>
/// <param name="Available">What there is: the host's memory, or a GPU's; null where nobody says.</param>
public sealed record PlannedMemory(bool Streamed, long AllWeights, long Weights, long Activations, long Streams, long Step, int Passes, long? Available)
{
    /// <summary>What the program and its libraries take, about.</summary>
    private const long Program = 320L << 20;

    /// <summary>How many sets of nodes, or edges, go through the layers together, so that the weights are read once for each so many on a chunk; null where they are in memory, or none are patched.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public long? SetsOfPass { get; init; }

    /// <summary>All of it.</summary>
    public long Total => Weights + Activations + Streams + Step + Program;

    /// <summary>Whether it fits.</summary>
    public bool Fits => Available is not long available || Total <= available;

    /// <summary>The memory of one way to have the weights.</summary>
    public static PlannedMemory Of(WeightBytes weights, bool streamed, bool everyToken, bool ofEdges, PatchingBytes patching, int passes, long? available) => new(
        streamed, weights.All, streamed ? weights.Streamed(everyToken, ofEdges) : weights.All, patching.Activations, patching.Streams, patching.Step, passes, available);

    /// <summary>In words, such as <c>914 MiB: weights 424 (2 layers at a time, of 4196), ..</c>.</summary>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{MiB(Total)} MiB: weights {MiB(Weights)}{(Streamed ? $" (streamed, of {MiB(AllWeights)})" : "")}, activations {MiB(Activations)}, streams {MiB(Streams)}, a step {MiB(Step)}, the program {MiB(Program)}");

    internal static long MiB(long bytes) => (bytes + (1 << 20) - 1) >> 20;
}
