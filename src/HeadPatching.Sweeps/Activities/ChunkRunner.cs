using System.Diagnostics;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Ablations;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using HeadPatching.Sweeps.Activities.Artifacts;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;
using static TorchSharp.torch;

namespace HeadPatching.Sweeps.Activities;

/// <summary>Does the work of a sweep chunk by chunk with a model that is lent to it; what is in the store already is not done again.</summary>
internal sealed class ChunkRunner(IArtifactStore store, StoredPlans plans, SweepPlan plan, string sweepId, LoadedModels.Lease lease, Traffic traffic) : IDisposable
{
    private readonly MemoryBudget _budget = SweepPlanner.Budget(plan.Request);
    private AblationPlan? _ablation;                                          // of all pairs
    private IReadOnlyList<MeanZ>? _means;                                     // by layer

    /// <summary>Prompts that were run for their activations.</summary>
    public int ForwardPasses { get; private set; }

    /// <summary>Makes the activations of a chunk, unless they are there.</summary>
    public async Task CacheAsync(PlannedChunk chunk, CancellationToken cancellationToken)
    {
        if (!await store.ExistsAsync(SweepArtifacts.Activations(chunk.Activations), cancellationToken))
        {
            using ChunkActivations made = await MakeAsync(chunk, cancellationToken);
        }
    }

    /// <summary>Runs a band of layers over a chunk and stores what it gave.</summary>
    public async Task<ChunkRuns> RunAsync(PlannedPart part, PlannedChunk chunk, ChunkWork work, string key, Action<long>? progress, CancellationToken cancellationToken)
    {
        int firstRead = work is ChunkWork.Estimates ? 0 : part.FirstLayer;
        long started = Stopwatch.GetTimestamp();
        ChunkActivations? known = await ActivationArtifact.ReadAsync(store, lease, chunk.Activations, firstRead, traffic, cancellationToken);
        using ChunkActivations activations = known ?? await MakeAsync(chunk, cancellationToken);
        double cacheSeconds = known is null ? Stopwatch.GetElapsedTime(started).TotalSeconds : 0;
        IMetric metric = MetricFor.Metric(work.Metric);
        var measured = new MeasuredPairs(chunk.Pairs, activations.Final.Clean);
        using AblatedZ? ablatedZ = work is ChunkWork.Heads { NeedsAllPairs: true } heads ? await AblatedZAsync(part, chunk, heads, activations, cancellationToken) : null;
        ChunkRuns runs = lease.Use(model =>
        {
            IReadOnlyList<Baseline> baselines = activations.Final.Baselines(model, metric, chunk.Pairs);
            return new ChunkRuns(baselines, Layers(model, baselines), cacheSeconds);
        });
        await RunArtifact.WriteAsync(store, key, runs, traffic, cancellationToken);
        return runs;

        IReadOnlyList<LayerPatches> Layers(Transformer model, IReadOnlyList<Baseline> baselines) => work switch
        {
            ChunkWork.Heads heads => Heads(model, part, heads, new LayerPatcher(model, metric, _budget), measured, baselines, activations, ablatedZ, progress, cancellationToken),
            ChunkWork.Paths paths => Paths(model, part, paths, new PathPatcher(model, metric, _budget), measured, baselines, activations, progress, cancellationToken),
            ChunkWork.Estimates estimates => Estimates(model, estimates, metric, measured, baselines, activations, cancellationToken),
            _ => throw new ArgumentOutOfRangeException(nameof(work), work, "There is no such work."),
        };
    }

    private static List<LayerPatches> Heads(
        Transformer model,
        PlannedPart part,
        ChunkWork.Heads work,
        LayerPatcher patcher,
        MeasuredPairs measured,
        IReadOnlyList<Baseline> baselines,
        ChunkActivations activations,
        AblatedZ? ablatedZ,
        Action<long>? progress,
        CancellationToken cancellation)
    {
        var patches = new List<LayerPatches>();
        for (int layer = part.FirstLayer; layer <= part.LastLayer; layer++)
        {
            int[]? only = work.Only?.GetValueOrDefault(layer) ?? [];
            if (work.Only is not null && only.Length == 0)
            {
                continue;
            }

            patches.Add(patcher.Patch(
                new LayerInputs
                {
                    Layer = layer,
                    Measured = measured,
                    Baselines = baselines,
                    Activations = activations.Layers[layer]!,
                    Later = [.. activations.Layers.Skip(layer + 1).Select(later => later!.Base(work.Options.Direction)).Select(run => new KeysValues(run.K, run.V))],
                    AblatedZ = ablatedZ?.Of(layer),
                    OnlyHeads = work.Only is null ? null : only,
                },
                work.Options,
                progress,
                cancellation));
        }

        return patches;
    }

