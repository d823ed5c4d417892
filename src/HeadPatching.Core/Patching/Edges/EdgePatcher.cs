using System.Diagnostics;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Prompts;
using TorchSharp;
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
    /// <param name="measured">The chunk's pairs, all of one length, and what a metric may need of them.</param>
    /// <param name="baselines">The pairs' unpatched metrics: the result where nothing can change.</param>
    /// <param name="activations">Both runs' activations of every layer.</param>
    /// <param name="edges">The edges, in any order.</param>
    /// <param name="options">Which way.</param>
    /// <param name="progress">Told after each batch how many patched runs it made.</param>
    /// <param name="cancellation">Looked at before each step of a batch.</param>
    /// <exception cref="InvalidInputException">The model has no such edges.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="InsufficientMemoryException">Not even one edge at a time fits into the device's memory.</exception>
    public EdgePatches Patch(
        MeasuredPairs measured,
        IReadOnlyList<Baseline> baselines,
        ChunkActivations activations,
        IReadOnlyList<Edge> edges,
        EdgeOptions options,
        Action<long>? progress = null,
        CancellationToken cancellation = default)
    {
        Edge.ThrowIfNone(edges, model.Config, options.Ungrouped);
        long started = Stopwatch.GetTimestamp(), made = 0;
        IReadOnlyList<TokenPair> pairs = measured.Pairs;
        int start = activations.Start, length = pairs[0].Length, last = model.Config.Layers - 1;
        double[] unpatched = [.. baselines.Select(baseline => baseline.FromTo(options.Direction).From)];
        double[][] patched = [.. edges.Select(_ => unpatched.ToArray())];
        using var runs = new PatchedAndSource(model, activations, options.Direction);
        using var sent = new SentChanges(model, runs, start);
        IReadOnlySet<int> throughMlp = EdgeStreams.ThroughMlp(model, edges, (long)pairs.Count * (length - start), budget);
        using var streams = new EdgeStreams(model, runs, sent, start, options.Ungrouped, throughMlp);

        // In the order in which receivers write, senders in the order in which they do; those that are looked at only at the last position by themselves.
        var ordered = edges.Index()
            .OrderBy(edge => streams.JoinsAt(edge.Item.Receiver))
            .ThenBy(edge => edge.Item.Receiver.IsLogits)
            .ThenBy(edge => (edge.Item.Receiver.Input, edge.Item.Receiver.Head))
            .ThenBy(edge => (edge.Item.Sender.Layer, edge.Item.Sender.Kind, edge.Item.Sender.Head))
            .ToLookup(edge => edge.Item.Receiver.IsLogits || edge.Item.Receiver.Layer == last);
        if (pairs.Any(pair => pair.FirstDifference < pair.Length))
        {
            Run([.. ordered[false]], from: start);
            Run([.. ordered[true]], from: length - 1);
        }

        return new EdgePatches([.. pairs.Select(pair => pair.Index)], patched, made, Stopwatch.GetElapsedTime(started).TotalSeconds);

        void Run((int Index, Edge Edge)[] some, int from) => HalvingBatches.Run(
            model,
            some.Length,
            budget.Batch(model),
            (count, memory) => MemoryBudget.Cut(model.Config, model.Dtype, model.Device.type == DeviceType.CPU, count, pairs.Count, length - from, length, memory),
            (first, batch) => RunBatch(some[first..(first + batch.Count)], from, batch.Tile),
            cause => OutOfMemory.OfOneEdge(some[0].Edge, pairs.Count, length, model.Device, cause),
            cancellation);

        int RunBatch((int Index, Edge Edge)[] batch, int from, int tile)
        {
            double[] values;                                                  // [edge * pair]
            using (inference_mode())
            using (NewDisposeScope())
            {
                int prompts = Math.Max(1, (int)((long)tile * (length - from) / (length - start))); // their receivers may read all positions
                var suffix = new SuffixRun(model, pairs.Count, from, length, layer => runs.Patched(layer).KeysValuesBefore(from), tile, cancellation);
                Tensor final = suffix.Run(                                    // [edges, pairs, d_model]
                [
                    .. batch.Select(one => one.Edge)
                        .GroupBy(edge => (streams.JoinsAt(edge.Receiver), edge.Receiver.IsLogits))
                        .Select(some => streams.Joining([.. some], prompts, cancellation)),
                ]);
                values = [.. metric.Measure(model, final, measured).to(ScalarType.Float64).cpu().data<double>()];
            }

            for (int value = 0; value < values.Length; value++)
            {
                // A pair whose prompts are the same is as it was, whatever rounding says.
                int pair = value % pairs.Count;
                if (pairs[pair].FirstDifference < length)
                {
                    patched[batch[value / pairs.Count].Index][pair] = values[value];
                }
            }

            made += values.Length;
            progress?.Invoke(values.Length);
            return batch.Length;
        }
    }
}
