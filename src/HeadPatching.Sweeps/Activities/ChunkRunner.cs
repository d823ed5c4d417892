using System.Diagnostics;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Ablations;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Sweeps.Activities.Adaptive;
using HeadPatching.Sweeps.Activities.Artifacts;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;
using static TorchSharp.torch;

namespace HeadPatching.Sweeps.Activities;

/// <summary>Does the work of a sweep chunk by chunk with a model that is lent to it; what is in the store already is not done again.</summary>
internal sealed class ChunkRunner(IArtifactStore store, StoredPlans plans, SweepPlan plan, string sweepId, LoadedModels.Lease lease, TensorCache? cache, Traffic traffic) : IDisposable
{
    private readonly MemoryBudget _budget = SweepPlanner.Budget(plan.Request);
    private IReadOnlyList<Tensor>? _sums;                                     // of means over all pairs, by layer, [heads, place, d_head]

    /// <summary>Prompts that were run for their activations.</summary>
    public int ForwardPasses { get; private set; }

    /// <summary>Makes the activations of a chunk, unless they are there.</summary>
    public async Task CacheAsync(PlannedChunk chunk, Action<WorkStep>? progress, CancellationToken cancellationToken)
    {
        if (await store.ExistsAsync(SweepArtifacts.Activations(chunk.Activations), cancellationToken))
        {
            progress?.Invoke(new WorkStep(chunk.CachingFlops, Found: true));
        }
        else
        {
            using CachedChunk made = await MakeAsync(chunk, progress, cancellationToken);
        }
    }

    /// <summary>Attributes the metric of a chunk's clean runs to the parts of the model, unless that was done.</summary>
    public async Task AttributeAsync(PlannedChunk chunk, CancellationToken cancellationToken)
    {
        if (await AttributionArtifact.ReadAsync(store, chunk, plan.Metric(), cancellationToken) is not null)
        {
            return;
        }

        IReadOnlyList<CachedTensor> needed = lease.Use(model => NeededTensors.OfAttribution(model.Config));
        if (await ActivationArtifact.ReadAsync(store, lease, chunk, needed, cache, traffic, cancellationToken) is CachedChunk known)
        {
            using (known)
            {
                await AttributionArtifact.WriteAsync(store, lease, chunk, plan.Metric(), known, cancellationToken);
            }
        }
        else
        {
            using CachedChunk made = await MakeAsync(chunk, progress: null, cancellationToken);
        }
    }

    /// <summary>Runs a band of layers over a chunk and stores what it gave; what was run before of it, one by one, is not run again.</summary>
    public async Task<ChunkRuns> RunAsync(PlannedPart part, PlannedChunk chunk, ChunkWork work, string key, ChunkSteps steps, CancellationToken cancellationToken)
    {
        HeadCells? known = work is ChunkWork.Heads one ? await DrawnRuns.KnownAsync(store, plan, chunk, one, cancellationToken) : null;
        if (known is null
            && work is ChunkWork.Heads { NeedsAllPairs: false } or ChunkWork.Paths
            && lease.Use(model => model.Weights.Streamed is not null)
            && !await store.ExistsAsync(SweepArtifacts.Activations(chunk.Activations), cancellationToken))
        {
            return await RunInOnePassAsync(part, chunk, work, key, steps, cancellationToken);
        }

        var (runs, cacheSeconds) = await WithInputsAsync(part, chunk, work, steps.Caching, Run, cancellationToken);
        runs = runs with { CacheSeconds = cacheSeconds };
        await RunArtifact.WriteAsync(store, key, runs, traffic, cancellationToken);
        return runs;

        ChunkRuns Run(Transformer model, IMetric metric, BandInputs inputs)
        {
            Action<long> made = steps.OfRuns(work.PatchedRuns(model.Config, chunk.Pairs, part.FirstLayer, part.LastLayer));
            IReadOnlyList<LayerPatches> layers = work switch
            {
                ChunkWork.Heads heads when known is not null => Rest(model, metric, inputs, heads, known, made),
                ChunkWork.Heads or ChunkWork.Paths => Patched(model, metric, inputs, work, made, cancellationToken),
                ChunkWork.Estimates estimates => Estimates(model, estimates, metric, inputs, cancellationToken),
                ChunkWork.Unpatched => [],
                _ => throw NoSuchWork(work),
            };
            steps.End();
            return new ChunkRuns(inputs.Baselines, layers, CacheSeconds: 0);
        }

        IReadOnlyList<LayerPatches> Rest(Transformer model, IMetric metric, BandInputs inputs, ChunkWork.Heads heads, HeadCells cells, Action<long> made)
        {
            int units = Units.Of(model.Config, heads.Options.Patch);
            int[] layers = [.. Enumerable.Range(part.FirstLayer, part.LastLayer - part.FirstLayer + 1).Where(layer => heads.Only?.ContainsKey(layer) ?? true)];
            var wanted = layers.ToDictionary(layer => layer, layer => heads.Only?[layer] ?? [.. Enumerable.Range(0, units)]);
            var (patched, seconds) = cells.Run(model, metric, _budget, inputs, heads.Options, Enumerable.Range(0, chunk.Pairs.Count), wanted, made, cancellationToken);
            double[] unpatched = [.. inputs.Baselines.Select(baseline => baseline.FromTo(heads.Options.Direction).From)];
            int[] indices = [.. chunk.Pairs.Select(pair => pair.Index)];
            return [.. layers.Select((layer, place) => new LayerPatches(layer, indices, cells.Of(layer, unpatched), place == 0 ? patched : 0, place == 0 ? seconds : 0))];
        }
    }

