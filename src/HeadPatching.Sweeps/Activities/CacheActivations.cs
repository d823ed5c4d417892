using System.Diagnostics;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models.Safetensors;
using HeadPatching.Core.Patching;
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
        if (await _store.ExistsAsync(SweepArtifacts.Baselines(folder), cancellationToken))
        {
            return new CacheReport(input.Chunk, ForwardPasses: 0);
        }

        IReadOnlyList<TokenPair> pairs = plan.PairsOf(input.Chunk);
        using var lease = await _models.LendAsync(plan.Source, cancellationToken);
        long started = Stopwatch.GetTimestamp();
        using var run = lease.Use(model => new CachingRun(model, pairs));
        for (int layer = 0; layer < plan.Model.Layers; layer++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using LayerActivations activations = lease.Use(_ => run.NextLayer());
            await _store.WriteIfAbsentAsync(SweepArtifacts.Activations(folder, layer), (stream, _) => Write(stream, activations), cancellationToken);
        }

        var metric = new LogitDifference();
        var baselines = new ChunkBaselines(metric.Name, lease.Use(_ => run.Baselines(metric)), Stopwatch.GetElapsedTime(started).TotalSeconds);
        await _store.WriteJsonIfAbsentAsync(SweepArtifacts.Baselines(folder), baselines, cancellationToken);
        return new CacheReport(input.Chunk, ForwardPasses: 2 * pairs.Count);
    }

    private static Task Write(Stream stream, LayerActivations activations)
    {
        SafetensorsWriter.Write(
            stream,
            [
                .. activations.Clean.Named().Select(named => ("clean." + named.Name, named.Tensor)),
                .. activations.Corrupted.Named().Select(named => ("corrupted." + named.Name, named.Tensor)),
            ]);
        return Task.CompletedTask;
    }
}
