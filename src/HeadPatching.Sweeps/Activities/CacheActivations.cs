using System.Diagnostics;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Prompts;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Activities;

/// <summary>Runs the clean and corrupted prompts of a chunk; writes one safetensors artifact a layer, then the baselines.</summary>
public sealed class CacheActivations
{
    private readonly IArtifactStore _store;
    private readonly LoadedModels _models;

    /// <summary>Makes the activity.</summary>
    public CacheActivations(IArtifactStore store, LoadedModels models)
    {
        _store = store;
        _models = models;
    }

    /// <summary>Caches the chunk, unless it is cached.</summary>
    /// <exception cref="OperationCanceledException">It was cancelled; what was written stays and is used next time.</exception>
    public async Task<CacheReport> RunAsync(ActivityInput input, CancellationToken cancellationToken = default)
    {
        var plan = await _store.RequireJsonAsync<SweepPlan>(SweepArtifacts.Plan(input.SweepId), cancellationToken);
        string folder = plan.Chunks[input.Chunk].Activations;
        IMetric metric = MetricFor.Metric(plan.Request.Metric);
        string baselines = SweepArtifacts.Baselines(folder, metric.Name);
        if (await _store.ExistsAsync(baselines, cancellationToken))
        {
            return new CacheReport(input.Chunk, ForwardPasses: 0);
        }

        IReadOnlyList<TokenPair> pairs = plan.PairsOf(input.Chunk);
        using var lease = await _models.LendAsync(plan.Source, cancellationToken);
        long started = Stopwatch.GetTimestamp();
        if (await _store.OpenReadAsync(SweepArtifacts.Final(folder), cancellationToken) is Stream stream)
        {
            // The runs are there, and only this metric has not been taken of them.
            using FinalResiduals known = lease.Use(model => CachedTensors.ReadFinal(stream, SweepArtifacts.Final(folder), model));
            await WriteBaselinesAsync(known);
            return new CacheReport(input.Chunk, ForwardPasses: 0);
        }

        using var run = lease.Use(model => new CachingRun(model, pairs, plan.StartOf(input.Chunk)));
        for (int layer = 0; layer < plan.Model.Layers; layer++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using LayerActivations activations = lease.Use(_ => run.NextLayer());
            await _store.WriteIfAbsentAsync(SweepArtifacts.Activations(folder, layer), (to, _) => Written(() => CachedTensors.Write(to, layer, activations)), cancellationToken);
        }

        using FinalResiduals final = lease.Use(_ => run.Final());
        await _store.WriteIfAbsentAsync(SweepArtifacts.Final(folder), (to, _) => Written(() => CachedTensors.Write(to, final)), cancellationToken);
        await WriteBaselinesAsync(final);
        return new CacheReport(input.Chunk, ForwardPasses: 2 * pairs.Count);

        async Task WriteBaselinesAsync(FinalResiduals final)
        {
            IReadOnlyList<Baseline> measured = lease.Use(model => final.Baselines(model, metric, pairs));
            await _store.WriteJsonIfAbsentAsync(
                baselines, new ChunkBaselines(measured, Stopwatch.GetElapsedTime(started).TotalSeconds), cancellationToken);
        }

        static Task Written(Action write)
        {
            write();
            return Task.CompletedTask;
        }
    }
}
