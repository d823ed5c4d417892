using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Patching.Interventions;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Circuits;

/// <summary>
/// Whole runs with many nodes patched, many sets and pairs at once: in each layer z = patched ? the source run's z : its own, and so for
/// mlp_out and the embedding. As in <see cref="SuffixRun"/> only what can differ from the patched run is computed: from the first layer that
/// a set of the batch patches, from the first position at which the prompts differ, and in the last layer at the last position only.
/// </summary>
/// <param name="model">The model.</param>
/// <param name="pairs">The chunk's pairs, all of one length.</param>
/// <param name="activations">Both runs' activations of every layer.</param>
/// <param name="direction">Which run is patched with which.</param>
/// <param name="putIn">What heads take instead of the source run's z; null: that. Activations are from the first position on then.</param>
internal sealed class PatchSetRun(Transformer model, IReadOnlyList<TokenPair> pairs, ChunkActivations activations, Direction direction, PutIn? putIn = null) : IDisposable
{
    private readonly PatchedAndSource _runs = new(model, activations, direction);
    private readonly Dictionary<int, Tensor> _putIn = [];                     // by layer, [pairs, heads, position, d_head]
    private readonly int _start = activations.Start;

    /// <summary>What goes through each layer before the sets do: what is put into heads is made once, for whatever passes there are.</summary>
    public IReadOnlyList<IEnumerable<int>> Before()
    {
        if (putIn is null || _putIn.Count == model.Config.Layers)
        {
            return [];
        }

        Free();
        return putIn.Steps(model, pairs, layer => _runs.Patched(layer).Z(_start), (layer, z) => _putIn[layer] = z.DetachFromDisposeScope());
    }

