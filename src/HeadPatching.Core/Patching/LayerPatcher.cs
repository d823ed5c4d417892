using System.Diagnostics;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching.Interventions;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching;

/// <summary>
/// Patches every head of one layer (or the layer as a whole) over a chunk of pairs: the intervention says what each patch writes into the
/// residual stream in addition, the suffix run carries it to the end, the metric reads it. All of it is one synchronous call, since
/// dispose scopes and inference mode belong to the thread. A batch that runs out of memory is done again in halves. One thread at a time
/// may use a patcher.
/// </summary>
public sealed class LayerPatcher
{
    private readonly Transformer _model;
    private readonly IMetric _metric;
    private readonly MemoryBudget _budget;
    private readonly HalvingBatches _batches = new();

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

    /// <summary>Patches a layer: one head a run, many runs a batch.</summary>
    /// <param name="inputs">The layer, its pairs and activations.</param>
    /// <param name="options">What to patch, where and which way.</param>
    /// <param name="progress">Told after each batch how many patched runs it made.</param>
    /// <param name="cancellation">Looked at before each batch.</param>
    /// <returns>The metric of every patched run.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The pairs have no such position.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="InsufficientMemoryException">Not even one head at a time fits into the device's memory.</exception>
    public LayerPatches Patch(LayerInputs inputs, PatchOptions options, Action<long>? progress = null, CancellationToken cancellation = default)
    {
        long started = Stopwatch.GetTimestamp();
        using var layerScope = NewDisposeScope();
        int layer = inputs.Layer;
        IReadOnlyList<TokenPair> pairs = inputs.Measured.Pairs;
        HeadActivations patched = inputs.Activations.Base(options.Direction);
        HeadActivations source = Source();
        ILayerPatch patch = LayerPatchFor.Patch(options.Patch);
        StreamPoint point = patch.Point(_model.Config);
        bool onlyLast = layer == _model.Config.Layers - 1 && point != StreamPoint.Pre; // nothing looks at what other positions have there
        int units = Units.Of(_model.Config, options.Patch), length = pairs[0].Length;
        int[] chosen = [.. inputs.OnlyHeads ?? [.. Enumerable.Range(0, units)]];
        IReadOnlyList<int?>[] places = [.. pairs.Select(options.Positions.In)];  // [pair][row]: the position that is replaced; null: all
        int[] firstDifference = [.. pairs.Select(pair => options.Ablation is null ? pair.FirstDifference : 0)];
        int earliest = firstDifference.Min();
        KeysValues?[] keysValues = [.. Enumerable.Repeat<KeysValues?>(null, layer), new KeysValues(patched.K, patched.V), .. inputs.Later];

        // [pair][row][head]: the unpatched metric, until a patched run says otherwise.
        double[][][] metric = [.. inputs.Baselines.Select((baseline, pair) => places[pair].Select(_ => Unpatched(baseline)).ToArray())];
        long runs = 0;
        for (int row = 0; row < places.Max(place => place.Count) && chosen.Length > 0; row++)
        {
            // The pairs of a chunk may be patched at different positions, and some have fewer rows than others.
            int[] changed = [.. Enumerable.Range(0, pairs.Count).Where(pair => row < places[pair].Count && Changes(pair, places[pair][row]))];
            if (changed.Length == 0)
            {
                continue;
            }

            int[]? positions = places[changed[0]][row] is null ? null : [.. places.Select((place, pair) => changed.Contains(pair) ? place[row]!.Value : -1)];
            int start = onlyLast ? length - 1 : positions is null ? earliest : changed.Min(pair => positions[pair]);
            double[] values = PatchAt(positions, start);                      // [head * pair]
            foreach (int pair in changed)
            {
                for (int unit = 0; unit < chosen.Length; unit++)
                {
                    metric[pair][row][chosen[unit]] = values[(unit * pairs.Count) + pair];
                }
            }
        }

        return new LayerPatches(layer, [.. pairs.Select(pair => pair.Index)], metric, runs, Stopwatch.GetElapsedTime(started).TotalSeconds);

        HeadActivations Source() => options.Ablation switch
        {
            null => inputs.Activations.Source(options.Direction),
            Ablation.Zero => patched with { Z = zeros_like(patched.Z) },
            Ablation.ValueBias => patched with { Z = _model.ValueBias(layer).expand(patched.Z.shape) },
            _ => patched with { Z = inputs.AblatedZ ?? throw new ArgumentException($"{options.Ablation} ablation needs the z that is put in.", nameof(inputs)) },
        };

        double[] Unpatched(Baseline baseline) =>
            [.. Enumerable.Repeat(options.Direction == Direction.Denoise ? baseline.Corrupted : baseline.Clean, units)];

        // Not where the two runs are still the same, nor where nothing after it looks at that position.
        bool Changes(int pair, int? position) =>
            (position ?? length - 1) >= firstDifference[pair] && !(onlyLast && patch.OnlyOwnPosition && (position ?? length - 1) != length - 1);

        double[] PatchAt(int[]? positions, int start)
        {
            using var mode = inference_mode();
            using var scope = NewDisposeScope();
            int count = length - start;                                       // positions that are recomputed
            Tensor resid = patched.Stream(_model, layer, point, start);       // [pairs, count, d_model]
            Func<int[], Tensor> change = patch.Change(_model, layer, source, patched, positions, start);
            List<Tensor> batches = _batches.Run(
                chosen.Length,
                _budget.RunsPerBatch(_model, pairs.Count, count, length),
                (first, batch) => Measure(chosen[first..(first + batch)]),
                Made,
                TooLittle,
                cancellation);
            return [.. cat(batches, 0).to(ScalarType.Float64).cpu().data<double>()];

            // [batch, pairs]
            Tensor Measure(int[] batch)
            {
                using var batchScope = NewDisposeScope();
                Tensor changed = change(batch).AddInPlace(resid);          // [batch, pairs, count, d_model]
                Tensor final = SuffixRun.Run(_model, layer, point, changed, keysValues); // [batch, pairs, d_model]
                return _metric.Measure(_model, final, inputs.Measured).MoveToOuterDisposeScope();
            }
        }

        void Made(int batch)
        {
            runs += (long)batch * pairs.Count;
            progress?.Invoke((long)batch * pairs.Count);
        }

        InsufficientMemoryException TooLittle(Exception cause) => OutOfMemory.OfOneHead(layer, pairs.Count, length, _model.Device, cause);
    }
}
