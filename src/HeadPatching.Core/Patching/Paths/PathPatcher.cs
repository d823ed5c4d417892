using HeadPatching.Core.Circuits;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
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
/// Heads of a layer send together, and many of them go through the layers at a time, each layer in both stages: so a pass over the weights is enough for both.
/// It is one synchronous call, since dispose scopes and inference mode belong to the thread. A batch that runs out of memory is done again in halves.
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

        IReadOnlyList<TokenPair> pairs = inputs.Pairs;
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
            layer => options.Reach(config.Layers, layer),
            options.StreamsOfRun);
        return grid.Run(budget, Runs, progress, cancellation);

        IEnumerable<int> Runs(PatchPlace place, int start, IReadOnlyList<PatchedRun> batch, int tile, Action<Tensor> measured)
        {
            Tensor? where = place.Where(model.Device);                        // [pairs, position]
            int sendersAtOnce = Math.Max(1, tile / pairs.Count);
            Sending[] senders =
            [
                .. batch.GroupBy(run => run.Layer).SelectMany(layer => layer.Chunk(sendersAtOnce).Select(some =>
                    new Sending(model, options, layer.Key, [.. some.Select(run => run.Unit)], runs.Patched, start, place.End - start))),
            ];
            try
            {
                for (int layer = batch.Min(run => run.Layer); layer < config.Layers; layer++)
                {
                    yield return layer;
                    Through(layer);
                }

                yield return config.Layers;                                   // the unembedding, after all layers of all batches
                measured(cat([.. senders.Select(one => metric.Measure(model, one.Final, inputs.Measured))]));
            }
            finally
            {
                Array.ForEach(senders, one => one.Dispose());
            }

            void Through(int layer)
            {
                using var scope = NewDisposeScope();
                Sending[] here = [.. senders.Where(one => one.Layer <= layer)];
                Func<int[], Tensor>? written = here.Any(one => one.Layer == layer)
                    ? patch.Change(model, layer, runs.Source(layer), runs.Patched(layer), where, start)
                    : null;
                Prepare(layer, start);
                ComputeThreads.ForEach(here.Length, one =>
                {
                    cancellation.ThrowIfCancellationRequested();
                    here[one].Through(layer, written);
                });
            }
        }

        // Before the threads begin: what follows from the cached activations is made when it is first asked for.
        void Prepare(int layer, int start)
        {
            if (options.Receivers.Any(receiver => receiver.IsLogits || receiver.Layer >= layer))
            {
                _ = runs.Patched(layer);
            }

            if (options.Receivers.Any(receiver => receiver.Layer == layer))
            {
                _ = (runs.Patched(layer).Q(start), runs.Patched(layer).KeysValues);
            }
            else if (start > 0 && options.Receivers.Any(receiver => !receiver.IsLogits && receiver.Layer < layer))
            {
                _ = runs.Patched(layer).KeysValuesBefore(start);
            }
        }
    }

    /// <summary>Some senders of a layer, in one batch: both stages go through each layer together.</summary>
    private sealed class Sending(Transformer model, PathOptions options, int layer, int[] senders, Func<int, HeadActivations> patched, int start, int count) : IDisposable
    {
        private readonly SenderRun _sent = new(model, options.From, layer, [.. options.ReceiversOf(layer)], patched, options.FreezeMlps, start, count);
        private readonly ReceiverRun _received = new(model, patched, start, senders.Length);

        /// <summary>The senders' layer.</summary>
        public int Layer => layer;

        /// <summary>resid_post of the last layer at the last position, where all layers are gone through, [senders, pairs, d_model].</summary>
        public Tensor Final => options.Receivers[0].IsLogits ? _sent.Final.select(2, -1) : _received.Final;

        /// <summary>Goes through a layer, from the senders' on.</summary>
        /// <param name="at">The layer.</param>
        /// <param name="written">Asked for in the senders' layer: how each of some of them changes the stream, [senders, pairs, positions, d_model].</param>
        public void Through(int at, Func<int[], Tensor>? written) => _received.Through(at, _sent.Through(at, () => written!(senders).narrow(2, 0, count)));

        /// <inheritdoc/>
        public void Dispose()
        {
            _sent.Dispose();
            _received.Dispose();
        }
    }
}
