using HeadPatching.Core.Circuits;
using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Patching.Interventions;
using HeadPatching.Core.Patching.Paths;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Edges;

/// <summary>
/// The streams that patched edges make: each receiver computes what it does from the stream that it reads, changed by one sender, and writes it
/// into the base run's stream, from where the suffix run goes on. All senders of a receiver are one product, with the receiver's own columns alone. A
/// head changes the stream by d_head numbers a position times its W_O, and so the next MLP's first product is made of these (<see cref="MlpOfSum"/>).
/// </summary>
/// <param name="model">The model.</param>
/// <param name="runs">The two runs over a chunk of pairs.</param>
/// <param name="sent">What the senders write.</param>
/// <param name="start">The first changed position.</param>
/// <param name="ungrouped">Whether keys and values are those of query heads: <see cref="EdgeOptions.Ungrouped"/>.</param>
/// <param name="throughMlp">The layers whose MLP is computed of the heads' d_head numbers: those in which many edges end (<see cref="ThroughMlp"/>).</param>
internal sealed class EdgeStreams(
    Transformer model, PatchedAndSource runs, SentChanges sent, int start, bool ungrouped, IReadOnlySet<int> throughMlp) : IDisposable
{
    private (LayerWeights Layer, MlpOfSum Products)? _mlp;

    /// <summary>Where an MLP computed of its heads' numbers spares more than making its products costs, and these fit.</summary>
    /// <param name="model">The model.</param>
    /// <param name="edges">All edges that are patched.</param>
    /// <param name="positions">Of all pairs together, how many are computed.</param>
    /// <param name="budget">The memory budget.</param>
    public static IReadOnlySet<int> ThroughMlp(Transformer model, IEnumerable<Edge> edges, long positions, MemoryBudget budget)
    {
        long columns = (long)model.Config.Heads * model.Config.HeadWidth;
        return !MlpOfSum.Applies(model) || MlpOfSum.Bytes(model, columns) > budget.Bytes / 8 ? new HashSet<int>()
            : edges.Where(edge => edge.Receiver.Input is not (null or ReceiverInput.Mlp)).GroupBy(edge => edge.Receiver.Layer)
                .Where(layer => layer.Count() * positions > 2 * columns).Select(layer => layer.Key).ToHashSet();
    }

    /// <summary>Where what a receiver writes joins the stream, and with it all receivers of its kind and layer.</summary>
    public (int Layer, StreamPoint Point, bool IsHead) JoinsAt(Receiver receiver) => receiver.Input switch
    {
        null => (model.Config.Layers - 1, StreamPoint.Post, false),
        ReceiverInput.Mlp => (receiver.Layer, StreamPoint.Post, false),
        _ => (receiver.Layer, model.Config.ParallelResidual || throughMlp.Contains(receiver.Layer) ? StreamPoint.Post : StreamPoint.Mid, true),
    };

    /// <summary>The streams of some edges.</summary>
    /// <param name="edges">The edges, each receiver's together; their receivers are of one kind and layer.</param>
    /// <param name="prompts">How many patched prompts a thread computes at a time.</param>
    /// <param name="cancellation">Looked at before each of these steps.</param>
    public JoiningStreams Joining(IReadOnlyList<Edge> edges, int prompts, CancellationToken cancellation)
    {
        var (layer, point, isHead) = JoinsAt(edges[0].Receiver);
        return new JoiningStreams(layer, point, edges.Count, From);

        // [edges, pairs, positions from it, d_model]
        Tensor From(int from)
        {
            // Asked for before the threads begin, for what follows from the cached activations is made then.
            Func<Receiver, Node[], Tensor> make = isHead ? OfHeads(layer, from) : edges[0].Receiver.IsLogits ? OfLogits(from) : OfMlp(layer, from);
            Tensor pre = runs.Patched(layer).ResidPre(from);                  // [pairs, positions, d_model]
            int atOnce = (int)Math.Max(1, prompts / pre.shape[0]);
            Edge[][] pieces = [.. edges.GroupBy(edge => edge.Receiver).SelectMany(receiver => receiver.Chunk(atOnce))];
            int[] places = [.. pieces.Select((_, piece) => pieces.Take(piece).Sum(before => before.Length))];
            Tensor streams = empty([edges.Count, .. pre.shape], dtype: model.StreamDtype, device: model.Device);
            ComputeThreads.ForEach(pieces.Length, piece =>
            {
                cancellation.ThrowIfCancellationRequested();
                Node[] senders = [.. pieces[piece].Select(edge => edge.Sender)];
                streams.narrow(0, places[piece], senders.Length).copy_(make(pieces[piece][0].Receiver, senders));
            });
            return streams;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _mlp?.Products.Dispose();

    private Func<Receiver, Node[], Tensor> OfLogits(int from)
    {
        int last = model.Config.Layers - 1;
        Tensor unchanged = runs.Patched(last).Stream(StreamPoint.Post, from); // [pairs, positions, d_model]
        return (_, senders) => sent.Read(last, StreamPoint.Post, senders, unchanged, from);
    }

    private Func<Receiver, Node[], Tensor> OfMlp(int layer, int from)
    {
        StreamPoint point = model.Config.ParallelResidual ? StreamPoint.Pre : StreamPoint.Mid;
        Tensor mid = runs.Patched(layer).Stream(StreamPoint.Mid, from);       // [pairs, positions, d_model]
        Tensor reads = point == StreamPoint.Pre ? runs.Patched(layer).ResidPre(from) : mid;
        return (_, senders) => model.ResidPost(layer, model.MlpOut(layer, sent.Read(layer, point, senders, reads, from)).AddInPlace(mid));
    }

    private Func<Receiver, Node[], Tensor> OfHeads(int layer, int from)
    {
        ModelConfig config = model.Config;
        HeadActivations patched = runs.Patched(layer);
        int sharing = config.Heads / config.KeyValueHeads;
        bool together = config.QueryKeyNorm == QueryKeyNorm.AllHeads;
        var (allK, allV) = (patched.KeysValues.K, patched.KeysValues.V);      // [pairs, key/value heads, position, d_head]
        Tensor allQ = patched.Q(from), allZ = patched.Z(from);                // [pairs, heads, positions from it, d_head]
        Tensor unchanged = patched.Stream(config.ParallelResidual ? StreamPoint.Post : StreamPoint.Mid, from); // [pairs, positions from it, d_model]
        MlpOfSum? mlp = throughMlp.Contains(layer) ? MlpOf(layer) : null;
        Tensor[] known = mlp?.Known(unchanged) ?? [];                         // [pairs, positions from it, d_mlp]
        Func<Tensor, Tensor> changeOfStream = HeadPatch.ChangeOfStream(model, layer, patched, from);
        return Stream;

        Tensor Stream(Receiver receiver, Node[] senders)
        {
            bool ofGroup = receiver.Input != ReceiverInput.Q && !ungrouped;
            int head = ofGroup ? receiver.Head * sharing : receiver.Head, heads = ofGroup ? sharing : 1, keyHead = head / sharing;
            Tensor received = Received(receiver.Input, layer, keyHead, head, senders); // [senders * pairs, 1, positions, d_head]

            // What the heads attend with: their own queries, keys and values alone, but where those of all are normed together.
            Tensor q = Repeat(together ? allQ : allQ.narrow(1, head, heads));
            Tensor k = Repeat(together ? allK : allK.narrow(1, keyHead, 1)), v = Repeat(together ? allV : allV.narrow(1, keyHead, 1));
            Tensor into = receiver.Input switch
            {
                ReceiverInput.Q => q.narrow(1, together ? head : 0, 1),
                ReceiverInput.K => k.narrow(1, together ? keyHead : 0, 1),
                _ => v.narrow(1, together ? keyHead : 0, 1),
            };
            into.narrow(2, into.shape[2] - received.shape[2], received.shape[2]).copy_(received);
            Tensor z = model.Attend(layer, q, k, v, firstHead: together ? 0 : head); // [senders * pairs, heads, positions from it, d_head]
            bool all = together && receiver.Input != ReceiverInput.V && (receiver.Input == ReceiverInput.Q || !ungrouped || sharing == 1); // others change too
            z = together && !all ? z.narrow(1, head, heads) : z;
            Tensor change = z.unflatten(0, [senders.Length, -1]) - (all ? allZ : allZ.narrow(1, head, heads));
            Tensor output = model.Weights.Layers[layer].OutputWeight;         // [heads * d_head, d_model]
            change = change.transpose(2, 3).flatten(3, 4);                    // [senders, pairs, positions, heads * d_head]
            int first = all ? 0 : head * config.HeadWidth;
            Tensor added = MatrixProduct.Of(change.flatten(0, 2), output.narrow(0, first, change.shape[3]), null);
            Tensor stream = changeOfStream(added.reshape([senders.Length, .. unchanged.shape])).AddInPlace(unchanged);
            return mlp is null ? stream : stream.AddInPlace(mlp.Out(stream, known, change, first));

            // A copy for every sender: what is received is written into it. [pairs, ..] -> [senders * pairs, ..]
            Tensor Repeat(Tensor x) => x.repeat(senders.Length, 1, 1, 1);
        }

        // Queries at the positions that are looked at; keys and values, which these look at, at all that change.
        Tensor Received(ReceiverInput? input, int layer, int keyHead, int head, Node[] senders)
        {
            int first = input == ReceiverInput.Q ? from : start;
            Tensor read = sent.Read(layer, StreamPoint.Pre, senders, patched.ResidPre(first), first).flatten(0, 1); // [senders * pairs, positions, d_model]
            Tensor normed = model.AttentionNorm(layer, read);
            return input switch
            {
                ReceiverInput.Q => model.QueryOf(layer, normed, head),
                ReceiverInput.K => model.KeyOf(layer, normed, keyHead),
                _ => model.ValueOf(layer, normed, keyHead),
            };
        }
    }

    /// <summary>Of one layer at a time: receivers come by layer.</summary>
    private MlpOfSum MlpOf(int layer)
    {
        LayerWeights weights = model.Weights.Layers[layer];
        if (!ReferenceEquals(_mlp?.Layer, weights))
        {
            _mlp?.Products.Dispose();
            _mlp = null;
            _mlp = (weights, new MlpOfSum(model, layer, weights.OutputWeight));
        }

        return _mlp.Value.Products;
    }
}
