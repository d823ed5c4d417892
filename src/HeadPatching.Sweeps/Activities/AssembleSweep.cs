using System.Reflection;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Reports;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Activities;

/// <summary>Puts the layers together; writes results.json, heads.csv, the pictures and the report.</summary>
public sealed class AssembleSweep
{
    private readonly IArtifactStore _store;
    private readonly TimeProvider _time;

    /// <summary>Makes the activity.</summary>
    public AssembleSweep(IArtifactStore store, TimeProvider time)
    {
        _store = store;
        _time = time;
    }

    /// <summary>The files that it writes, results.json first.</summary>
    public static IReadOnlyList<string> Files { get; } = ["results.json", "heads.csv", "heatmap.csv", "heatmap.png", "heatmap.svg", "report.html"];

    /// <summary>HeadPatching's version, as results say it.</summary>
    public static string Version { get; } =
        typeof(AssembleSweep).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];

    /// <summary>Assembles the sweep, or reads the result that is there.</summary>
    public async Task<SweepSummary> RunAsync(ActivityInput input, CancellationToken cancellationToken = default)
    {
        string results = SweepArtifacts.Result(input.SweepId, Files[0]);
        SweepResult? result = await _store.ReadJsonAsync<SweepResult>(results, cancellationToken);
        if (result is null)
        {
            SweepResult assembled = await AssembleAsync(input.SweepId, cancellationToken);
            await _store.WriteIfAbsentAsync(results, (stream, cancel) => ResultFiles.WriteJsonAsync(assembled, stream, cancel), cancellationToken);
            result = await _store.RequireJsonAsync<SweepResult>(results, cancellationToken);
        }

        await WriteAsync("heads.csv", (stream, cancel) => ResultFiles.WriteCsvAsync(result.Heads, stream, cancel));
        await WriteAsync("heatmap.csv", (stream, cancel) => ResultFiles.WriteHeatmapCsvAsync(result.Heatmap, stream, cancel));
        await WriteAsync("heatmap.png", (stream, _) => Synchronous(() => HeatmapPicture.WritePng(result, stream)));
        await WriteAsync("heatmap.svg", (stream, _) => Synchronous(() => HeatmapPicture.WriteSvg(result, stream)));
        await WriteAsync("report.html", (stream, _) => Synchronous(() => ReportPage.Write(result, stream)));
        return new SweepSummary(
            input.SweepId,
            result.Heads.Count,
            result.Pairs.Count,
            [.. result.Heads.OrderByDescending(head => Math.Abs(head.PatchingEffect)).Take(10).Select(head => new HeadEffect(head.Name, head.PatchingEffect))]);

        Task WriteAsync(string file, Func<Stream, CancellationToken, Task> write) =>
            _store.WriteIfAbsentAsync(SweepArtifacts.Result(input.SweepId, file), write, cancellationToken);

        static Task Synchronous(Action write)
        {
            write();
            return Task.CompletedTask;
        }
    }

    private async Task<SweepResult> AssembleAsync(string sweepId, CancellationToken cancellationToken)
    {
        var plan = await _store.RequireJsonAsync<SweepPlan>(SweepArtifacts.Plan(sweepId), cancellationToken);
        var baselines = new Dictionary<int, Baseline>();
        var layers = new List<LayerPatches>();
        double cacheSeconds = 0;
        IMetric metric = MetricFor.Metric(plan.Request.Metric);
        for (int chunk = 0; chunk < plan.Chunks.Count; chunk++)
        {
            var ofChunk = await _store.RequireJsonAsync<ChunkBaselines>(SweepArtifacts.Baselines(plan.Chunks[chunk].Activations, metric.Name), cancellationToken);
            cacheSeconds += ofChunk.Seconds;
            foreach (var (pair, baseline) in plan.PairsOf(chunk).Zip(ofChunk.Baselines))
            {
                baselines[pair.Index] = baseline;
            }

            for (int layer = 0; layer < plan.Model.Layers; layer++)
            {
                layers.Add(await _store.RequireJsonAsync<LayerPatches>(SweepArtifacts.Layer(sweepId, layer, chunk), cancellationToken));
            }
        }

        var description = new SweepDescription
        {
            SweepId = sweepId,
            Model = plan.Model,
            Dataset = plan.Request.DatasetName(),
            Options = plan.Request.PatchOptions(),
            Aggregation = plan.Request.Aggregation,
            Threshold = plan.Request.Threshold,
            Metric = metric,
            Seed = plan.Request.Seed,
            StartedAt = plan.CreatedAt,
            FinishedAt = _time.GetUtcNow(),
            SoftwareVersion = Version,
        };
        return SweepAssembler.Assemble(description, plan.Pairs, new SweepRuns(baselines, layers, cacheSeconds), plan.TokenTexts is null ? null : token => plan.TokenTexts[token]);
    }
}