    /// <summary>Runs some heads on some pairs of a chunk, and stores what they gave; those that were run before, by whichever sweep, are not run again.</summary>
    /// <returns>How many patched runs were made.</returns>
    public async Task<long> DrawAsync(PlannedPart part, PlannedChunk chunk, DrawnPairs drawn, HeadRound round, CancellationToken cancellationToken)
    {
        var work = (ChunkWork.Heads)plan.ExactWork();
        int layers = plan.Model.Layers;
        HeadCells cells = await DrawnRuns.KnownAsync(store, plan, chunk, work, cancellationToken) ?? new HeadCells(chunk.Pairs.Count, layers, plan.HeadCount);
        foreach (PlannedBand band in part.Bands)
        {
            if (await RunArtifact.ReadAsync(store, chunk.KeyOfRuns(work, band.FirstLayer, band.LastLayer), chunk.Pairs, traffic, cancellationToken) is ChunkRuns whole)
            {
                cells.Add(whole.Layers);
            }
        }

        IReadOnlyDictionary<int, int[]> heads = round.ByLayer(layers, plan.HeadCount);
        long made = 0;
        if (drawn.Pairs.Any(pair => heads.Any(layer => layer.Value.Any(head => double.IsNaN(cells[pair, layer.Key, head])))))
        {
            var band = part with { FirstLayer = heads.Keys.Min(), LastLayer = heads.Keys.Max() };
            (made, _) = await WithInputsAsync(
                band, chunk, work, caching: null, (model, metric, inputs) => cells.Run(model, metric, _budget, inputs, work.Options, drawn.Pairs, heads, progress: null, cancellationToken).Runs, cancellationToken);
        }

        var runs = new DrawnRuns(drawn.Pairs, heads, [.. drawn.Pairs.Select(pair => heads.OrderBy(layer => layer.Key).SelectMany(layer => layer.Value.Select(head => cells[pair, layer.Key, head])).ToArray())]);
        await store.WriteDerivedJsonAsync(SweepArtifacts.Drawn(drawn.Key, drawn.Runs), runs, cancellationToken);
        return made;
    }

    /// <summary>Does something with a chunk's activations, which are read or made.</summary>
    /// <returns>What it gave, and how many seconds making the activations took.</returns>
    private async Task<(T Given, double CacheSeconds)> WithInputsAsync<T>(
        PlannedPart part, PlannedChunk chunk, ChunkWork work, Action<WorkStep>? caching, Func<Transformer, IMetric, BandInputs, T> run, CancellationToken cancellationToken)
    {
        IReadOnlyList<CachedTensor> needed = lease.Use(model => work.Needed(model.Config, part.FirstLayer, part.LastLayer, chunk.Start));
        long started = Stopwatch.GetTimestamp();
        CachedChunk? known = await ActivationArtifact.ReadAsync(store, lease, chunk, needed, cache, traffic, cancellationToken);
        if (known is not null)
        {
            caching?.Invoke(new WorkStep(chunk.CachingFlops, Found: true));
        }

        using CachedChunk cached = known ?? await MakeAsync(chunk, caching, cancellationToken);
        double cacheSeconds = known is null ? Stopwatch.GetElapsedTime(started).TotalSeconds : 0;
        IMetric metric = work.Metric.Make();
        IReadOnlyDictionary<int, Tensor>? ablatedZ = work is ChunkWork.Heads { NeedsAllPairs: true } ablation
            ? await AblatedZAsync(part, chunk, ablation, cached.Activations, cancellationToken)
            : null;
        try
        {
            return (lease.Use(model => run(model, metric, new BandInputs
            {
                First = part.FirstLayer,
                Last = part.LastLayer,
                Measured = new MeasuredPairs(chunk.Pairs, cached.Final.Clean),
                Baselines = cached.Final.Baselines(model, metric, chunk.Pairs),
                Activations = cached.Activations,
                AblatedZ = ablatedZ,
                OnlyHeads = Only(work),
            })), cacheSeconds);
        }
        finally
        {
            Free(ablatedZ?.Values ?? []);
        }
    }

