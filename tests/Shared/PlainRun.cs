using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Testing;

/// <summary>A whole forward pass with a hook on z, one prompt at a time and with no shortcut: what the fast way is held against.</summary>
internal static class PlainRun
{
    /// <summary>hook_z of every layer, each [heads, position, d_head], in the caller's dispose scope.</summary>
    public static Tensor[] Z(Transformer model, IReadOnlyList<int> ids)
    {
        var all = new Tensor[model.Config.Layers];
        using var scope = NewDisposeScope();
        Run(model, ids, (layer, z) => all[layer] = z);
        scope.MoveToOuter(all);
        return all;
    }

    /// <summary>logit[correct] - logit[incorrect] at the last position, with each layer's z replaced by what the hook makes of it.</summary>
    public static double LogitDifference(Transformer model, TokenPair pair, IReadOnlyList<int> ids, Func<int, Tensor, Tensor> hook)
    {
        using var scope = NewDisposeScope();
        Tensor logits = Run(model, ids, hook);
        return (logits[pair.Correct.Ids[0]] - logits[pair.Incorrect.Ids[0]]).to(ScalarType.Float64).item<double>();
    }

    private static Tensor Run(Transformer model, IReadOnlyList<int> ids, Func<int, Tensor, Tensor> hook)
    {
        using var mode = inference_mode();
        Tensor resid = model.Embed(tensor(ids.Select(id => (long)id).ToArray()).unsqueeze(0));
        for (int layer = 0; layer < model.Config.Layers; layer++)
        {
            var (q, k, v) = model.QueryKeyValue(layer, resid);
            resid = model.ResidPost(layer, resid, hook(layer, model.Attend(layer, q, k, v).squeeze(0)).unsqueeze(0));
        }

        return model.Unembed(model.FinalNorm(resid))[0, -1];
    }
}