    // The paths from each layer's heads: the layer itself and all after it, as they are in the run that is patched.
    private static List<LayerPatches> Paths(
        Transformer model,
        PlannedPart part,
        ChunkWork.Paths work,
        PathPatcher patcher,
        MeasuredPairs measured,
        IReadOnlyList<Baseline> baselines,
        ChunkActivations activations,
        Action<long>? progress,
        CancellationToken cancellation) =>
    [
        .. Enumerable.Range(part.FirstLayer, part.LastLayer - part.FirstLayer + 1).Select(layer => patcher.Patch(
            layer,
            measured,
            baselines,
            activations.Layers[layer]!.Source(work.Options.Direction).Z,
            [.. activations.Layers.Skip(layer).Select(own => own!.Base(work.Options.Direction))],
            work.Options,
            progress,
            cancellation)),
    ];

    private List<LayerPatches> Estimates(
        Transformer model,
        ChunkWork.Estimates work,
        IMetric metric,
        MeasuredPairs measured,
        IReadOnlyList<Baseline> baselines,
        ChunkActivations activations,
        CancellationToken cancellation)
    {
        using AttributionRun run = AttributionRun.Start(model, metric, measured, baselines, work.Options, _budget, work.Gradient, cancellation);
        return [.. activations.Layers.Select((layer, index) => run.Estimate(index, layer!))];
    }

    private async Task<ChunkActivations> MakeAsync(PlannedChunk chunk, CancellationToken cancellationToken)
    {
        ChunkActivations made = lease.Use(model => Make(model, chunk.Pairs, cancellationToken));
        try
        {
            await ActivationArtifact.WriteAsync(store, lease, chunk.Activations, made, traffic, cancellationToken);
            ForwardPasses += 2 * chunk.Pairs.Count;
            return made;
        }
        catch
        {
            made.Dispose();
            throw;
        }
    }

    private static ChunkActivations Make(Transformer model, IReadOnlyList<TokenPair> pairs, CancellationToken cancellation)
    {
        using var run = new CachingRun(model, pairs);
        var layers = new List<LayerActivations>();
        try
        {
            while (layers.Count < model.Config.Layers)
            {
                cancellation.ThrowIfCancellationRequested();
                layers.Add(run.NextLayer());
            }

            return new ChunkActivations([.. layers], run.Final());
        }
        catch
        {
            layers.ForEach(layer => layer.Dispose());
            throw;
        }
    }

    private async Task<AblatedZ> AblatedZAsync(
        PlannedPart part, PlannedChunk chunk, ChunkWork.Heads work, ChunkActivations activations, CancellationToken cancellationToken)
    {
        _ablation ??= AblationPlan.Of(await plans.PairsAsync(sweepId, cancellationToken), work.Options)!;
        int layers = part.LastLayer - part.FirstLayer + 1;
        if (work.Options.Ablation == Ablation.Resample)
        {
            return new AblatedZ(part.FirstLayer, lease.Use(model => _ablation.Resampled(model, chunk.Pairs, part.FirstLayer, layers)));
        }

        _means ??= await MeansAsync(work, cancellationToken);
        return new AblatedZ(part.FirstLayer, lease.Use(model =>
            (IReadOnlyList<Tensor>)[.. Enumerable.Range(part.FirstLayer, layers).Select(layer =>
                _ablation.Mean(_means[layer], chunk.Pairs, activations.Layers[layer]!.Base(work.Options.Direction).Z))]));
    }

    /// <summary>The sums of all layers that means over all pairs are made of, from the store where they are there.</summary>
    public async Task<IReadOnlyList<MeanZ>> MeansAsync(ChunkWork.Heads work, CancellationToken cancellationToken)
    {
        _ablation ??= AblationPlan.Of(await plans.PairsAsync(sweepId, cancellationToken), work.Options)!;
        string key = WorkKeys.Sums(plan.Source, plan.PairsKey, work.Options.References, work.Options.Direction);
        if (await SumsArtifact.ReadAsync(store, lease, key, traffic, cancellationToken) is { } stored)
        {
            return [.. stored.Select(_ablation.MeanOf)];
        }

        IReadOnlyList<MeanZ> made = lease.Use(model => _ablation.Means(model, 0, model.Config.Layers, _budget, cancellationToken));
        await SumsArtifact.WriteAsync(store, lease, key, [.. made.Select(mean => mean.Sums)], traffic, cancellationToken);
        return made;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (MeanZ mean in _means ?? [])
        {
            mean.Dispose();
        }
    }

    /// <summary>What an ablation puts into the layers of a band, each [pairs, heads, position, d_head].</summary>
    private sealed record AblatedZ(int FirstLayer, IReadOnlyList<Tensor> Z) : IDisposable
    {
        public Tensor Of(int layer) => Z[layer - FirstLayer];

        public void Dispose()
        {
            foreach (Tensor z in Z)
            {
                z.Dispose();
            }
        }
    }
}
