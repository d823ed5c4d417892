using System.Reflection;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Activities.Artifacts;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Activities;

/// <summary>Puts the runs together; writes results.json and the files that the host makes of a result.</summary>
public sealed class AssembleSweep
{
    private readonly IArtifactStore _store;
    private readonly StoredPlans _plans;
    private readonly SweepWork _work;
    private readonly StoredRuns _runs;
    private readonly IReadOnlyList<ResultFile> _reports;
    private readonly TimeProvider _time;

    internal AssembleSweep(IArtifactStore store, StoredPlans plans, SweepWork work, IReadOnlyList<ResultFile> reports, TimeProvider time)
    {
        _store = store;
        _plans = plans;
        _work = work;
        _runs = new StoredRuns(store, plans);
        _reports = reports;
        _time = time;
    }

    /// <summary>HeadPatching's version, as results say it.</summary>
    public static string Version { get; } =
        typeof(AssembleSweep).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];

    /// <summary>Assembles the sweep, or reads the result that is there. What is missing of its runs is named, to be made again.</summary>
    internal async Task<AssembleReport> RunAsync(ActivityInput input, CancellationToken cancellationToken)
    {
        string results = SweepArtifacts.Result(input.SweepId, ResultJson.File.Name);
        SweepResult? result = await _store.ReadJsonAsync<SweepResult>(results, cancellationToken);
        if (result is null)
        {
            var gathered = await GatherAsync(input, cancellationToken);
            if (gathered.Result is null)
            {
                return new AssembleReport(null, gathered.MissingEstimates, gathered.MissingRuns);
            }

            result = gathered.Result;
            await _store.WriteIfAbsentAsync(results, (stream, cancel) => ResultJson.WriteAsync(result, stream, cancel), cancellationToken);
        }

        foreach (ResultFile report in _reports)
        {
            await _store.WriteIfAbsentAsync(
                SweepArtifacts.Result(input.SweepId, report.Name), (stream, cancel) => report.WriteAsync(result, stream, cancel), cancellationToken);
        }

        var summary = new SweepSummary(
            input.SweepId,
            result.Heads.Count,
            result.Dataset.Pairs,
            [.. result.Heads.OrderByDescending(head => Math.Abs(head.PatchingEffect)).Take(10).Select(head => new HeadEffect(head.Name, head.PatchingEffect))]);
        return new AssembleReport(summary, [], []);
    }

    private async Task<(SweepResult? Result, IReadOnlyList<int> MissingEstimates, IReadOnlyList<int> MissingRuns)> GatherAsync(
        ActivityInput input, CancellationToken cancellationToken)
    {
        SweepPlan plan = await _plans.HeaderAsync(input.SweepId, cancellationToken);
        SweepRequest request = plan.Request;
        var traffic = new Traffic();
        SweepRuns? estimates = null, runs = null;
        IReadOnlyList<int> missingEstimates = [], missingRuns = [];
        IReadOnlyDictionary<int, int[]>? headsRun = null;
        if (request.Method != Method.Exact)
        {
            (estimates, missingEstimates) = await _runs.ReadAsync(input.SweepId, plan, plan.Size.Groups, ChunkWork.Estimate(request), traffic, cancellationToken);
        }

        if (request.Method != Method.Attribution)
        {
            ChunkWork work = await _work.ExactWorkAsync(plan, input.SweepId, cancellationToken);
            headsRun = (work as ChunkWork.Heads)?.Only;
            (runs, missingRuns) = await _runs.ReadAsync(input.SweepId, plan, plan.Size.Parts, work, traffic, cancellationToken);
        }

        if (missingEstimates.Count > 0 || missingRuns.Count > 0)
        {
            return (null, missingEstimates, missingRuns);
        }

        SweepRuns all = request.Method switch
        {
            Method.Exact => runs!,
            Method.Attribution => estimates!,
            _ => runs! with { Estimates = estimates!.Layers, HeadsRun = headsRun },
        };
        var description = new SweepDescription
        {
            SweepId = input.SweepId,
            Model = plan.Model,
            Dataset = plan.Dataset,
            Options = plan.PatchOptions(),
            Reference = plan.ReferenceTitle,
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
        IReadOnlyDictionary<int, string>? texts = await _plans.TokenTextsAsync(input.SweepId, cancellationToken);
        IReadOnlyList<TokenPair> pairs = await _plans.PairsAsync(input.SweepId, plan, cancellationToken);
        SweepResult result = SweepAssembler.Assemble(description, pairs, all, texts is null ? null : token => texts[token]);
        WorkReport done = input.Done ?? new WorkReport();
        return (result with
        {
            Timings = result.Timings with
            {
                Activities = done.Activities,
                Runs = done.Runs,
                RunsReused = done.Reused,
                BytesRead = done.BytesRead + traffic.BytesRead,
                BytesWritten = done.BytesWritten,
            },
        }, [], []);
    }
}
