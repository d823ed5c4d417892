using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching.Caching;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Interventions;

/// <summary>Replaces what a layer writes or reads as a whole: attn_out, mlp_out or the residual stream at a point.</summary>
public sealed class LayerComponent : ILayerPatch
{
    private readonly Patch _patch;

    /// <summary>Makes the patch.</summary>
    /// <exception cref="ArgumentOutOfRangeException">Not a patch of a layer as a whole.</exception>
    public LayerComponent(Patch patch)
    {
        _patch = patch.IsOfLayer() ? patch : throw new ArgumentOutOfRangeException(nameof(patch), patch, "It is made head by head.");
    }

    /// <inheritdoc/>
    public string Hook => _patch switch
    {
        Patch.AttnOut => "hook_attn_out",
        Patch.MlpOut => "hook_mlp_out",
        Patch.ResidPre => "hook_resid_pre",
        Patch.ResidMid => "hook_resid_mid",
        _ => "hook_resid_post",
    };

    /// <inheritdoc/>
    public bool OnlyOwnPosition => true;

    /// <inheritdoc/>
    public bool IsBeforeAttention => _patch == Patch.ResidPre;

    /// <inheritdoc/>
    public StreamPoint Point(ModelConfig config) => _patch switch
    {
        Patch.AttnOut => config.ParallelResidual ? StreamPoint.Post : StreamPoint.Mid,
        Patch.ResidPre => StreamPoint.Pre,
        Patch.ResidMid => StreamPoint.Mid,
        _ => StreamPoint.Post,
    };

    /// <inheritdoc/>
    public Func<int[], Tensor> Change(Transformer model, int layer, HeadActivations source, HeadActivations patched, Tensor? where, int start)
    {
        Tensor change = StreamWith(source) - StreamWith(patched);             // [pairs, count, d_model]
        if (where is not null)
        {
            change = change * where.From(start).unsqueeze(-1);
        }

        return _ => change.unsqueeze(0).clone();

        // Up to what both have in common: where norms are of the stream itself, all of it counts.
        Tensor StreamWith(HeadActivations run)
        {
            Tensor component = Component(model, layer, run, start);
            return (_patch, model.Config.NormPlace) switch
            {
                (Patch.AttnOut, NormPlace.AfterSum) => model.ResidMid(layer, patched.ResidPre(start).Plus(component)),
                (Patch.MlpOut, NormPlace.AfterSum) => model.ResidPost(layer, patched.Stream(StreamPoint.Mid, start).Plus(component)),
                _ => component,
            };
        }
    }

    /// <summary>The component in one run, from a position on, [pairs, positions, d_model].</summary>
    private Tensor Component(Transformer model, int layer, HeadActivations run, int start) => _patch switch
    {
        Patch.AttnOut => model.AttentionOut(layer, run.Z(start)),
        Patch.MlpOut => model.MlpOut(layer, run.Stream(model.Config.ParallelResidual ? StreamPoint.Pre : StreamPoint.Mid, start)),
        _ => run.Stream(Point(model.Config), start),
    };
}
