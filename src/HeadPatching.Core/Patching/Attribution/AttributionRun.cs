using System.Diagnostics;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Patching.Interventions;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Attribution;

/// <summary>
/// Estimates the patch of every head and position from one forward and one backward pass of the run that is patched (Nanda 2023,
/// "Attribution Patching"; Syed et al. 2023, "Attribution Patching Outperforms Automated Circuit Discovery"): to first order the patched
/// metric is
/// <code>metric(base) + sum over positions and d_head of (source activation - base activation) * d metric(base) / d activation</code>
/// with the gradient that <see cref="Gradient"/> says. It is exact only where the metric is linear between the two runs; it is worst for q
/// and k of heads whose attention is saturated (Kramár et al. 2024, "AtP*"). Where the run that is patched is at a metric's extremum, as the
/// clean run is at that of a divergence from the clean run, every slope is 0, and the estimates say nothing.
/// <para>
/// The pattern needs no gradient of its own. Its head's z is linear in it, so that its estimate is the gradient of z times the change
/// that the replaced pattern makes to z.
/// </para>
/// <para>
/// <see cref="Start"/> makes the two passes; then <see cref="Estimate"/> takes the layers one by one, in any order, so that their cached
/// activations can be read and freed in turn. Between two calls only the gradients are held, and a caller may await in between: no
/// dispose scope or grad mode outlives a call.
/// </para>
/// </summary>
public sealed class AttributionRun : IDisposable
{
    private readonly Transformer _model;
    private readonly IReadOnlyList<TokenPair> _pairs;
    private readonly double[] _unpatched; // the metric of the run that is patched, by pair
    private readonly PatchOptions _options;
    private readonly Tensor[] _gradients; // by layer, [pairs, units, position, d_head]
    private readonly double _secondsPerLayer;

    private AttributionRun(
        Transformer model, IReadOnlyList<TokenPair> pairs, double[] unpatched, PatchOptions options, Tensor[] gradients, double secondsPerLayer)
    {
        _model = model;
        _pairs = pairs;
        _unpatched = unpatched;
        _options = options;
        _gradients = gradients;
        _secondsPerLayer = secondsPerLayer;
    }

    /// <summary>The patches that have an estimate.</summary>
    public static IReadOnlyList<Patch> Patches { get; } = [Patch.Z, Patch.Pattern, Patch.V, Patch.Q, Patch.K];