    /// <summary>Makes a chunk's activations and the patched runs in one pass over the weights, and stores both.</summary>
    private async Task<ChunkRuns> RunInOnePassAsync(
        PlannedPart part, PlannedChunk chunk, ChunkWork work, string key, ChunkSteps steps, CancellationToken cancellationToken)
    {
        IMetric metric = work.Metric.Make();
        var (runs, cached, attribution) = lease.Use(Run);
        using (cached)
        {
            await WriteAsync(chunk, cached, attribution, cancellationToken);
        }

        await RunArtifact.WriteAsync(store, key, runs, traffic, cancellationToken);
        return runs;

        (ChunkRuns Runs, CachedChunk Cached, LogitAttribution? Attribution) Run(Transformer model)
        {
            Action<long> made = steps.OfRuns(work.PatchedRuns(model.Config, chunk.Pairs, part.FirstLayer, part.LastLayer));
            using ChunkCaching caching = Caching(model, chunk, steps.Caching);
            var inputs = new BandInputs { First = part.FirstLayer, Last = part.LastLayer, Caching = caching, OnlyHeads = Only(work) };
            IReadOnlyList<LayerPatches> layers = Patched(model, metric, inputs, work, made, cancellationToken);
            steps.End();
            var (activations, final) = caching.Take();
            return (new ChunkRuns(caching.Baselines, layers, caching.Seconds), new CachedChunk(activations, final), caching.Attribution);
        }
    }

    private IReadOnlyList<LayerPatches> Patched(Transformer model, IMetric metric, BandInputs inputs, ChunkWork work, Action<long> made, CancellationToken cancellation) => work switch
    {
        ChunkWork.Heads heads => new BandPatcher(model, metric, _budget).Patch(inputs, heads.Options, made, cancellation),
        ChunkWork.Paths paths => new PathPatcher(model, metric, _budget).Patch(inputs, paths.Options, made, cancellation),
        _ => throw NoSuchWork(work),
    };

    private static ArgumentOutOfRangeException NoSuchWork(ChunkWork work) => new(nameof(work), work, "There is no such work.");

    private static Dictionary<int, IReadOnlyList<int>>? Only(ChunkWork work) => (work as ChunkWork.Heads)?.Only?.ToDictionary(layer => layer.Key, layer => (IReadOnlyList<int>)layer.Value);

    private List<LayerPatches> Estimates(Transformer model, ChunkWork.Estimates work, IMetric metric, BandInputs inputs, CancellationToken cancellation)
    {
        using AttributionRun run = AttributionRun.Start(
            model, metric, inputs.Measured, inputs.Baselines, work.Options, _budget, work.Gradient, cancellation);
        return [.. Enumerable.Range(inputs.First, inputs.Last - inputs.First + 1).Select(layer => run.Estimate(layer, inputs.Activations))];
    }

    private async Task<CachedChunk> MakeAsync(PlannedChunk chunk, Action<WorkStep>? progress, CancellationToken cancellationToken)
    {
        var (made, attribution) = lease.Use(model =>
        {
            using ChunkCaching caching = Caching(model, chunk, progress);
            caching.Run(cancellationToken);
            var (activations, final) = caching.Take();
            return (new CachedChunk(activations, final), caching.Attribution);
        });
        try
        {
            await WriteAsync(chunk, made, attribution, cancellationToken);
            return made;
        }
        catch
        {
            made.Dispose();
            throw;
        }
    }

    private async Task WriteAsync(PlannedChunk chunk, CachedChunk made, LogitAttribution? attribution, CancellationToken cancellationToken)
    {
        await ActivationArtifact.WriteAsync(store, lease, chunk, made, traffic, cancellationToken);
        if (attribution is not null)
        {
            await AttributionArtifact.WriteAsync(store, chunk, plan.Metric(), attribution, cancellationToken);
        }

        ForwardPasses += 2 * chunk.Pairs.Count;
    }

    private ChunkCaching Caching(Transformer model, PlannedChunk chunk, Action<WorkStep>? progress)
    {
        var layer = new WorkStep(chunk.CachingFlops / model.Config.Layers);
        return new ChunkCaching(model, chunk.Pairs, chunk.Start, plan.Metric().Make(), attribute: true, () => progress?.Invoke(layer));
    }

