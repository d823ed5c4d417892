using System.Diagnostics;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Interventions;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching;

/// <summary>
/// Patches every head of one layer over a chunk of pairs: the intervention gives each head's replaced z, the suffix run carries it to
/// the end, the metric reads it. All of it is one synchronous call, since dispose scopes and inference mode belong to the thread. A batch
/// that runs out of memory is done again in halves. One thread at a time may use a patcher.
/// </summary>
public sealed class LayerPatcher
{
    private readonly Transformer _model;
    private readonly IMetric _metric;
    private readonly MemoryBudget _budget;
    private int _fits = int.MaxValue; // heads in one batch, as far as running out of memory has taught

    /// <summary>Makes a patcher.</summary>
    /// <param name="model">The model.</param>
    /// <param name="metric">What is measured.</param>
    /// <param name="budget">How much memory a batch of patched runs may take.</param>
    public LayerPatcher(Transformer model, IMetric metric, MemoryBudget budget)
    {
        _model = model;
        _metric = metric;
        _budget = budget;
    }

    /// <summary>Patches every head of a layer: one head a run, many runs a batch.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="pairs">The chunk's pairs, all of one length.</param>
    /// <param name="baselines">Their unpatched metrics: the result where a patch cannot change anything.</param>
    /// <param name="activations">The layer's activations over the pairs.</param>
    /// <param name="later">Keys and values of all later layers in the run that is patched.</param>
    /// <param name="options">What to patch, where and which way.</param>
    /// <param name="progress">Told after each batch how many patched runs it made.</param>
    /// <param name="cancellation">Looked at before each batch.</param>
    /// <returns>The metric of every patched run.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The pairs have no such position.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="InsufficientMemoryException">Not even one head at a time fits into the device's memory.</exception>
    public LayerPatches Patch(
        int layer,
        IReadOnlyList<TokenPair> pairs,
        IReadOnlyList<Baseline> baselines,
        LayerActivations activations,
        IReadOnlyList<KeysValues> later,
        PatchOptions options,
        Action<long>? progress = null,
        CancellationToken cancellation = default)
    {
        long started = Stopwatch.GetTimestamp();
        IIntervention intervention = InterventionFor.Patch(options.Patch);
        HeadActivations source = activations.Source(options.Direction);
        HeadActivations patched = activations.Base(options.Direction);
        int heads = _model.Config.Heads, length = pairs[0].Length;
        bool lastLayer = layer == _model.Config.Layers - 1;
        int?[] positions = options.Positions.IsEach ? [.. Enumerable.Range(0, length).Cast<int?>()] : [options.Positions.Resolve(length)];
        int firstDifference = pairs.Min(pair => pair.FirstDifference);

        // [pair][position][head]: the unpatched metric, until a patched run says otherwise.
        double[][][] metric = [.. baselines.Select(baseline => positions.Select(_ => Unpatched(baseline)).ToArray())];
        long runs = 0;
        for (int i = 0; i < positions.Length; i++)
        {
            int? position = positions[i];
            if ((position ?? length - 1) < firstDifference || (lastLayer && intervention.OnlyOwnPosition && (position ?? length - 1) != length - 1))
            {
                continue; // The two runs are still the same there, or nothing after it looks at that position.
            }

            double[] values = PatchAt(position, start: lastLayer ? length - 1 : position ?? firstDifference); // [head * pair]
            for (int pair = 0; pair < pairs.Count; pair++)
            {
                // Pairs of one chunk may first differ at different positions; what is before a pair's own difference is left as it was.
                if ((position ?? length - 1) >= pairs[pair].FirstDifference)
                {
                    metric[pair][i] = [.. Enumerable.Range(0, heads).Select(head => values[(head * pairs.Count) + pair])];
                }
            }
        }

        return new LayerPatches(layer, [.. pairs.Select(pair => pair.Index)], metric, runs, Stopwatch.GetElapsedTime(started).TotalSeconds);

        double[] Unpatched(Baseline baseline) =>
            [.. Enumerable.Repeat(options.Direction == Direction.Denoise ? baseline.Corrupted : baseline.Clean, heads)];

        double[] PatchAt(int? position, int start)
        {
            using var mode = inference_mode();
            using var scope = NewDisposeScope();
            int count = length - start;                                       // positions that are recomputed
            Tensor z = intervention.ReplacedZ(_model, layer, source, patched, position, start); // [pairs, heads, count, d_head]
            Tensor change = z - patched.Z.narrow(2, start, count);
            Tensor residMid = patched.ResidMid.narrow(1, start, count);       // [pairs, count, d_model]
            Tensor output = _model.Weights.Layers[layer].OutputWeight.unflatten(0, [heads, _model.Config.HeadWidth]); // [heads, d_head, d_model]
            int runsPerBatch = _budget.RunsPerBatch(_model, pairs.Count, count, length);
            var measured = new List<Tensor>();
            int first = 0;
            while (first < heads)
            {
                cancellation.ThrowIfCancellationRequested();
                int batch = Math.Min(Math.Min(runsPerBatch, _fits), heads - first);
                try
                {
                    measured.Add(Measure(first, batch));
                }
                catch (Exception e) when (OutOfMemory.Is(e))
                {
                    // What the batch had allocated is freed by now: its dispose scopes are left.
                    _fits = batch > 1 ? batch / 2 : throw TooLittle(e);
                    continue;
                }

                first += batch;
                runs += (long)batch * pairs.Count;
                progress?.Invoke((long)batch * pairs.Count);
            }

            return [.. cat(measured, 0).to(ScalarType.Float64).cpu().data<double>()];

            // [batch, pairs]
            Tensor Measure(int first, int batch)
            {
                using var batchScope = NewDisposeScope();
                Tensor rows = change.narrow(1, first, batch).transpose(0, 1).flatten(1, 2); // [batch, pairs * count, d_head]
                Tensor written = rows.bmm(output.narrow(0, first, batch));    // what the head writes in addition, [batch, pairs * count, d_model]
                Tensor resid = written.unflatten(1, [pairs.Count, count]).add_(residMid); // [batch, pairs, count, d_model]
                Tensor final = SuffixRun.Run(_model, layer, resid, later);    // [batch, pairs, d_model]
                return _metric.Measure(_model, final, pairs).MoveToOuterDisposeScope();
            }
        }

        InsufficientMemoryException TooLittle(Exception cause) => new(
            $"Layer {layer}: not even one head over {pairs.Count} pairs of {length} tokens fits into the memory of the device ({_model.Device}). "
            + "A smaller memory budget puts fewer pairs into a chunk; bfloat16 takes half of float32.",
            cause);
    }
}