    /// <summary>Runs some sets, in a pass over the layers that others may share (<see cref="LayerPass"/>).</summary>
    /// <param name="sets">The sets; each patches something.</param>
    /// <param name="tile">How many patched prompts a thread computes at a time.</param>
    /// <param name="ended">Given resid_post of the last layer at the last position, [sets, pairs, d_model]; it is in the caller's dispose scope.</param>
    /// <param name="cancellation">Looked at before each tile.</param>
    /// <returns>Each layer before it is gone through.</returns>
    public IEnumerable<int> Steps(IReadOnlyList<PatchSet> sets, int tile, Action<Tensor> ended, CancellationToken cancellation)
    {
        var masks = new Masks(model.Config, model.Device, pairs, sets, _start);
        int last = model.Config.Layers - 1;
        Tensor streams = Empty(pairs[0].Length - _start), ends = Empty(1);    // before the next layer; the last position behind the last, [sets, pairs, positions, d_model]
        for (int layer = masks.FirstLayer(0, sets.Count); layer <= last; layer++)
        {
            yield return layer;
            Through(layer);
        }

        streams.Dispose();
        ended(ends.squeeze(2));

        Tensor Empty(int positions) => empty([sets.Count, pairs.Count, positions, model.Config.Width], dtype: model.StreamDtype, device: model.Device);

        void Through(int layer)
        {
            using var scope = NewDisposeScope();

            // Made before the threads begin: what follows from the cached activations is made when it is first asked for.
            HeadActivations patched = _runs.Patched(layer), source = _runs.Source(layer);
            KeysValues? earlier = _start == 0 ? null : patched.KeysValuesBefore(_start);
            Tensor sourceZ = _putIn.GetValueOrDefault(layer) ?? source.Z(_start);
            Tensor? sourceMlp = masks.Mlps[layer] is null ? null : MlpOut(layer, source);
            PromptTiles.ForEach(sets.Count, pairs.Count, tile, Compute, cancellation);

            void Compute(int set, int count, int pair, int pairCount)
            {
                int first = masks.FirstLayer(set, count);
                if (layer < first)
                {
                    return;
                }

                Tensor resid = layer == first ? Begin() : Tile(streams).flatten(0, 1); // [sets * pairs, positions, d_model]
                Tensor end = layer == last ? End(resid, 1, 1) : resid;        // [sets * pairs, positions or 1, d_model]
                Tensor normed = model.AttentionNorm(layer, resid);
                var (k, v) = model.KeyValue(layer, normed);                   // [sets * pairs, key/value heads, positions, d_head]
                Tensor q = model.Query(layer, End(normed, 1, end.shape[1]));
                Tensor z = model.Attend(                                      // [sets * pairs, heads, positions or 1, d_head]
                    layer, q, PromptTiles.WithEarlier(earlier is null ? null : Pairs(earlier.K), k, count), PromptTiles.WithEarlier(earlier is null ? null : Pairs(earlier.V), v, count));
                z = Replaced(masks.Heads[layer], sourceZ, z.unflatten(0, [count, pairCount]), positions: 3).flatten(0, 1);
                Tensor mid = model.ResidMid(layer, end.Plus(model.AttentionOut(layer, z)));
                Tensor mlp = model.MlpOut(layer, model.Config.ParallelResidual ? end : mid);
                if (sourceMlp is not null)
                {
                    mlp = Replaced(masks.Mlps[layer], sourceMlp, mlp.unflatten(0, [count, pairCount]), positions: 2).flatten(0, 1);
                }

                Tile(layer == last ? ends : streams).copy_(model.ResidPost(layer, mid.Plus(mlp)).unflatten(0, [count, pairCount]));

                // The run that is patched, up to here the same for all sets of the tile.
                Tensor Begin()
                {
                    Tensor pre = Pairs(patched.ResidPre(_start)).unsqueeze(0).expand(count, -1, -1, -1); // [sets, pairs, positions, d_model]
                    return (layer == 0 ? Replaced(masks.Embedding, source.ResidPre(_start), pre, positions: 2) : pre).flatten(0, 1);
                }

                Tensor Pairs(Tensor x) => x.narrow(0, pair, pairCount);

                // A view: what is written into it is written into the streams.
                Tensor Tile(Tensor of) => of.narrow(0, set, count).narrow(1, pair, pairCount);

                // own [sets, pairs, .., positions, width], of the last positions where not all are left
                Tensor Replaced(Tensor? mask, Tensor from, Tensor own, int positions)
                {
                    if (mask is null)
                    {
                        return own;
                    }

                    long left = own.shape[positions];
                    Tensor replaced = mask.narrow(0, set, count);             // [sets, pairs or 1, .., positions or 1]
                    replaced = replaced.shape[1] == 1 ? replaced : replaced.narrow(1, pair, pairCount);
                    replaced = replaced.shape[positions] == 1 ? replaced : End(replaced, positions, left);
                    return where(replaced.unsqueeze(-1), End(Pairs(from), positions - 1, left).unsqueeze(0), own);
                }
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _runs.Dispose();
        Free();
    }

    private void Free()
    {
        foreach (Tensor z in _putIn.Values)
        {
            z.Dispose();
        }

        _putIn.Clear();
    }

    /// <summary>mlp_out of a run, [pairs, positions, d_model].</summary>
    private Tensor MlpOut(int layer, HeadActivations run) =>
        model.MlpOut(layer, run.Stream(model.Config.ParallelResidual ? StreamPoint.Pre : StreamPoint.Mid, _start));

    /// <summary>The last <paramref name="count"/> of a dimension.</summary>
    private static Tensor End(Tensor x, int dimension, long count) => x.narrow(dimension, x.shape[dimension] - count, count);

    /// <summary>Which nodes are patched in which set, pair and position; null where no set patches any.</summary>
    private sealed class Masks
    {
        private readonly int[] _firstLayers;

        public Masks(ModelConfig config, Device device, IReadOnlyList<TokenPair> pairs, IReadOnlyList<PatchSet> sets, int start)
        {
            int length = pairs[0].Length - start;
            _firstLayers = [.. sets.Select(set => set.Nodes.Min(patched => patched.Node.Layer))];
            ILookup<(NodeKind, int), (int Set, PatchedNode Patched)> byPlace = sets
                .SelectMany((set, index) => set.Nodes.Select(patched => (Set: index, Patched: patched)))
                .ToLookup(one => (one.Patched.Node.Kind, one.Patched.Node.Layer));
            Embedding = Of(NodeKind.Embedding, 0, width: 1)?.squeeze(2);
            Heads = [.. Enumerable.Range(0, config.Layers).Select(layer => Of(NodeKind.Head, layer, config.Heads))];
            Mlps = [.. Enumerable.Range(0, config.Layers).Select(layer => Of(NodeKind.Mlp, layer, width: 1)?.squeeze(2))];

            // [sets, pairs or 1, width, positions from start or 1]
            Tensor? Of(NodeKind kind, int layer, int width)
            {
                (int Set, PatchedNode Patched)[] here = [.. byPlace[(kind, layer)]];
                if (here.Length == 0)
                {
                    return null;
                }

                bool everywhere = here.All(one => one.Patched.Positions == Positions.All);
                int rows = everywhere ? 1 : pairs.Count, columns = everywhere ? 1 : length;
                bool[] mask = new bool[sets.Count * rows * width * columns];
                foreach (var (set, patched) in here)
                {
                    for (int row = 0; row < rows; row++)
                    {
                        int? only = patched.Positions.Role is string role ? pairs[row].PositionOf(role)
                            : patched.Positions.Index is int index ? (index < 0 ? pairs[row].Length + index : index)
                            : null;
                        for (int column = 0; column < columns; column++)
                        {
                            if (patched.Positions == Positions.All || only == start + column)
                            {
                                mask[(((((set * rows) + row) * width) + patched.Node.Head) * columns) + column] = true;
                            }
                        }
                    }
                }

                return tensor(mask, device: device).reshape(sets.Count, rows, width, columns);
            }
        }

        /// <summary>[sets, pairs or 1, positions or 1]</summary>
        public Tensor? Embedding { get; }

        /// <summary>By layer, [sets, pairs or 1, heads, positions or 1].</summary>
        public Tensor?[] Heads { get; }

        /// <summary>By layer, [sets, pairs or 1, positions or 1].</summary>
        public Tensor?[] Mlps { get; }

        /// <summary>The first layer that any of some sets patches.</summary>
        public int FirstLayer(int set, int count) => _firstLayers[set..(set + count)].Min();
    }
}
