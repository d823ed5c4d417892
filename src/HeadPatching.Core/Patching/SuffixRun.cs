using HeadPatching.Core.Models;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching;

/// <summary>
/// The rest of the model, from a changed resid_mid to the last position's final residual: the part that all patches share. It computes
/// only what can differ from the run that is patched, and that is exact, not an approximation:
/// <list type="bullet">
/// <item>It starts at the patched layer's resid_mid; earlier layers and this layer's attention are not run.</item>
/// <item>Positions before the first changed one keep that run's keys and values; nothing else of them is needed, for attention is causal.</item>
/// <item>In the last layer only keys and values are needed at every position; query, MLP and what follows only at the last.</item>
/// </list>
/// </summary>
public static class SuffixRun
{
    /// <summary>Runs the layers from the middle of <paramref name="layer"/> to the end, many patches in one batch.</summary>
    /// <param name="model">The model.</param>
    /// <param name="layer">The patched layer.</param>
    /// <param name="residMid">Its changed resid_mid from the first changed position on, [runs, pairs, positions, d_model].</param>
    /// <param name="later">Keys and values of the layers after it in the run that is patched, each at all positions of the prompt.</param>
    /// <returns>resid_post of the last layer at the last position, [runs, pairs, d_model]</returns>
    public static Tensor Run(Transformer model, int layer, Tensor residMid, IReadOnlyList<KeysValues> later)
    {
        long runs = residMid.shape[0], pairs = residMid.shape[1], positions = residMid.shape[2];
        int last = model.Config.Layers - 1;
        using var scope = NewDisposeScope();
        Tensor resid = residMid.flatten(0, 1);                                // [runs * pairs, positions, d_model]
        if (layer == last)
        {
            resid = LastPosition(resid);
        }

        // What a layer writes is a tensor of our own, so the residual stream is added into it instead of into a third one.
        resid = model.MlpOut(layer, resid).add_(resid);
        for (int l = layer + 1; l < last; l++)
        {
            using var layerScope = NewDisposeScope();
            var (q, k, v) = model.QueryKeyValue(l, resid);                    // each [runs * pairs, heads, positions, d_head]
            KeysValues unchanged = later[l - layer - 1];
            Tensor z = model.Attend(l, q, WithPrefix(unchanged.K, k), WithPrefix(unchanged.V, v));
            Tensor mid = model.AttentionOut(l, z).add_(resid);
            Tensor post = model.MlpOut(l, mid).add_(mid);
            resid.Dispose();
            resid = post.MoveToOuterDisposeScope();
        }

        if (layer < last)
        {
            Tensor normed = model.AttentionNorm(last, resid);
            var (k, v) = model.KeyValue(last, normed);
            Tensor q = model.Query(last, LastPosition(normed));               // [runs * pairs, heads, 1, d_head]
            KeysValues unchanged = later[last - layer - 1];
            Tensor z = model.Attend(last, q, WithPrefix(unchanged.K, k), WithPrefix(unchanged.V, v));
            resid = model.AttentionOut(last, z).add_(LastPosition(resid));    // [runs * pairs, 1, d_model]
            resid = model.MlpOut(last, resid).add_(resid);
        }

        return resid.reshape(runs, pairs, -1).MoveToOuterDisposeScope();

        // Unchanged keys or values of the positions before, then the run's own: [pairs, ..] and [runs * pairs, ..] -> [runs * pairs, heads, all positions, d_head]
        Tensor WithPrefix(Tensor unchanged, Tensor own)
        {
            long prefix = unchanged.shape[2] - positions;
            return prefix == 0
                ? own
                : cat([unchanged.narrow(2, 0, prefix).unsqueeze(0).expand(runs, -1, -1, -1, -1), own.unflatten(0, [runs, pairs])], 3).flatten(0, 1);
        }
    }

    /// <summary>[rows, positions, d_model] -> [rows, 1, d_model]</summary>
    private static Tensor LastPosition(Tensor x) => x.narrow(1, x.shape[1] - 1, 1);
}
