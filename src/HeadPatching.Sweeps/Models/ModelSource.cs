using System.Text.Json.Serialization;

namespace HeadPatching.Sweeps.Models;

/// <summary>What it takes to have a model in memory, on whatever worker.</summary>
/// <param name="Model">Its name in the catalog.</param>
/// <param name="Fingerprint">What its files must hold (<see cref="Core.Models.ModelFingerprint"/>).</param>
/// <param name="Dtype">float32, float64, bfloat16 or float16.</param>
/// <param name="Device">cpu or cuda.</param>
public sealed record ModelSource(string Model, string Fingerprint, string Dtype, string Device)
{
    /// <summary>Whether its layers are read when they are used instead of held. It changes no number, and so is no part of any key.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Streamed { get; init; }

    /// <summary>Whether it computes on a GPU.</summary>
    [JsonIgnore]
    public bool IsOnGpu => Device != "cpu";
}
