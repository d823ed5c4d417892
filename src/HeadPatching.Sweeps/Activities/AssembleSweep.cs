using System.Reflection;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Reports;
using HeadPatching.Sweeps.Requests;
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
        await WriteAsync("heatmap.csv", (stream, cancel) => ResultFiles.WriteHeatmapCsvAsync(result, stream, cancel));
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
        SweepRequest request = plan.Request;
        SweepRuns runs = request.Method switch
        {
            Method.Exact => await StoredRuns.PatchesAsync(_store, sweepId, plan, [.. Enumerable.Range(0, plan.Model.Layers)], cancellationToken),
            Method.Attribution => await StoredRuns.EstimatesAsync(_store, sweepId, plan, cancellationToken),
            _ => await ScreenedAsync(sweepId, plan, cancellationToken),
        };

        var description = new SweepDescription
        {
            SweepId = sweepId,
            Model = plan.Model,
            Dataset = request.DatasetName(),
            Options = plan.PatchOptions(),
            Reference = request.Reference?.Title,
            Aggregation = request.Aggregation,
            Threshold = request.Threshold,
            Metric = MetricFor.Metric(request.Metric),
            Method = request.Method,
            Gradient = request.EstimatedFrom(),
            ScreenTop = request.HeadsRunAfterScreen(),
            Paths = request.PathOptions(),
            Seed = request.Seed,
            Bos = request.Bos == Bos.Auto ? null : request.Bos,
            Warnings = plan.LeftOutWarning() is string leftOut ? [leftOut] : [],
            StartedAt = plan.CreatedAt,
            FinishedAt = _time.GetUtcNow(),
            SoftwareVersion = Version,
        };
        return SweepAssembler.Assemble(description, plan.Pairs, runs, plan.TokenTexts is null ? null : token => plan.TokenTexts[token]);
    }

    private async Task<SweepRuns> ScreenedAsync(string sweepId, SweepPlan plan, CancellationToken cancellationToken)
    {
        var screened = await _store.RequireJsonAsync<ScreenedHeads>(SweepArtifacts.Screen(sweepId), cancellationToken);
        SweepRuns estimates = await StoredRuns.EstimatesAsync(_store, sweepId, plan, cancellationToken);
        SweepRuns run = await StoredRuns.PatchesAsync(_store, sweepId, plan, [.. screened.ByLayer.Keys.Order()], cancellationToken);
        return run with { Estimates = estimates.Layers, HeadsRun = screened.ByLayer };
    }
}
