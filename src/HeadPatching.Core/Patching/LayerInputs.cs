using HeadPatching.Core.Metrics;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching;

/// <summary>What patching one layer over a chunk of pairs starts from.</summary>
public sealed record LayerInputs
{
    /// <summary>The layer.</summary>
    public required int Layer { get; init; }

    /// <summary>The chunk's pairs, all of one length, and what a metric may need of them.</summary>
    public required MeasuredPairs Measured { get; init; }

    /// <summary>The pairs' unpatched metrics: the result where a patch cannot change anything.</summary>
    public required IReadOnlyList<Baseline> Baselines { get; init; }

    /// <summary>The layer's activations over the pairs.</summary>
    public required LayerActivations Activations { get; init; }

    /// <summary>Keys and values of all later layers in the run that is patched, the next one first.</summary>
    public required IReadOnlyList<KeysValues> Later { get; init; }

    /// <summary>With mean and resample ablation, the z that is put in (<see cref="Ablations.AblationPlan"/>), [pairs, heads, position, d_head].</summary>
    public Tensor? AblatedZ { get; init; }

    /// <summary>The heads to patch; null: all. The others' metric stays the unpatched one.</summary>
    public IReadOnlyList<int>? OnlyHeads { get; init; }
}
