using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Ablations;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Circuits;

/// <summary>What the heads of a set take instead of the other run's z.</summary>
/// <param name="Ablation">Which ablation.</param>
public sealed record PutIn(Ablation Ablation)
{
    /// <summary>Of mean and resample ablation, what each pair is given of all pairs of the sweep.</summary>
    public AblationPlan? Plan { get; init; }

    /// <summary>Of mean ablation, the sums that means are taken from, by layer (<see cref="MeanZ.Sums"/>), [heads, place, d_head] float64.</summary>
    public IReadOnlyList<Tensor> Sums { get; init; } = [];

    /// <summary>What is put in, by layer, [pairs, heads, position, d_head]; the caller's.</summary>
    /// <param name="model">The model.</param>
    /// <param name="pairs">Pairs of one length.</param>
    /// <param name="own">z of a layer in the run that is patched, from the first position on.</param>
    internal IReadOnlyList<Tensor> Z(Transformer model, IReadOnlyList<TokenPair> pairs, Func<int, Tensor> own)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        ChunkAblation? given = Plan?.For(pairs);
        int layers = model.Config.Layers;
        return Ablation == Ablation.Resample
            ? given!.Resampled(model, 0, layers)
            : [.. Enumerable.Range(0, layers).Select(layer => Ablation switch
            {
                Ablation.Zero => zeros_like(own(layer)).DetachFromDisposeScope(),
                Ablation.ValueBias => model.ValueBias(layer).expand(own(layer).shape).clone().DetachFromDisposeScope(),
                _ => given!.Mean(Sums[layer], own(layer)),
            })];
    }
}
