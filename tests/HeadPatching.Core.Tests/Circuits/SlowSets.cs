using HeadPatching.Core.Circuits;
using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Circuits;

/// <summary>Whole passes with nodes replaced, one prompt and one set at a time and with no shortcut: what patch sets are held against.</summary>
internal static class SlowSets
{
    /// <summary>logit[correct] - logit[incorrect] at the last position with the set's nodes as they are in the other run.</summary>
    public static double LogitDifference(Transformer model, TokenPair pair, PatchSet set, Direction direction)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        bool denoise = direction == Direction.Denoise;
        var source = new Dictionary<(NodeKind, int), Tensor>();
        Run(model, denoise ? pair.Clean : pair.Corrupted, (kind, layer, own) => source[(kind, layer)] = own.clone());
        Tensor logits = Run(model, denoise ? pair.Corrupted : pair.Clean, Replaced);
        return (logits[pair.Correct.Ids[0]] - logits[pair.Incorrect.Ids[0]]).item<double>();

        // [heads or 1, position, width]
        Tensor Replaced(NodeKind kind, int layer, Tensor own)
        {
            bool[] replaced = new bool[own.shape[0] * pair.Length];           // [heads or 1, position]
            foreach (var (node, positions) in set.Nodes.Where(patched => patched.Node.Kind == kind && patched.Node.Layer == layer))
            {
                for (int position = 0; position < pair.Length; position++)
                {
                    int? only = positions.Role is string role ? pair.Roles![role] : positions.Index is int index && index < 0 ? pair.Length + index : positions.Index;
                    replaced[(node.Head * pair.Length) + position] |= only is null || only == position;
                }
            }

            return where(tensor(replaced).reshape(own.shape[0], pair.Length, 1), source[(kind, layer)], own);
        }
    }

    private static Tensor Run(Transformer model, IReadOnlyList<int> ids, Func<NodeKind, int, Tensor, Tensor> hook)
    {
        Tensor resid = hook(NodeKind.Embedding, 0, model.Embed(tensor(ids.Select(id => (long)id).ToArray()).unsqueeze(0)));
        for (int layer = 0; layer < model.Config.Layers; layer++)
        {
            var (q, k, v) = model.QueryKeyValue(layer, resid);
            Tensor z = hook(NodeKind.Head, layer, model.Attend(layer, q, k, v).squeeze(0)).unsqueeze(0);
            Tensor mid = model.ResidMid(layer, resid.Plus(model.AttentionOut(layer, z)));
            Tensor mlp = hook(NodeKind.Mlp, layer, model.MlpOut(layer, model.Config.ParallelResidual ? resid : mid));
            resid = model.ResidPost(layer, mid.Plus(mlp));
        }

        return model.Unembed(model.FinalNorm(resid))[0, -1];
    }
}