    /// <summary>What an ablation puts into the layers of a band, by layer, [pairs, heads, position, d_head].</summary>
    private async Task<IReadOnlyDictionary<int, Tensor>> AblatedZAsync(
        PlannedPart part, PlannedChunk chunk, ChunkWork.Heads work, ChunkActivations activations, CancellationToken cancellationToken)
    {
        ChunkAblation ablation = chunk.Ablation!;
        int layers = part.LastLayer - part.FirstLayer + 1;
        if (work.Options.Ablation == Ablation.Resample)
        {
            return ByLayer(lease.Use(model => ablation.Resampled(model, part.FirstLayer, layers)));
        }

        IReadOnlyList<Tensor> sums = await AllSumsAsync(work, cancellationToken);
        return ByLayer(lease.Use(_ => (IReadOnlyList<Tensor>)[.. Enumerable.Range(part.FirstLayer, layers).Select(layer =>
            ablation.Mean(sums[layer], activations.Layers[layer].Base(work.Options.Direction).Z!))]));

        Dictionary<int, Tensor> ByLayer(IReadOnlyList<Tensor> z) => z.Index().ToDictionary(one => part.FirstLayer + one.Index, one => one.Item);
    }

    /// <summary>Makes the sums of all layers over a slice of the pairs that means are taken from, unless they are there.</summary>
    public async Task SumAsync(ChunkWork.Heads work, int slice, CancellationToken cancellationToken)
    {
        if (!await store.ExistsAsync(SweepArtifacts.Sums(plan.KeyOfSums(work)), cancellationToken)
            && !await store.ExistsAsync(SweepArtifacts.Sums(plan.KeyOfSums(work, slice)), cancellationToken))
        {
            Free(await MakeSumsAsync(work, slice, cancellationToken));
        }
    }

    /// <summary>The sums of all layers over all pairs that means are taken from; they are this runner's.</summary>
    public async Task<IReadOnlyList<Tensor>> AllSumsAsync(ChunkWork.Heads work, CancellationToken cancellationToken) => _sums ??= await SumsAsync(work, cancellationToken);

    /// <summary>The sums of all layers over all pairs, put together of the slices; what of them is not there is made.</summary>
    private async Task<IReadOnlyList<Tensor>> SumsAsync(ChunkWork.Heads work, CancellationToken cancellationToken)
    {
        if (await SumsArtifact.ReadAsync(store, lease, plan.KeyOfSums(work), traffic, cancellationToken) is { } stored)
        {
            return stored;
        }

        IReadOnlyList<Tensor> all = [];
        try
        {
            for (int slice = 0; slice < plan.Size.SumSlices; slice++)
            {
                IReadOnlyList<Tensor> some = await SumsArtifact.ReadAsync(store, lease, plan.KeyOfSums(work, slice), traffic, cancellationToken)
                    ?? await MakeSumsAsync(work, slice, cancellationToken);
                all = slice == 0 ? some : lease.Use(_ => Added(all, some));
            }

            if (plan.Size.SumSlices > 1)
            {
                await SumsArtifact.WriteAsync(store, lease, plan.KeyOfSums(work), all, traffic, cancellationToken);
            }

            return all;
        }
        catch
        {
            Free(all);
            throw;
        }

        static IReadOnlyList<Tensor> Added(IReadOnlyList<Tensor> to, IReadOnlyList<Tensor> some)
        {
            using var mode = inference_mode();
            foreach (var (sum, more) in to.Zip(some))
            {
                sum.AddInPlace(more);
            }

            Free(some);
            return to;
        }
    }

    private async Task<IReadOnlyList<Tensor>> MakeSumsAsync(ChunkWork.Heads work, int slice, CancellationToken cancellationToken)
    {
        var prompts = new List<SummedPrompt>(plan.SummedReferences ?? []);
        for (int group = slice; plan.SummedReferences is null && group < plan.Size.Groups; group += plan.Size.SumSlices)
        {
            PlannedPart part = await plans.PartAsync(sweepId, group, cancellationToken);
            prompts.AddRange(part.Chunks.SelectMany(chunk => chunk.Ablation!.Summed(chunk.Pairs, work.Options.Direction)));
        }

        IReadOnlyList<Tensor> made = [.. lease.Use(model => MeanZ.Over(model, prompts, plan.SumCount, _budget, cancellationToken)).Select(mean => mean.Sums)];
        try
        {
            await SumsArtifact.WriteAsync(store, lease, plan.KeyOfSums(work, slice), made, traffic, cancellationToken);
            return made;
        }
        catch
        {
            Free(made);
            throw;
        }
    }

    private static void Free(IEnumerable<Tensor> tensors)
    {
        foreach (Tensor tensor in tensors)
        {
            tensor.Dispose();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Free(_sums ?? []);
}
