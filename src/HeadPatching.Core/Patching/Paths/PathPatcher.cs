using HeadPatching.Core.Circuits;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Patching.Interventions;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Paths;

/// <summary>
/// Path patching (Wang et al. 2022, "Interpretability in the Wild", appendix; Goldowsky-Dill et al. 2023, "Localizing Model Behavior with
/// Path Patching"): how much of a head's effect goes straight to given receivers, not by way of other heads. Exact, in two stages:
/// <list type="number">
/// <item>The base run (the one that is patched: corrupted when denoising, clean when noising) with every head's z frozen as it was, but the
/// sender's replaced by the source run's. The residual stream changes by (z' - z) W_O, and, unless MLPs are frozen too, by what the MLPs
/// of the sender's layer and of later ones make of it. The receiver <c>logits</c> ends here: the metric is measured on this stream.</item>
/// <item>Receivers such as <c>L9H6.q</c> take their queries, keys or values, at all positions, from that stream at their layer's input, and an MLP
/// such as <c>L8.mlp</c> reads it. The base run is run again with these values in place and nothing else frozen, and the metric is measured on it.
/// Several receivers are replaced in one run, each with its value of stage one, whatever receivers before it change.</item>
/// </list>
/// A sender in the receivers' layer (but for the MLP after it) or later has no path to them; its metric is the base run's. An MLP sends in the same way, its
/// mlp_out replaced by the source run's, and so does the embedding: then every head is frozen.
/// <para>
/// All heads of a layer send in one batch. It is one synchronous call, since dispose scopes and inference mode belong to the thread. A batch
/// that runs out of memory is done again in halves.
/// </para>
/// </summary>
/// <param name="model">The model.</param>
/// <param name="metric">What is measured.</param>
/// <param name="budget">How much memory a batch of patched runs may take.</param>
public sealed class PathPatcher(Transformer model, IMetric metric, MemoryBudget budget)
{
    /// <summary>Patches the paths from every sender of a band of layers to the receivers: one sender a run, many runs a batch.</summary>
    /// <param name="inputs">
    /// The senders' layers, the pairs and their activations. The unpatched metrics are the result where there is no path, or nothing to replace.
    /// </param>
    /// <param name="options">The receivers, where and which way.</param>
    /// <param name="progress">Told after each batch how many patched runs it made.</param>
    /// <param name="cancellation">Looked at before each step of a batch.</param>
    /// <returns>The metric of every patched run, by the senders' layer; head h is that of the sender h. An MLP, and the embedding, is the one sender of its layer.</returns>
    /// <exception cref="InvalidInputException">The model has no such receivers.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The pairs have no such position.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="InsufficientMemoryException">Not even one sender at a time fits into the device's memory.</exception>
    public IReadOnlyList<LayerPatches> Patch(
        BandInputs inputs, PathOptions options, Action<long>? progress = null, CancellationToken cancellation = default)
    {
        ModelConfig config = model.Config;
        if (options.Faults(config) is { Count: > 0 } faults)
        {
            throw new InvalidInputException(faults);
        }

        IReadOnlyList<TokenPair> pairs = inputs.Measured.Pairs;
        int length = pairs[0].Length;
        ILayerPatch patch = options.From switch
        {
            NodeKind.Head => new HeadPatch(new ReplaceZ()),
            NodeKind.Mlp => new LayerComponent(Patching.Patch.MlpOut),
            _ => new LayerComponent(Patching.Patch.ResidPre),                 // of layer 0
        };
        using var runs = new PatchedAndSource(model, inputs.Activations, options.Direction);
        var grid = new PatchGrid(
            model,
            inputs,
            options.Direction,
            options.From == NodeKind.Head ? config.Heads : 1,
            PatchPlace.Of(pairs, options.Positions, beforeDifference: false),
            layer => options.Reach(config.Layers, layer));
        return grid.Run(budget, Runs, progress, cancellation);

        IEnumerable<int> Runs(PatchPlace place, int start, IReadOnlyList<PatchedRun> batch, int tile, Action<Tensor> measured)
        {
            Tensor? where = place.Where(model.Device);                        // [pairs, position]
            int sendersAtOnce = Math.Max(1, tile / pairs.Count);
            measured(cat(
            [
                .. batch.GroupBy(run => run.Layer).SelectMany(layer => layer.Chunk(sendersAtOnce).Select(some =>
                {
                    cancellation.ThrowIfCancellationRequested();
                    return Send(layer.Key, [.. some.Select(run => run.Unit)], where, start, place.End - start);
                })),
            ]));
            yield break;
        }

        // [senders, pairs]
        Tensor Send(int layer, int[] senders, Tensor? where, int start, int count)
        {
            using var scope = NewDisposeScope();
            Receiver[] receivers = [.. options.ReceiversOf(layer)];
            Tensor written = patch.Change(model, layer, runs.Source(layer), runs.Patched(layer), where, start)(senders)
                .narrow(2, 0, count);                                         // [senders, pairs, count, d_model]
            var sender = new SenderRun(model, options.From, layer, runs.Patched, options.FreezeMlps, start, count);
            Tensor final = receivers[0].IsLogits                              // [senders, pairs, d_model]
                ? sender.Final(written).select(2, -1)
                : new ReceiverRun(model, runs.Patched, start).Final(sender.Received(written, receivers), senders.Length);
            return metric.Measure(model, final, inputs.Measured).MoveToOuterDisposeScope();
        }
    }
}
