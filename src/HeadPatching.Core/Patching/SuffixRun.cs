using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching;

/// <summary>
/// The rest of the model, from a changed residual stream to the last position's final residual: the part that all patches share. It
/// computes only what can differ from the run that is patched, and that is exact, not an approximation:
/// <list type="bullet">
/// <item>It starts at the point of the stream that is changed; nothing before it is run.</item>
/// <item>Positions before the first changed one keep that run's keys and values; nothing else of them is needed, for attention is causal.</item>
/// <item>In the last layer only keys and values are needed at every position; query, MLP and what follows only at the last.</item>
/// </list>
/// </summary>
public static class SuffixRun
{
    /// <summary>Runs from a point of <paramref name="layer"/> to the end, many patches in one batch.</summary>
    /// <param name="model">The model.</param>
    /// <param name="layer">The patched layer.</param>
    /// <param name="point">The point of the stream that is changed.</param>
    /// <param name="resid">The changed stream at that point, from the first changed position on, [runs, pairs, positions, d_model].</param>
    /// <param name="keysValues">Keys and values of every layer in the run that is patched, each at all positions of the prompt; those of layers
    /// that are not run may be absent (null).</param>
    /// <returns>resid_post of the last layer at the last position, [runs, pairs, d_model]</returns>
    public static Tensor Run(Transformer model, int layer, StreamPoint point, Tensor resid, IReadOnlyList<KeysValues?> keysValues)
    {
        long runs = resid.shape[0], pairs = resid.shape[1], positions = resid.shape[2];
        int last = model.Config.Layers - 1;
        using var scope = NewDisposeScope();
        Tensor stream = resid.flatten(0, 1);                                  // [runs * pairs, positions, d_model]
        if (layer == last && point != StreamPoint.Pre)
        {
            stream = LastPosition(stream);
        }

        // What a layer writes is a tensor of our own, so the residual stream is added into it instead of into a third one.
        if (point == StreamPoint.Mid)
        {
            stream = model.MlpOut(layer, stream).AddInPlace(stream);
        }

        int next = point == StreamPoint.Pre ? layer : layer + 1;
        for (int l = next; l < last; l++)
        {
            using var layerScope = NewDisposeScope();
            var (q, k, v) = model.QueryKeyValue(l, stream);                   // [runs * pairs, heads or key/value heads, positions, d_head]
            Tensor post = Finish(l, stream, model.Attend(l, q, WithPrefix(keysValues[l]!.K, k), WithPrefix(keysValues[l]!.V, v)));
            stream.Dispose();
            stream = post.MoveToOuterDisposeScope();
        }

        if (next <= last)
        {
            Tensor normed = model.AttentionNorm(last, stream);
            var (k, v) = model.KeyValue(last, normed);
            Tensor q = model.Query(last, LastPosition(normed));               // [runs * pairs, heads, 1, d_head]
            stream = Finish(last, LastPosition(stream), model.Attend(last, q, WithPrefix(keysValues[last]!.K, k), WithPrefix(keysValues[last]!.V, v)));
        }

        return stream.reshape(runs, pairs, -1).MoveToOuterDisposeScope();

        // resid_post from resid_pre and z; [runs * pairs, positions, d_model]
        Tensor Finish(int l, Tensor pre, Tensor z)
        {
            Tensor mid = model.AttentionOut(l, z).AddInPlace(pre);
            return model.MlpOut(l, model.Config.ParallelResidual ? pre : mid).AddInPlace(mid);
        }

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