    /// <summary>Runs a chunk of pairs forwards and backwards, in as many batches as the memory budget asks for.</summary>
    /// <param name="model">The model. Its weights need no gradients, and get none.</param>
    /// <param name="metric">What is measured; it must have a gradient.</param>
    /// <param name="measured">The chunk's pairs, all of one length, and what a metric may need of them.</param>
    /// <param name="baselines">Their unpatched metrics.</param>
    /// <param name="options">What to patch, where and which way.</param>
    /// <param name="budget">How much memory a batch may take.</param>
    /// <param name="gradient">Which gradient.</param>
    /// <param name="cancellation">Looked at before each batch.</param>
    /// <returns>The gradients, ready for estimates; the caller disposes of them.</returns>
    /// <exception cref="InvalidInputException">The patch has no estimate, or the metric no gradient.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The pairs have no such position.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="InsufficientMemoryException">Not even one pair at a time fits into the device's memory.</exception>
    public static AttributionRun Start(
        Transformer model,
        IMetric metric,
        MeasuredPairs measured,
        IReadOnlyList<Baseline> baselines,
        PatchOptions options,
        MemoryBudget budget,
        Gradient gradient = Gradient.FrozenNorms,
        CancellationToken cancellation = default)
    {
        long started = Stopwatch.GetTimestamp();
        IReadOnlyList<TokenPair> pairs = measured.Pairs;
        int length = pairs[0].Length;
        bool denoise = options.Direction == Direction.Denoise;
        foreach (TokenPair pair in pairs)
        {
            options.Positions.In(pair);
        }

        if (!Patches.Contains(options.Patch))
        {
            throw new InvalidInputException(
                FaultKinds.InvalidOption,
                "patch",
                $"There is no estimate of this patch, only of {string.Join(", ", Patches.Select(patch => patch.NameOf()))}. Use the exact method.");
        }

        using var scope = NewDisposeScope();
        Transformer differentiated = gradient == Gradient.Plain ? model : model.WithFrozenNorms();
        List<Tensor[]> batches = model.Weights.Streamed is not null ? LayerByLayer() : HalvingBatches.Run( // each by layer
            model,
            pairs.Count,
            budget.Batch(model),
            (count, memory) => MemoryBudget.CutBackward(model, count, length, memory),
            (first, batch) => Gradients(first, batch.Count),
            TooLittle,
            cancellation);
        Tensor[] gradients = [.. Enumerable.Range(0, model.Config.Layers).Select(OfAllBatches)];

        // All of them are there: from here nothing can fail, and until here the scope frees what there is.
        foreach (Tensor ofLayer in gradients)
        {
            ofLayer.DetachFromDisposeScope();
        }

        return new AttributionRun(
            model,
            pairs,
            [.. baselines.Select(baseline => denoise ? baseline.Corrupted : baseline.Clean)],
            options,
            gradients,
            Stopwatch.GetElapsedTime(started).TotalSeconds / model.Config.Layers);

        // [pairs, units, position, d_head]; the batches' own are freed layer by layer, so that there are never two of all layers.
        Tensor OfAllBatches(int layer)
        {
            Tensor[] parts = [.. batches.Select(batch => batch[layer])];
            if (parts.Length == 1)
            {
                return parts[0];
            }

            Tensor joined = cat(parts);
            foreach (Tensor part in parts)
            {
                part.Dispose();
            }

            return joined;
        }

        // By layer, [batch, units, position, d_head]
        Tensor[] Gradients(int first, int batch)
        {
            using var mode = enable_grad();
            using var batchScope = NewDisposeScope();
            TokenPair[] those = [.. pairs.Skip(first).Take(batch)];

            // The graph starts here: the weights ask for no gradient.
            Tensor resid = Embed(those).requires_grad_(true);
            var activations = new List<Tensor>();                             // by layer, [batch, units, position, d_head]
            for (int layer = 0; layer < model.Config.Layers; layer++)
            {
                // Of what the layer made, the graph keeps what its backward needs; the rest is freed here.
                using var layerScope = NewDisposeScope();
                var (wanted, post) = Through(layer, resid);
                resid = post.MoveToOuterDisposeScope();
                activations.Add(wanted.MoveToOuterDisposeScope());
            }

            return [.. autograd.grad([Measured(resid, first, those)], activations).Select(gradient => gradient.MoveToOuterDisposeScope())];
        }

        // By batch and layer. Streamed weights are gone through once forwards and once backwards by all batches, each layer's graph made again for its own backward: the same operations on the same numbers.
        List<Tensor[]> LayerByLayer()
        {
            using var mode = enable_grad();
            using var passScope = NewDisposeScope();
            (int First, TokenPair[] Pairs)[] cut = [.. Cut()];
            int layers = model.Config.Layers;
            Tensor[][] resid = [.. cut.Select(batch => new Tensor[layers + 1])]; // by batch, before each layer and after the last, [batch, position, d_model]
            for (int batch = 0; batch < cut.Length; batch++)
            {
                resid[batch][0] = Embed(cut[batch].Pairs).requires_grad_(true);
            }

            for (int layer = 0; layer < layers; layer++)
            {
                cancellation.ThrowIfCancellationRequested();
                foreach (Tensor[] ofBatch in resid)
                {
                    using var scope = NewDisposeScope();
                    ofBatch[layer + 1] = Through(layer, ofBatch[layer]).Post.detach().requires_grad_(true).MoveToOuterDisposeScope();
                }
            }

            Tensor[] gradient = [.. cut.Select((batch, index) => autograd.grad([Measured(resid[index][layers], batch.First, batch.Pairs)], [resid[index][layers]])[0])]; // of the stream
            List<Tensor[]> wantedGradients = [.. cut.Select(_ => new Tensor[layers])];
            for (int layer = layers - 1; layer >= 0; layer--)
            {
                cancellation.ThrowIfCancellationRequested();
                for (int batch = 0; batch < cut.Length; batch++)
                {
                    using var scope = NewDisposeScope();
                    var (wanted, post) = Through(layer, resid[batch][layer]);
                    IList<Tensor> gradients = autograd.grad([post], [resid[batch][layer], wanted], [gradient[batch]]);
                    gradient[batch].Dispose();
                    gradient[batch] = gradients[0].MoveToOuterDisposeScope();
                    wantedGradients[batch][layer] = gradients[1].MoveToOuterDisposeScope().MoveToOuterDisposeScope();
                    resid[batch][layer + 1].Dispose();
                }
            }

            return wantedGradients;
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

        // [batch, position, d_model]
        Tensor Embed(TokenPair[] those)
        {
            long[] ids = [.. those.SelectMany(pair => denoise ? pair.Corrupted : pair.Clean).Select(id => (long)id)];
            return differentiated.Embed(tensor(ids, device: model.Device).reshape(those.Length, length));
        }

        // What is estimated, [batch, units, position, d_head], and the stream after the layer.
        (Tensor Wanted, Tensor Post) Through(int layer, Tensor resid)
        {
            var (q, k, v) = differentiated.QueryKeyValue(layer, resid);
            Tensor z = differentiated.Attend(layer, q, k, v);
            return (options.Patch switch { Patch.Q => q, Patch.K => k, Patch.V => v, _ => z }, differentiated.ResidPost(layer, resid, z));
        }

        // The sum over the pairs. No pair's metric depends on another pair, so that its gradient holds the gradient of each.
        Tensor Measured(Tensor resid, int first, TokenPair[] those)
        {
            // A tensor of inference mode cannot be part of a graph: the clean run's end is copied.
            Tensor cleanFinal = measured.CleanFinal.narrow(0, first, those.Length).clone();
            Tensor values = metric.Measure(differentiated, resid.select(1, -1).unsqueeze(0), new MeasuredPairs(those, cleanFinal)); // [1, batch]
            return values.requires_grad ? values.sum() : throw new InvalidInputException(
                FaultKinds.InvalidOption, "metric", $"{metric.Name} has no gradient, so there is no estimate of it. Use the exact method.");
        }

        InsufficientMemoryException TooLittle(Exception cause) => new(
            $"Not even one pair of {length} tokens fits into the memory of the device ({model.Device}) with what its backward pass needs. "
            + "The exact method needs less; bfloat16 weights leave more room than float32's.",
            cause);
    }

    /// <summary>Estimates the patch of every head of a layer.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="activations">The pairs' activations, as far as they are needed: <see cref="NeededTensors.OfEstimate"/>.</param>
    /// <returns>
    /// The estimated metric of every patch, in the form of patched runs, of which none was made; its time holds the layer's share of the
    /// two passes.
    /// </returns>
    public LayerPatches Estimate(int layer, ChunkActivations activations)
    {
        long started = Stopwatch.GetTimestamp();
        int start = activations.Start, live = _pairs[0].Length - start;
        double[] changes;                                                     // [pair * unit * live position]
        int units;
        using (inference_mode())
        using (NewDisposeScope())
        using (var runs = new PatchedAndSource(_model, activations, _options.Direction))
        {
            ScalarType wide = _model.StreamDtype;
            Tensor gradient = _gradients[layer].narrow(2, start, live);
            Tensor change = Change(layer, runs.Source(layer), runs.Patched(layer), start).to(wide) * gradient.to(wide); // [pairs, units, live, d_head]
            units = (int)change.shape[1];
            changes = [.. change.sum(-1).to(ScalarType.Float64).cpu().data<double>()];
        }

        double[][][] metric =                                                 // [pair][row][unit]
        [
            .. _pairs.Select((pair, index) => _options.Positions.In(pair).Select(position =>
                Enumerable.Range(0, units).Select(unit => _unpatched[index] + ChangeAt(index, unit, position)).ToArray()).ToArray()),
        ];
        return new LayerPatches(
            layer, [.. _pairs.Select(pair => pair.Index)], metric, PatchedRuns: 0, _secondsPerLayer + Stopwatch.GetElapsedTime(started).TotalSeconds);

        // Before the prompts first differ the two runs are the same; what is left of their difference there is rounding.
        double ChangeAt(int pair, int unit, int? position)
        {
            ReadOnlySpan<double> own = changes.AsSpan(((pair * units) + unit) * live, live);
            double sum = 0;
            for (int p = Math.Max(position ?? 0, _pairs[pair].FirstDifference); p <= (position ?? _pairs[pair].Length - 1); p++)
            {
                sum += own[p - start];
            }

            return sum;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (Tensor gradient in _gradients)
        {
            gradient.Dispose();
        }
    }

    /// <summary>What the patch changes in the tensor whose gradient was taken, from a position on, [pairs, units, positions from it, d_head].</summary>
    private Tensor Change(int layer, HeadActivations source, HeadActivations patched, int start) => _options.Patch switch
    {
        Patch.Q => source.Q(start) - patched.Q(start),
        Patch.K => (source.KeysValues.K - patched.KeysValues.K).narrow(2, start, _pairs[0].Length - start),
        Patch.V => (source.KeysValues.V - patched.KeysValues.V).narrow(2, start, _pairs[0].Length - start),
        Patch.Pattern => ZWithPatternOf(layer, source, patched, start) - ZWithPatternOf(layer, patched, patched, start),
        _ => source.Z(start) - patched.Z(start),
    };

    /// <summary>[pairs, heads, positions from <paramref name="start"/>, d_head]</summary>
    private Tensor ZWithPatternOf(int layer, HeadActivations source, HeadActivations patched, int start) =>
        new ReplacePattern().ReplacedZ(_model, layer, source, patched, where: null, start);
}
