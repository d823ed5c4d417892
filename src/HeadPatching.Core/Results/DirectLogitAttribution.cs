using System.Text.Json.Serialization;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching.Attribution;

namespace HeadPatching.Core.Results;

/// <summary>
/// What each part of the model adds directly to the clean run's metric, beside the patching effects and another thing than these: nothing is patched, and
/// what a part does by way of later ones is not in it. See <see cref="DirectAttribution"/>.
/// </summary>
public sealed record DirectLogitAttribution
{
    /// <summary>What the numbers are, in words; or, where there are none, why.</summary>
    public required string Description { get; init; }

    /// <summary>Means over all pairs of what each head adds, [layer][head], in the metric's unit; absent where there are no numbers.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double[][]? Heads { get; init; }

    /// <summary>What each MLP adds, [layer].</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double[]? Mlps { get; init; }

    /// <summary>What the embeddings add.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Embedding { get; init; }

    /// <summary>What b_O, the norms' shifts and the logits' bias add.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Biases { get; init; }

    /// <summary>All of them together: the clean metric, before any soft cap of the logits.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? Total { get; init; }

    /// <summary>The means over pairs, as a result has them.</summary>
    public static DirectLogitAttribution Of(LogitAttribution mean, IMetric metric) => new()
    {
        Description = $"what each part adds by itself to {metric.Name} of the clean run, through the final norm with its scale held fixed ({metric.Details.Unit})",
        Heads = mean.Heads,
        Mlps = mean.Mlps,
        Embedding = mean.Embedding,
        Biases = mean.Biases,
        Total = mean.Total(),
    };

    /// <summary>That there is none.</summary>
    public static DirectLogitAttribution None(IMetric metric) => new()
    {
        Description = metric.IsLinear
            ? "There is no direct logit attribution: what the parts add is beyond what the model's type can hold."
            : $"There is no direct logit attribution of {metric.Name}: it is not a weighted sum of logits, so no part of the stream adds to it by itself.",
    };
}
