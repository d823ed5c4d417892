using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Patching.Interventions;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Bands;

/// <summary>The changed streams of one layer's patches, as they join a suffix run.</summary>
/// <param name="Layer">The layer.</param>
/// <param name="Point">The point of the stream that is changed.</param>
/// <param name="Runs">How many patches.</param>
/// <param name="From">The changed streams from a position on: position -> [runs, pairs, positions from it, d_model].</param>
public sealed record JoiningStreams(int Layer, StreamPoint Point, int Runs, Func<int, Tensor> From);

/// <summary>
/// The rest of the model, from changed residual streams to the last position's final residual: the part that all patches share. It
/// computes only what can differ from the run that is patched, and that is exact, not an approximation:
/// <list type="bullet">
/// <item>Each stream joins at the layer and point at which it is changed; nothing before it is run. From there on all streams go through
/// the layers together, so that a layer's weights and the keys and values of earlier positions are read once for all of them.</item>
/// <item>Positions before the first changed one keep the patched run's keys and values; nothing else of them is needed, for attention is
/// causal.</item>
/// <item>In the last layer only keys and values are needed at every position; query, MLP and what follows only at the last.</item>
/// </list>
/// </summary>
/// <param name="model">The model.</param>
/// <param name="pairs">How many pairs each patch is run on.</param>
/// <param name="start">The first changed position.</param>
/// <param name="length">Positions of the prompt.</param>
/// <param name="before">Keys and values of a layer before <paramref name="start"/> in the run that is patched; not asked for where it is 0.</param>
/// <param name="tile">How many patched prompts a thread computes at a time: what a layer makes of them lies in the cache, or fits the device.</param>
/// <param name="cancellation">Looked at before each of these steps.</param>
public sealed class SuffixRun(
    Transformer model, int pairs, int start, int length, Func<int, KeysValues> before, int tile = int.MaxValue, CancellationToken cancellation = default)
{
    /// <summary>Runs to the end.</summary>
    /// <param name="joining">The streams, first layer first.</param>
    /// <returns>resid_post of the last layer at the last position, in the order of <paramref name="joining"/>, [runs, pairs, d_model]</returns>
    public Tensor Run(IReadOnlyList<JoiningStreams> joining)
    {
        using var scope = NewDisposeScope();
        Tensor? final = null;
        LayerPass.Run([Steps(joining, ends => final = ends)]);
        return final!.MoveToOuterDisposeScope();
    }

    /// <summary>Runs to the end, in a pass over the layers that others may share (<see cref="LayerPass"/>).</summary>
    /// <param name="joining">The streams, first layer first.</param>
    /// <param name="ended">Given resid_post of the last layer at the last position, as <see cref="Run"/> gives it; it is in the caller's dispose scope.</param>
    /// <returns>Each layer before it is gone through.</returns>
    internal IEnumerable<int> Steps(IReadOnlyList<JoiningStreams> joining, Action<Tensor> ended)
    {
        int last = model.Config.Layers - 1;
        bool normOfSum = model.Config.NormPlace == NormPlace.AfterSum;
        Tensor streams = Empty(joining.Where(BeforeTheEnd).Sum(one => one.Runs), length - start); // [runs, pairs, positions from start, d_model]
        Tensor ends = Empty(joining.Sum(one => one.Runs), 1);                 // the last position after the last layer's attention, [runs, pairs, 1, d_model]
        int alive = 0;                                                        // runs that have joined
        for (int layer = joining[0].Layer; layer <= last; layer++)
        {
            yield return layer;
            using var layerScope = NewDisposeScope();
            alive += Join(streams, layer, StreamPoint.Pre);
            Attention(layer, streams, ends);
            Tensor after = layer == last ? ends : streams;
            alive += Join(after, layer, StreamPoint.Mid);
            Mlp(layer, after);
            alive += Join(after, layer, StreamPoint.Post);
        }

        streams.Dispose();
        ended(ends.squeeze(2));

        bool BeforeTheEnd(JoiningStreams one) => one.Layer < last || one.Point == StreamPoint.Pre;

        Tensor Empty(int runs, int positions) => empty([runs, pairs, positions, model.Config.Width], dtype: model.StreamDtype, device: model.Device);

        int Join(Tensor into, int layer, StreamPoint point)
        {
            int joined = 0;
            foreach (JoiningStreams one in joining.Where(one => one.Layer == layer && one.Point == point))
            {
                using var joinScope = NewDisposeScope();
                into.narrow(0, alive + joined, one.Runs).copy_(one.From(length - (int)into.shape[2]));
                joined += one.Runs;
            }

            return joined;
        }

        // resid_pre -> resid_mid, in place; in the last layer at the last position only. Where the blocks are parallel, to resid_post.
        void Attention(int layer, Tensor from, Tensor to)
        {
            KeysValues? earlier = alive > 0 && start > 0 ? before(layer) : null; // [pairs, key/value heads, start, d_head]
            InTiles(tile, (run, runs, pair, count) =>
            {
                Tensor pre = Tile(from, run, runs, pair, count);              // [runs * count, positions, d_model]
                Tensor? k = earlier?.K.narrow(0, pair, count), v = earlier?.V.narrow(0, pair, count);
                if (layer < last)
                {
                    var (q, ownK, ownV) = model.QueryKeyValue(layer, pre);    // [runs * count, heads or key/value heads, positions, d_head]
                    Tensor written = model.AttentionOut(layer, model.Attend(layer, q, PromptTiles.WithEarlier(k, ownK, runs), PromptTiles.WithEarlier(v, ownV, runs)));
                    AddAttention(layer, pre, model.Config.ParallelResidual ? written.AddInPlace(model.MlpOut(layer, pre)) : written);
                }
                else
                {
                    Tensor normed = model.AttentionNorm(layer, pre);
                    var (ownK, ownV) = model.KeyValue(layer, normed);
                    Tensor q = model.Query(layer, LastPosition(normed));      // [runs * count, heads, 1, d_head]
                    Tensor written = model.AttentionOut(layer, model.Attend(layer, q, PromptTiles.WithEarlier(k, ownK, runs), PromptTiles.WithEarlier(v, ownV, runs)));
                    Tensor end = Tile(to, run, runs, pair, count).copy_(LastPosition(pre));
                    AddAttention(layer, end, model.Config.ParallelResidual ? written.AddInPlace(model.MlpOut(layer, LastPosition(pre))) : written);
                }
            });
        }

        // resid_mid -> resid_post, in place.
        void Mlp(int layer, Tensor resid)
        {
            if (!model.Config.ParallelResidual)
            {
                // Of one position of each prompt there are as many more.
                InTiles((int)Math.Min(int.MaxValue, (long)tile * (length - start) / resid.shape[2]), (run, runs, pair, count) =>
                {
                    Tensor mid = Tile(resid, run, runs, pair, count);         // [runs * count, positions, d_model]
                    mid.AddInPlace(model.MlpOut(layer, mid));
                    if (normOfSum)
                    {
                        mid.copy_(model.ResidPost(layer, mid));
                    }
                });
            }
        }

        void AddAttention(int layer, Tensor pre, Tensor written)
        {
            pre.AddInPlace(written);
            if (normOfSum)
            {
                pre.copy_(model.ResidMid(layer, pre));
            }
        }

        void InTiles(int prompts, Action<int, int, int, int> compute) => PromptTiles.ForEach(alive, pairs, prompts, compute, cancellation);

        // A view: what is written into it is written into the streams. [runs, pairs, ..] -> [runs * count, ..]
        static Tensor Tile(Tensor streams, int run, int runs, int pair, int count) => streams.narrow(0, run, runs).narrow(1, pair, count).flatten(0, 1);

        // [rows, positions, d_model] -> [rows, 1, d_model]
        static Tensor LastPosition(Tensor x) => x.narrow(1, x.shape[1] - 1, 1);
    }
}
