using System.Text.Json.Serialization;
using HeadPatching.Core.Adaptive;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Results;

/// <summary>The effect over all pairs of one head, or of a layer as a whole.</summary>
/// <param name="Layer">Layer, from 0.</param>
/// <param name="Head">Head, from 0; with k and v of a grouped-query model the key/value head; null where a layer is patched as a whole.</param>
/// <param name="Name">Such as <c>L9H6</c>; <c>L9KV1</c> for a key/value head that serves several heads; <c>L9</c> for a layer.</param>
/// <param name="HookPoint">TransformerLens's name of what was replaced, such as <c>blocks.9.attn.hook_z</c>.</param>
/// <param name="PatchingEffect">0: the patch changed nothing; 1: it made the whole difference between the two runs.</param>
/// <param name="StandardError">Of <paramref name="PatchingEffect"/> over pairs; null with fewer than two pairs.</param>
/// <param name="CleanMetric">Mean of the clean run's metric over all pairs, excluded ones too.</param>
/// <param name="CorruptedMetric">Mean of the corrupted run's metric over all pairs.</param>
/// <param name="PatchedMetric">Mean of the patched run's metric over all pairs.</param>
public sealed record HeadResult(
    int Layer,
    int? Head,
    string Name,
    string HookPoint,
    double PatchingEffect,
    double? StandardError,
    double CleanMetric,
    double CorruptedMetric,
    double PatchedMetric)
{
    /// <summary>
    /// The 95 % interval of the effect over pairs, <c>[low, high]</c>; null with fewer than five pairs. With positions <c>each</c>: of the
    /// effect at <c>position</c>.
    /// </summary>
    public ConfidenceInterval? ConfidenceInterval { get; init; }

    /// <summary>
    /// The interval that together with those of all other heads holds the true effects in 95 of 100 sweeps, <c>[low, high]</c>: by
    /// <c>confidenceInterval</c> some of many heads without an effect have one. Absent with fewer than five pairs.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ConfidenceInterval? JointInterval { get; init; }

    /// <summary>Whether <c>jointInterval</c> leaves out 0 (and the effect is beyond 0.0001, which may be rounding): the head surely has an effect.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? ExcludesZero { get; init; }

    /// <summary>
    /// Whether <c>jointInterval</c> leaves out the <c>threshold</c> on either side of 0: |effect| is surely above it, or surely below, whichever
    /// <c>patchingEffect</c> is.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? ExcludesThreshold { get; init; }

    /// <summary>
    /// How often the head is among the strongest 1, 5, 10 and 20 (as <c>jointIntervals.tops</c> says) where the pairs are drawn again, shares from 0 to 1.
    /// Absent with fewer than five pairs.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<double>? InTop { get; init; }

    /// <summary>Of how many pairs the effect is: those that have <c>position</c> or <c>role</c>, less the <c>excludedPairs</c>; 0 where none is left.</summary>
    public int Pairs { get; init; }

    /// <summary>With the method <c>adaptive</c>: whether |effect| is above the <c>threshold</c>, or not.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Decision? Decision { get; init; }

    /// <summary>
    /// With the method <c>adaptive</c>: the interval that the decision is made by, <c>[low, high]</c>. It holds the effect over all of the sweep's pairs, with those of all other
    /// heads together and however often it was looked at, in as many sweeps as <c>adaptive.confidence</c> says; of a head that was run on all pairs it is the effect itself. It says nothing of other pairs.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ConfidenceInterval? AnytimeInterval { get; init; }

    /// <summary>With the method <c>adaptive</c>: on how many of the <c>pairs</c> the head was run. The metrics here are means over these.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? PairsRun { get; init; }

    /// <summary>With the methods <c>screen</c> and <c>adaptive</c>: the effect as estimated, to be held against <see cref="PatchingEffect"/> where it was run.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? EstimatedEffect { get; init; }

    /// <summary>Whether <see cref="PatchingEffect"/> is an estimate and no run was made for it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Estimated { get; init; }

    /// <summary>
    /// What the head adds directly to the clean run's metric, the mean over all pairs: not an effect of patching, see
    /// <see cref="SweepResult.DirectLogitAttribution"/>. Absent where the metric has none, and for key/value heads and layers.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? DirectLogitAttribution { get; init; }

    /// <summary>
    /// With positions <c>each</c>: the position whose effect this is (the one of largest |effect|), counted from the end: -1 is the last.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Position { get; init; }

    /// <summary>
    /// With positions <c>each-role</c>, and with <c>each</c> where pairs name roles and a position is not the same place in all of them: the role whose
    /// effect this is (the one of largest |effect|).
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Role { get; init; }
}
