using System.Diagnostics;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Patching.Interventions;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Edges;

/// <summary>
/// Estimates every edge from a few passes: to first order the metric with an edge patched is
/// <code>metric(base) + sum over positions and d_model of (what the sender writes in the source run - in the base run) * d metric / d what the receiver reads</code>
/// with the gradient at the base run (EAP: Syed et al. 2023, "Attribution Patching Outperforms Automated Circuit Discovery"), or its mean over runs whose
/// embeddings lie between those of the two runs (EAP-IG, inputs: Hanna et al. 2024, "Have Faith in Faithfulness", equation 3): source + k / steps (base - source) for
/// k = 1 .. steps, the base run among them, so that one step is EAP. (The authors' code takes k = 0 .. steps - 1 for edges since 2025, and 1 .. steps for nodes.)
/// <para>
/// Gradients are taken of queries, keys, values, what MLPs read and the last stream, one backward pass for all; those of heads are brought back through their
/// matrices and the norm to what each head reads by itself.
/// </para>
/// </summary>
/// <param name="model">The model. Its weights need no gradients, and get none.</param>
/// <param name="metric">What is measured; it must have a gradient.</param>
/// <param name="budget">How much memory a batch may take.</param>
public sealed class EdgeAttribution(Transformer model, IMetric metric, MemoryBudget budget)
{
    /// <summary>Estimates edges over a chunk of pairs.</summary>
    /// <param name="chunk">The chunk's runs, from the first difference on; where weights are streamed, what is left of them is made in the same pass over the layers as the runs forwards.</param>
    /// <param name="edges">The edges, in any order.</param>
    /// <param name="options">Which way.</param>
    /// <param name="steps">How many runs the gradient is the mean of, from 1.</param>
    /// <param name="gradient">Which gradient; EAP's and EAP-IG's is the plain one.</param>
    /// <param name="cancellation">Looked at before each batch and step.</param>
    /// <returns>The estimated metric of every edge, in the form of patched runs, of which none was made.</returns>
    /// <exception cref="InvalidInputException">The model has no such edges, or the metric no gradient.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="InsufficientMemoryException">Not even one pair at a time fits into the device's memory.</exception>
    public EdgePatches Estimate(
        ChunkCaching chunk,
        IReadOnlyList<Edge> edges,
        EdgeOptions options,
        int steps = 1,
        Gradient gradient = Gradient.Plain,
        CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(steps);
        Edge.ThrowIfNone(edges, model.Config, options.Ungrouped);
        long started = Stopwatch.GetTimestamp();
        IReadOnlyList<TokenPair> pairs = chunk.Pairs;
        int length = pairs[0].Length, start = chunk.Activations.Start;
        bool denoise = options.Direction == Direction.Denoise;
        Transformer differentiated = gradient == Gradient.Plain ? model : model.WithFrozenNorms();
        Edge[] all = [.. Edge.All(model.Config, options.Ungrouped)];
        Dictionary<Receiver, Node[]> senders = all.GroupBy(edge => edge.Receiver).ToDictionary(edge => edge.Key, edge => edge.Select(one => one.Sender).ToArray());
        Dictionary<Edge, double[]> changes = all.ToDictionary(edge => edge, _ => new double[pairs.Count]);
        using var runs = new PatchedAndSource(model, chunk.Activations, options.Direction);
        using var sent = new SentChanges(model, runs, start, all.Select(edge => edge.Sender));
        if (model.Weights.Streamed is not null)
        {
            LayerByLayer();
        }
        else
        {
            LayerPass.Run([chunk.Steps(cancellation), sent.Steps()]);
            HalvingBatches.Run(
                model,
                pairs.Count,
                budget.Batch(model),
                (count, memory) => MemoryBudget.CutBackward(model, count, length, memory),
                Batch,
                TooLittle,
                cancellation);
        }

        double[][] metrics =
        [
            .. edges.Select(edge => chunk.Baselines.Select((baseline, pair) =>
                baseline.FromTo(options.Direction).From + (pairs[pair].FirstDifference < length ? changes[edge][pair] : 0)).ToArray()),
        ];
        return new EdgePatches([.. pairs.Select(pair => pair.Index)], metrics, PatchedRuns: 0, Stopwatch.GetElapsedTime(started).TotalSeconds);

        int Batch(int first, BatchCut batch)
        {
            var found = new Dictionary<Edge, double[]>();                     // the sums over steps; none of a batch that runs out of memory
            for (int step = 1; step <= steps; step++)
            {
                cancellation.ThrowIfCancellationRequested();
                using var scope = NewDisposeScope();
                foreach (var (receivers, point, ofLayer) in Gradients(first, batch.Count, (double)step / steps))
                {
                    AddChanges(found, receivers, point, ofLayer, first);
                }
            }

            Take(found, first);
            return batch.Count;
        }

        void Take(Dictionary<Edge, double[]> found, int first)
        {
            foreach (var (edge, values) in found)
            {
                for (int pair = 0; pair < values.Length; pair++)
                {
                    changes[edge][first + pair] = values[pair] / steps;
                }
            }
        }

        // Streamed weights are gone through once forwards and once backwards by as many batches and steps as can be held, each layer's graph made again for its own backward: the same operations on the same numbers.
        void LayerByLayer()
        {
            int layers = model.Config.Layers;
            (int First, TokenPair[] Pairs, Dictionary<Edge, double[]> Found)[] cut = [.. Cut().Select(batch => (batch.First, batch.Pairs, new Dictionary<Edge, double[]>()))];
            var left = new Queue<Stepping>(cut.SelectMany(batch => Enumerable.Range(1, steps).Select(step => new Stepping(batch.First, batch.Pairs, (double)step / steps, batch.Found, layers))));
            while (left.Count > 0)
            {
                var together = new List<Stepping>();
                for (long held = 0; left.TryPeek(out Stepping? next) && (together.Count == 0 || held + Held(next) <= budget.Batch(model).Held); held += Held(next))
                {
                    together.Add(left.Dequeue());
                }

                using var scope = NewDisposeScope();
                LayerPass.Run([chunk.Steps(cancellation), sent.Steps(), .. together.Select(Forwards)]);
                for (int layer = layers - 1; layer >= 0; layer--)
                {
                    cancellation.ThrowIfCancellationRequested();
                    together.ForEach(one => Backwards(one, layer));
                }
            }

            Array.ForEach(cut, batch => Take(batch.Found, batch.First));

            long Held(Stepping one) => (layers + 2L) * one.Pairs.Length * length * model.Config.Width * model.StreamDtype.Bytes();
        }

        // As they would be run one after another.
        IEnumerable<(int First, TokenPair[] Pairs)> Cut()
        {
            for (int first = 0, count; first < pairs.Count; first += count)
            {
                count = MemoryBudget.CutBackward(model, pairs.Count - first, length, budget.Batch(model)).Count;
                yield return (first, [.. pairs.Skip(first).Take(count)]);
            }
        }

        IEnumerable<int> Forwards(Stepping one)
        {
            for (int layer = 0; layer < one.Resid.Length - 1; layer++)
            {
                yield return layer;
                using var mode = enable_grad();
                using var scope = NewDisposeScope();
                one.Resid[layer] ??= Begin(one.Pairs, one.ToBase).MoveToOuterDisposeScope();
                one.Resid[layer + 1] = Through(layer, one.Resid[layer]!).Post.detach().requires_grad_(true).MoveToOuterDisposeScope();
            }

            yield return model.Config.Layers;
            using (enable_grad())
            using (NewDisposeScope())
            {
                one.Gradient = autograd.grad([Measured(one.Resid[^1]!, one.First, one.Pairs)], [one.Resid[^1]!])[0].MoveToOuterDisposeScope();
            }
        }

        void Backwards(Stepping one, int layer)
        {
            using var scope = NewDisposeScope();
            if (layer == model.Config.Layers - 1)
            {
                AddChanges(one.Found, [Receiver.Logits], StreamPoint.Post, Live(one.Gradient!).unsqueeze(0), one.First);
            }

            IList<Tensor> gradients;
            using (enable_grad())
            {
                var (wanted, post) = Through(layer, one.Resid[layer]!);
                gradients = autograd.grad([post], [one.Resid[layer]!, .. wanted], [one.Gradient!]);
            }

            foreach (var (receivers, point, ofLayer) in OfReceivers(layer, one.Resid[layer]!, [.. gradients.Skip(1)]))
            {
                AddChanges(one.Found, receivers, point, ofLayer, one.First);
            }

            one.Gradient!.Dispose();
            one.Gradient = gradients[0].MoveToOuterDisposeScope();
            one.Resid[layer + 1]!.Dispose();
        }

        // By kind and layer of the receivers: the gradients of what they read, from start on, [receivers, batch, positions, d_model].
        IEnumerable<(Receiver[] Receivers, StreamPoint Point, Tensor Gradient)> Gradients(int first, int batch, double toBase)
        {
            ModelConfig config = model.Config;
            TokenPair[] those = [.. pairs.Skip(first).Take(batch)];
            var pre = new List<Tensor>();                                     // by layer, [batch, positions, d_model]
            var activations = new List<Tensor>();                             // of each layer what is wanted; the last stream: by layer q, k, v [batch, heads, positions, d_head] and what the MLP reads [batch, positions, d_model]; the last stream
            Tensor[] gradients;
            using (enable_grad())
            {
                Tensor resid = Begin(those, toBase);                          // the graph starts here
                for (int layer = 0; layer < config.Layers; layer++)
                {
                    // Of what the layer made, the graph keeps what its backward needs; the rest is freed here.
                    using var layerScope = NewDisposeScope();
                    pre.Add(resid);
                    var (wanted, post) = Through(layer, resid);
                    resid = post.MoveToOuterDisposeScope();
                    activations.AddRange(wanted.Select(tensor => tensor.MoveToOuterDisposeScope()));
                }

                activations.Add(resid);
                gradients = [.. autograd.grad([Measured(resid, first, those)], activations)];
            }

            for (int layer = 0; layer < config.Layers; layer++)
            {
                foreach (var ofReceivers in OfReceivers(layer, pre[layer], gradients[(4 * layer)..((4 * layer) + 4)]))
                {
                    yield return ofReceivers;
                }
            }

            yield return ([Receiver.Logits], StreamPoint.Post, Live(gradients[^1]).unsqueeze(0));
        }

        // Where a run starts, between the embeddings of the two runs, [batch, positions, d_model].
        Tensor Begin(TokenPair[] those, double toBase)
        {
            Tensor source = Embed(those, clean: denoise), patched = Embed(those, clean: !denoise);
            return source.Plus((patched - source) * tensor(toBase, dtype: model.StreamDtype)).detach().requires_grad_(true);
        }

        // q, k, v [batch, heads, positions, d_head] and what the MLP alone reads [batch, positions, d_model]; and the stream after the layer.
        (Tensor[] Wanted, Tensor Post) Through(int layer, Tensor resid)
        {
            var (q, k, v) = differentiated.QueryKeyValue(layer, resid);
            (k, v) = options.Ungrouped ? (OfEachQuery(k), OfEachQuery(v)) : (k, v);
            Tensor mid = differentiated.ResidMid(layer, resid.Plus(differentiated.AttentionOut(layer, differentiated.Attend(layer, q, k, v))));
            Tensor reads = (model.Config.ParallelResidual ? resid : mid).clone();
            return ([q, k, v, reads], differentiated.ResidPost(layer, mid.Plus(differentiated.MlpOut(layer, reads))));
        }

        // The sum over the pairs. No pair's metric depends on another pair, so that its gradient holds the gradient of each.
        Tensor Measured(Tensor resid, int first, TokenPair[] those)
        {
            // A tensor of inference mode cannot be part of a graph: the clean run's end is copied.
            Tensor cleanFinal = chunk.Measured.CleanFinal.narrow(0, first, those.Length).clone();
            Tensor values = metric.Measure(differentiated, resid.select(1, -1).unsqueeze(0), new MeasuredPairs(those, cleanFinal)); // [1, batch]
            return values.requires_grad ? values.sum() : throw new InvalidInputException(
                FaultKinds.InvalidOption, "metric", $"{metric.Name} has no gradient, so there is no estimate of it. Use the exact method.");
        }

        // Of a layer's receivers, from the gradients of q, k, v and what the MLP reads.
        IEnumerable<(Receiver[] Receivers, StreamPoint Point, Tensor Gradient)> OfReceivers(int layer, Tensor pre, Tensor[] gradients)
        {
            yield return ([.. senders.Keys.Where(receiver => receiver.Layer == layer && receiver.Input != ReceiverInput.Mlp)], StreamPoint.Pre, OfReadByHeads(layer, pre, gradients[..3]));
            yield return ([Receiver.OfMlp(layer)], model.Config.ParallelResidual ? StreamPoint.Pre : StreamPoint.Mid, Live(gradients[3]).unsqueeze(0));
        }

        // Back through the matrices and the norm, to what each head's q, k and v would read by itself, [receivers, batch, positions from start, d_model].
        Tensor OfReadByHeads(int layer, Tensor pre, Tensor[] ofQueriesKeysAndValues)
        {
            using var scope = NewDisposeScope();
            LayerWeights w = model.Weights.Layers[layer];
            Tensor ofHeads = cat([.. ofQueriesKeysAndValues.Select(gradient => Live(gradient, 2).transpose(0, 1))]); // [receivers, batch, positions, d_head]
            Tensor matrices = w.QueryKeyValueWeight.t().unflatten(0, [-1, model.Config.HeadWidth]); // [heads and twice key/value heads, d_head, d_model]
            if (options.Ungrouped)
            {
                Tensor[] parts = matrices.split([model.Config.Heads, model.Config.KeyValueHeads, model.Config.KeyValueHeads]);
                matrices = cat([parts[0], OfEachQuery(parts[1].unsqueeze(0)).squeeze(0), OfEachQuery(parts[2].unsqueeze(0)).squeeze(0)]);
            }

            Tensor ofNormed = MatrixProduct.OfEach(ofHeads.flatten(1, 2), matrices).unflatten(1, [ofHeads.shape[1], ofHeads.shape[2]]);
            if (w.AttentionNormWeight is null)
            {
                return ofNormed.MoveToOuterDisposeScope();
            }

            using var mode = enable_grad();
            Tensor reads = Live(pre).detach().expand(ofNormed.shape).clone().requires_grad_(true);
            return autograd.grad([differentiated.AttentionNorm(layer, reads)], [reads], [ofNormed])[0].MoveToOuterDisposeScope();
        }

        void AddChanges(Dictionary<Edge, double[]> found, Receiver[] receivers, StreamPoint point, Tensor gradient, int first)
        {
            using var mode = inference_mode();
            using var scope = NewDisposeScope();
            ScalarType wide = model.StreamDtype;
            int batch = (int)gradient.shape[1], layer = receivers[0].IsLogits ? model.Config.Layers - 1 : receivers[0].Layer;
            Tensor ofPairs = gradient.transpose(0, 1).flatten(2, 3).to(wide);   // [batch, receivers, positions * d_model]
            Tensor unchanged = runs.Patched(layer).Stream(point, start);        // [pairs, positions, d_model]
            foreach (Node[] some in senders[receivers[0]].GroupBy(sender => (sender.Layer, sender.Kind)).Select(group => group.ToArray()))
            {
                using var groupScope = NewDisposeScope();
                Tensor read = sent.Change(layer, point, some, unchanged, start).narrow(1, first, batch); // [senders, batch, positions, d_model]
                Tensor product = ofPairs.bmm(read.permute(1, 2, 3, 0).flatten(1, 2).to(wide)); // [batch, receivers, senders]
                double[] values = [.. product.to(ScalarType.Float64).cpu().data<double>()];
                for (int value = 0; value < values.Length; value++)
                {
                    var edge = new Edge(some[value % some.Length], receivers[value / some.Length % receivers.Length]);
                    if (!found.TryGetValue(edge, out double[]? own))
                    {
                        found[edge] = own = new double[batch];
                    }

                    own[value / (some.Length * receivers.Length)] += values[value];
                }
            }
        }

        Tensor Embed(TokenPair[] those, bool clean) =>
            model.Embed(tensor(those.SelectMany(pair => clean ? pair.Clean : pair.Corrupted).Select(id => (long)id).ToArray(), device: model.Device).reshape(those.Length, length));

        // [batch, key/value heads, ..] -> [batch, heads, ..]
        Tensor OfEachQuery(Tensor x) => x.unsqueeze(2).expand(-1, -1, model.Config.Heads / model.Config.KeyValueHeads, -1, -1).flatten(1, 2);

        Tensor Live(Tensor x, int dimension = 1) => x.narrow(dimension, start, length - start);

        InsufficientMemoryException TooLittle(Exception cause) => new(
            $"Not even one pair of {length} tokens fits into the memory of the device ({model.Device}) with what its backward pass needs. "
            + "The exact method needs less; bfloat16 weights leave more room than float32's.",
            cause);
    }

    /// <summary>A batch of pairs at a step, as it goes through streamed layers.</summary>
    private sealed class Stepping(int first, TokenPair[] pairs, double toBase, Dictionary<Edge, double[]> found, int layers)
    {
        public int First => first;

        public TokenPair[] Pairs => pairs;

        public double ToBase => toBase;

        /// <summary>The sums over steps, of all steps of the batch.</summary>
        public Dictionary<Edge, double[]> Found => found;

        /// <summary>The stream before each layer and after the last, [batch, position, d_model].</summary>
        public Tensor?[] Resid { get; } = new Tensor?[layers + 1];

        /// <summary>The gradient of the stream after the layers that are left to go back through.</summary>
        public Tensor? Gradient { get; set; }
    }
}
