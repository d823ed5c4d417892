using System.Diagnostics;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Edges;

/// <summary>
/// Patches edges over a chunk of pairs, exactly: in the base run (the one that is patched) one receiver reads of one sender what that writes in the
/// source run, nothing between the two is computed again, and everything after the receiver is computed as always. This is the effect of one edge as
/// ACDC (Conmy et al. 2023, "Towards Automated Circuit Discovery") and EAP-IG's exact scores have it, for one pass an edge.
/// <para>
/// What it spares: an edge's run begins behind its receiver, so that it is a part of a pass, of few layers for the many edges into late ones; all senders
/// of a receiver are one product with its columns alone; and the rest of all of them is one <see cref="SuffixRun"/>. Edges into the last layer's queries,
/// its MLP and the logits are computed at the last position only.
/// </para>
/// <para>It is one synchronous call, since dispose scopes and inference mode belong to the thread. A batch that runs out of memory is done again in halves.</para>
/// </summary>
/// <param name="model">The model.</param>
/// <param name="metric">What is measured.</param>
/// <param name="budget">How much memory a batch of patched runs may take.</param>
public sealed class EdgePatcher(Transformer model, IMetric metric, MemoryBudget budget)
{
    /// <summary>Patches edges, one a run, many runs a batch.</summary>
    /// <param name="chunk">The chunk's runs, from the first difference on; what is left of them is made in the same pass over the layers.</param>
    /// <param name="edges">The edges, in any order.</param>
    /// <param name="options">Which way.</param>
    /// <param name="progress">Told after each batch how many patched runs it made.</param>
    /// <param name="cancellation">Looked at before each step of a batch.</param>
    /// <exception cref="InvalidInputException">The model has no such edges.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="InsufficientMemoryException">Not even one edge at a time fits into the device's memory.</exception>
    public EdgePatches Patch(
        ChunkCaching chunk,
        IReadOnlyList<Edge> edges,
        EdgeOptions options,
        Action<long>? progress = null,
        CancellationToken cancellation = default)
    {
        Edge.ThrowIfNone(edges, model.Config, options.Ungrouped);
        long started = Stopwatch.GetTimestamp(), made = 0;
        IReadOnlyList<TokenPair> pairs = chunk.Pairs;
        int start = chunk.Activations.Start, length = pairs[0].Length, last = model.Config.Layers - 1;
        double[][] patched = [.. edges.Select(_ => new double[pairs.Count])];
        using var runs = new PatchedAndSource(model, chunk.Activations, options.Direction);
        using var sent = new SentChanges(model, runs, start, edges.Select(edge => edge.Sender));
        IReadOnlySet<int> throughMlp = EdgeStreams.ThroughMlp(model, edges, (long)pairs.Count * (length - start), budget);
        using var streams = new EdgeStreams(model, runs, sent, start, options.Ungrouped, throughMlp);

        // In the order in which receivers write, senders in the order in which they do; those that are looked at only at the last position by themselves.
        (int Index, Edge Edge)[] ordered =
        [
            .. edges.Index()
                .OrderBy(edge => IsOfEnd(edge.Item))
                .ThenBy(edge => streams.JoinsAt(edge.Item.Receiver))
                .ThenBy(edge => edge.Item.Receiver.IsLogits)
                .ThenBy(edge => (edge.Item.Receiver.Input, edge.Item.Receiver.Head))
                .ThenBy(edge => (edge.Item.Sender.Layer, edge.Item.Sender.Kind, edge.Item.Sender.Head)),
        ];
        int ofEnd = edges.Count(IsOfEnd), running = pairs.Any(pair => pair.FirstDifference < pair.Length) ? edges.Count : 0;
        var passes = new RunPasses(model, budget, pairs.Count, length) { Before = () => [chunk.Steps(cancellation), sent.Steps()] };
        passes.Run(
            running,
            at => at < edges.Count - ofEnd ? (edges.Count - ofEnd - at, start) : (edges.Count - at, length - 1),
            Measure,
            Take,
            (batch, cause) => OutOfMemory.OfOneEdge(ordered[batch.First].Edge, pairs.Count, length, model.Device, cause),
            cancellation);
        chunk.Run(cancellation);                                              // where no edge was run

        // A pair whose prompts are the same is as it was, whatever rounding says.
        foreach (var (pair, baseline) in chunk.Baselines.Index().Where(one => pairs[one.Index].FirstDifference == length))
        {
            Array.ForEach(patched, ofEdge => ofEdge[pair] = baseline.FromTo(options.Direction).From);
        }

        return new EdgePatches([.. pairs.Select(pair => pair.Index)], patched, made, Stopwatch.GetElapsedTime(started).TotalSeconds);

        bool IsOfEnd(Edge edge) => edge.Receiver.IsLogits || edge.Receiver.Layer == last;

        IEnumerable<int> Measure(RunBatch batch, Action<Tensor> measured)
        {
            int from = batch.Start, prompts = Math.Max(1, (int)((long)batch.Tile * (length - from) / (length - start))); // their receivers may read all positions
            var suffix = new SuffixRun(model, pairs.Count, from, length, layer => runs.Patched(layer).KeysValuesBefore(from), batch.Tile, cancellation);
            Tensor final = null!;                                             // [edges, pairs, d_model]
            IEnumerable<int> steps = suffix.Steps(
                [
                    .. ordered[batch.First..(batch.First + batch.Count)].Select(one => one.Edge)
                        .GroupBy(edge => (streams.JoinsAt(edge.Receiver), edge.Receiver.IsLogits))
                        .Select(some => streams.Joining([.. some], prompts, cancellation)),
                ],
                ends => final = ends);
            foreach (int layer in steps)
            {
                yield return layer;
            }

            yield return model.Config.Layers;                                 // the unembedding, after all layers of all batches
            measured(metric.Measure(model, final, chunk.Measured));
        }

        void Take(RunBatch batch, double[] values)
        {
            for (int value = 0; value < values.Length; value++)
            {
                patched[ordered[batch.First + (value / pairs.Count)].Index][value % pairs.Count] = values[value];
            }

            made += values.Length;
            progress?.Invoke(values.Length);
        }
    }
}
