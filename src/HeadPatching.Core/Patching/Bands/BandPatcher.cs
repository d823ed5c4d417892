using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Patching.Interventions;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Bands;

/// <summary>
/// Patches every head (or the layer as a whole) of a band of layers over a chunk of pairs: the intervention says what each patch writes into
/// the residual stream in addition, the suffix run carries all of them to the end together, the metric reads them. All of it is one
/// synchronous call, since dispose scopes and inference mode belong to the thread. A batch that runs out of memory is done again in halves.
/// </summary>
/// <param name="model">The model.</param>
/// <param name="metric">What is measured.</param>
/// <param name="budget">How much memory a batch of patched runs may take.</param>
public sealed class BandPatcher(Transformer model, IMetric metric, MemoryBudget budget)
{
    /// <summary>Patches a band: one head a run, many runs a batch.</summary>
    /// <param name="inputs">The band, its pairs and activations.</param>
    /// <param name="options">What to patch, where and which way.</param>
    /// <param name="progress">Told after each batch how many patched runs it made.</param>
    /// <param name="cancellation">Looked at before each step of a batch.</param>
    /// <returns>The metric of every patched run, by layer.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The pairs have no such position.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="InsufficientMemoryException">Not even one head at a time fits into the device's memory.</exception>
    public IReadOnlyList<LayerPatches> Patch(
        BandInputs inputs, PatchOptions options, Action<long>? progress = null, CancellationToken cancellation = default)
    {
        IReadOnlyList<TokenPair> pairs = inputs.Pairs;
        int units = Units.Of(model.Config, options.Patch), length = pairs[0].Length;
        ILayerPatch patch = LayerPatchFor.Patch(options.Patch);
        StreamPoint point = patch.Point(model.Config);
        using var runs = new PatchedAndSource(model, inputs.Activations, options.Direction);
        var grid = new PatchGrid(
            model,
            inputs,
            options.Direction,
            units,
            PatchPlace.Of(pairs, options.Positions, beforeDifference: options.Ablation is not null),
            layer => patch.Reach(model.Config.Layers, layer));
        return grid.Run(budget, Runs, progress, cancellation);

        IEnumerable<int> Runs(PatchPlace place, int start, IReadOnlyList<PatchedRun> batch, int tile, Action<Tensor> measured)
        {
            Tensor? where = place.Where(model.Device);                        // [pairs, position]
            var suffix = new SuffixRun(model, pairs.Count, start, length, layer => runs.Patched(layer).KeysValuesBefore(start), tile, cancellation);
            Tensor final = null!;                                             // [runs, pairs, d_model]
            IEnumerable<int> steps = suffix.Steps(
                [.. batch.GroupBy(run => run.Layer).Select(layer => Joining(layer.Key, [.. layer.Select(run => run.Unit)]))], ends => final = ends);
            foreach (int layer in steps)
            {
                yield return layer;
            }

            yield return model.Config.Layers;                                 // the unembedding, after all layers of all batches
            measured(metric.Measure(model, final, inputs.Measured));

            // The stream as it was, and what each patch writes in addition.
            JoiningStreams Joining(int layer, int[] chosen) => new(
                layer,
                point,
                chosen.Length,
                from => patch.Change(model, layer, Source(layer), runs.Patched(layer), where, from)(chosen)
                    .AddInPlace(runs.Patched(layer).Stream(point, from)));
        }

        HeadActivations Source(int layer) => options.Ablation switch
        {
            null => runs.Source(layer),
            Ablation.Zero => WithZ(layer, zeros_like(OwnZ(layer))),
            Ablation.ValueBias => WithZ(layer, model.ValueBias(layer).expand(OwnZ(layer).shape)),
            _ => WithZ(
                layer,
                inputs.AblatedZ?.GetValueOrDefault(layer) ?? throw new ArgumentException($"{options.Ablation} ablation needs the z that is put in.", nameof(inputs))),
        };

        Tensor OwnZ(int layer) => runs.Patched(layer).Z(inputs.Activations.Start);

        HeadActivations WithZ(int layer, Tensor z) => new(model, layer, new RunActivations(null, z), prefix: null, inputs.Activations.Start);
    }
}
