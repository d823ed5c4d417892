using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Activities;

/// <summary>Estimates every patch over one chunk from one gradient (attribution patching); writes the estimates of all layers.</summary>
public sealed class EstimateEffects
{
    private readonly IArtifactStore _store;
    private readonly LoadedModels _models;

    /// <summary>Makes the activity.</summary>
    public EstimateEffects(IArtifactStore store, LoadedModels models)
    {
        _store = store;
        _models = models;
    }

    /// <summary>Estimates the chunk, unless it is estimated.</summary>
    /// <exception cref="OperationCanceledException">It was cancelled: nothing of the chunk is written.</exception>
    public async Task<EstimateReport> RunAsync(ActivityInput input, CancellationToken cancellationToken = default)
    {
        var plan = await _store.RequireJsonAsync<SweepPlan>(SweepArtifacts.Plan(input.SweepId), cancellationToken);
        Gradient gradient = plan.Request.EstimatedFrom()!.Value;
        string name = SweepArtifacts.Estimates(input.SweepId, gradient, input.Chunk);
        if (await _store.ExistsAsync(name, cancellationToken))
        {
            return new EstimateReport(input.Chunk, Reused: true);
        }

        string folder = plan.Chunks[input.Chunk].Activations;
        IMetric metric = MetricFor.Metric(plan.Request.Metric);
        var baselines = await _store.RequireJsonAsync<ChunkBaselines>(SweepArtifacts.Baselines(folder, metric.Name), cancellationToken);
        using var lease = await _models.LendAsync(plan.Source, cancellationToken);
        using GpuTurn turn = await GpuTurn.TakeAsync(plan.Source, cancellationToken);

        using FinalResiduals final =
            await CachedTensors.ReadAsync(_store, lease, SweepArtifacts.Final(folder), CachedTensors.ReadFinal, cancellationToken);
        using AttributionRun run = lease.Use(model => AttributionRun.Start(
            model,
            metric,
            new MeasuredPairs(plan.PairsOf(input.Chunk), final.Clean),
            baselines.Baselines,
            plan.PatchOptions(),
            SweepPlanner.Budget(plan.Request),
            gradient,
            cancellationToken));
        var estimates = new List<LayerPatches>();
        int start = plan.StartOf(input.Chunk);
        foreach (var layer in lease.Use(model => NeededTensors.OfEstimate(model.Config, plan.PatchOptions(), start)).GroupBy(tensor => tensor.Layer))
        {
            using ChunkActivations activations = await CachedTensors.ReadAsync(_store, lease, folder, start, [.. layer], cancellationToken);
            estimates.Add(lease.Use(_ => run.Estimate(layer.Key, activations)));
        }

        await _store.WriteJsonIfAbsentAsync(name, estimates, cancellationToken);
        return new EstimateReport(input.Chunk, Reused: false);
    }
}
