using System.Diagnostics;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
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
/// <item>Receivers such as <c>L9H6.q</c> take their queries, keys or values, at all positions, from that stream at their layer's input. The
/// base run is run again with these values in place and nothing else frozen, and the metric is measured on it. Several receivers are
/// replaced in one run, each with its value of stage one, whatever receivers before it change.</item>
/// </list>
/// A sender in the receivers' layer or after it has no path to them; its metric is the base run's.
/// <para>
/// All heads of a layer send in one batch. It is one synchronous call, since dispose scopes and inference mode belong to the thread. A batch
/// that runs out of memory is done again in halves. One thread at a time may use a patcher.
/// </para>
/// </summary>
public sealed class PathPatcher
{
    private readonly Transformer _model;
    private readonly IMetric _metric;
    private readonly MemoryBudget _budget;
    private readonly HalvingBatches _batches = new();

    /// <summary>Makes a patcher.</summary>
    /// <param name="model">The model.</param>
    /// <param name="metric">What is measured.</param>
    /// <param name="budget">How much memory a batch of patched runs may take.</param>
    public PathPatcher(Transformer model, IMetric metric, MemoryBudget budget)
    {
        _model = model;
        _metric = metric;
        _budget = budget;
    }

    /// <summary>Patches the paths from every head of a layer to the receivers: one sender a run, many runs a batch.</summary>
    /// <param name="senderLayer">The senders' layer.</param>
    /// <param name="measured">The chunk's pairs, all of one length, and what a metric may need of them.</param>
    /// <param name="baselines">Their unpatched metrics: the result where there is no path, or nothing to replace.</param>
    /// <param name="sourceZ">hook_z of the senders' layer in the source run, [pairs, heads, position, d_head].</param>
    /// <param name="layers">
    /// The base run's senders' layer and all layers after it, in order. Not looked at, nor <paramref name="sourceZ"/>, where
    /// <see cref="PathOptions.Reaches"/> says that there is no path.
    /// </param>
    /// <param name="options">The receivers, where and which way.</param>
    /// <param name="progress">Told after each batch how many patched runs it made.</param>
    /// <param name="cancellation">Looked at before each batch.</param>
    /// <returns>The metric of every patched run; head h is that of the sender h.</returns>
    /// <exception cref="InvalidInputException">The model has no such receivers.</exception>
    /// <exception cref="ArgumentException">Not as many layers as there are from the senders' on.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The pairs have no such position.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="InsufficientMemoryException">Not even one sender at a time fits into the device's memory.</exception>
    public LayerPatches Patch(
        int senderLayer,
        MeasuredPairs measured,
        IReadOnlyList<Baseline> baselines,
        Tensor sourceZ,
        IReadOnlyList<HeadActivations> layers,
        PathOptions options,
        Action<long>? progress = null,
        CancellationToken cancellation = default)
    {
        long started = Stopwatch.GetTimestamp();
        ModelConfig config = _model.Config;
        if (options.Faults(config) is { Count: > 0 } faults)
        {
            throw new InvalidInputException(faults);
        }

        IReadOnlyList<TokenPair> pairs = measured.Pairs;
        Receiver[] receivers = [.. options.Receivers.Where(receiver => receiver.IsAfter(senderLayer))];
        if (receivers.Length > 0 && layers.Count != config.Layers - senderLayer)
        {
            throw new ArgumentException($"{layers.Count} layers, not the {config.Layers - senderLayer} from layer {senderLayer} on.", nameof(layers));
        }

        int heads = config.Heads, length = pairs[0].Length;
        IReadOnlyList<int?>[] places = [.. pairs.Select(options.Positions.In)];  // [pair][row]: the position that is replaced; null: all
        int firstDifference = pairs.Min(pair => pair.FirstDifference);

        // No attention between the sender and these looks from one position at another, and the metric is read at the last.
        bool onlyLastPosition = receivers.All(receiver => receiver.IsLogits || (receiver.Layer == config.Layers - 1 && receiver.Input == ReceiverInput.Q));

        // [pair][row][head]: the unpatched metric, until a patched run says otherwise.
        double[][][] metric = [.. baselines.Select((baseline, pair) => places[pair].Select(_ => Unpatched(baseline)).ToArray())];
        long runs = 0;
        for (int row = 0; row < places.Max(place => place.Count) && receivers.Length > 0; row++)
        {
            // The pairs of a chunk may be patched at different positions, and some have fewer rows than others.
            int[] changed = [.. Enumerable.Range(0, pairs.Count).Where(pair => row < places[pair].Count && Changes(pair, places[pair][row]))];
            if (changed.Length == 0)
            {
                continue;
            }

            int[]? positions = places[changed[0]][row] is null ? null : [.. places.Select((place, pair) => changed.Contains(pair) ? place[row]!.Value : -1)];
            int start = onlyLastPosition ? length - 1 : positions is null ? firstDifference : changed.Min(pair => positions[pair]);
            int end = positions is null ? length : changed.Max(pair => positions[pair]) + 1;
            double[] values = PatchAt(positions, start, replaced: end - start); // [head * pair]
            foreach (int pair in changed)
            {
                metric[pair][row] = [.. Enumerable.Range(0, heads).Select(head => values[(head * pairs.Count) + pair])];
            }
        }

        return new LayerPatches(senderLayer, [.. pairs.Select(pair => pair.Index)], metric, runs, Stopwatch.GetElapsedTime(started).TotalSeconds);

        double[] Unpatched(Baseline baseline) =>
            [.. Enumerable.Repeat(options.Direction == Direction.Denoise ? baseline.Corrupted : baseline.Clean, heads)];

        // Not where the two runs are still the same, nor where nothing after it looks at that position.
        bool Changes(int pair, int? position) =>
            (position ?? length - 1) >= pairs[pair].FirstDifference && !(onlyLastPosition && (position ?? length - 1) != length - 1);

        double[] PatchAt(int[]? positions, int start, int replaced)
        {
            using var mode = inference_mode();
            using var scope = NewDisposeScope();
            Tensor z = layers[0].Z.narrow(2, start, replaced);
            Tensor change = Replacement.At(sourceZ.narrow(2, start, replaced), z, positions, start) - z; // [pairs, heads, replaced, d_head]
            Tensor output = _model.Weights.Layers[senderLayer].OutputWeight.unflatten(0, [heads, config.HeadWidth]); // [heads, d_head, d_model]
            var sender = new SenderRun(_model, senderLayer, layers, options.FreezeMlps, start, replaced);
            var receiver = new ReceiverRun(_model, senderLayer, layers, start);
            List<Tensor> batches = _batches.Run(
                heads, _budget.RunsPerBatch(_model, pairs.Count, length - start, length), Measure, Made, TooLittle, cancellation);
            return [.. cat(batches, 0).to(ScalarType.Float64).cpu().data<double>()];

            // [batch, pairs]
            Tensor Measure(int first, int batch)
            {
                using var batchScope = NewDisposeScope();
                Tensor rows = change.narrow(1, first, batch).transpose(0, 1).flatten(1, 2); // [batch, pairs * replaced, d_head]
                Tensor written = rows.bmm(output.narrow(0, first, batch)).unflatten(1, [pairs.Count, replaced]); // [batch, pairs, replaced, d_model]
                Tensor final = receivers[0].IsLogits                          // [batch, pairs, d_model]
                    ? sender.Final(written).select(2, -1)
                    : receiver.Final(sender.Received(written, receivers), batch);
                return _metric.Measure(_model, final, measured).MoveToOuterDisposeScope();
            }
        }

        void Made(int batch)
        {
            runs += (long)batch * pairs.Count;
            progress?.Invoke((long)batch * pairs.Count);
        }

        InsufficientMemoryException TooLittle(Exception cause) => OutOfMemory.OfOneHead(senderLayer, pairs.Count, length, _model.Device, cause);
    }
}
