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

    /// <summary>Makes what is put in, in a pass over the layers that others may share (<see cref="LayerPass"/>).</summary>
    /// <param name="model">The model.</param>
    /// <param name="pairs">Pairs of one length.</param>
    /// <param name="own">z of a layer in the run that is patched, from the first position on; asked for in its layer.</param>
    /// <param name="take">Given each layer and what is put in there, [pairs, heads, position, d_head], in the caller's dispose scope.</param>
    internal IReadOnlyList<IEnumerable<int>> Steps(Transformer model, IReadOnlyList<TokenPair> pairs, Func<int, Tensor> own, Action<int, Tensor> take)
    {
        ChunkAblation? given = Plan?.For(pairs);
        return Ablation == Ablation.Resample ? given!.Resampling(model, 0, model.Config.Layers, take) : [OfEachLayer()];

        IEnumerable<int> OfEachLayer()
        {
            for (int layer = 0; layer < model.Config.Layers; layer++)
            {
                yield return layer;
                take(layer, Ablation switch
                {
                    Ablation.Zero => zeros_like(own(layer)),
                    Ablation.ValueBias => model.ValueBias(layer).expand(own(layer).shape).clone(),
                    _ => given!.Mean(Sums[layer], own(layer)),
                });
            }
        }
    }
}
