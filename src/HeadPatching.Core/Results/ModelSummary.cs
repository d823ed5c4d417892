using System.Text.Json.Serialization;

namespace HeadPatching.Core.Results;

/// <summary>The model of a result.</summary>
/// <param name="Name">The name or folder name it was asked for by.</param>
/// <param name="Fingerprint">SHA-256 of its configuration and weights, in hexadecimal.</param>
/// <param name="Layers">Number of layers.</param>
/// <param name="Heads">Heads a layer: the heatmap's columns, but with k and v of a grouped-query model and with layers patched as a whole.</param>
/// <param name="Dtype">The type that it was computed in: float32, float64, bfloat16 or float16.</param>
/// <param name="Device">cpu or cuda.</param>
public sealed record ModelSummary(string Name, string Fingerprint, int Layers, int Heads, string Dtype, string Device)
{
    /// <summary>Key/value heads a layer, as many as the heatmap's columns with k and v; absent where each head has its own.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? KeyValueHeads { get; init; }

    /// <summary>d_model, the width of the residual stream; absent in results of before it was noted.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Width { get; init; }

    /// <summary>Whether attention and MLP of a block stand side by side, both reading resid_pre; absent in results of before it was noted.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? ParallelResidual { get; init; }
}
