using System.Reflection;
using HeadPatching.Core.Adaptive;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Patterns;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Activities.Adaptive;
using HeadPatching.Sweeps.Activities.Artifacts;
using HeadPatching.Sweeps.Activities.Sets;
using HeadPatching.Sweeps.Engine.Stored;
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
    private readonly AdaptiveWork _adaptive;
    private readonly SetWork _sets;
    private readonly IReadOnlyList<ResultFile> _reports;
    private readonly TimeProvider _time;

    internal AssembleSweep(IArtifactStore store, StoredPlans plans, SweepWork work, AdaptiveWork adaptive, SetWork sets, IReadOnlyList<ResultFile> reports, TimeProvider time)
    {
        _store = store;
        _plans = plans;
        _work = work;
        _adaptive = adaptive;
        _sets = sets;
        _reports = reports;
        _time = time;
    }

    /// <summary>HeadPatching's version, as results say it.</summary>
    public static string Version { get; } =
        typeof(AssembleSweep).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];

    /// <summary>Assembles the sweep, unless its files are all there. What is missing of its runs is named, to be made again.</summary>
    internal async Task<AssembleReport> RunAsync(ActivityInput input, CancellationToken cancellationToken)
    {
        var missing = new List<ResultFile>();
        foreach (ResultFile file in _reports)
        {
            if (!await _store.ExistsAsync(SweepArtifacts.Result(input.SweepId, file.Name), cancellationToken))
            {
                missing.Add(file);
            }
        }

        string results = SweepArtifacts.Result(input.SweepId, ResultJson.File.Name), assembled = SweepArtifacts.Assembled(input.SweepId);
        SweepResult? result = missing.Count > 0 ? null : await _store.ReadJsonAsync<SweepResult>(results, cancellationToken);
        if (result is null)
        {
            SweepPlan plan = await _plans.HeaderAsync(input.SweepId, cancellationToken);
            var traffic = new Traffic();
            AdaptiveRuns? adaptive = null;
            if (plan.Request.Method == Method.Adaptive && (adaptive = await _adaptive.FoundAsync(input.SweepId, plan, cancellationToken)) is null)
            {
                return new AssembleReport(null, [], []) { WantsHeads = true };
            }

            StoredRuns runs = adaptive is null
                ? await _work.StoredRunsAsync(input.SweepId, plan, traffic, attributed: true, cancellationToken)
                : _adaptive.StoredRuns(input.SweepId, plan, adaptive, traffic, attributed: true);
            try
            {
                result = await _store.ReadDerivedJsonAsync<SweepResult>(assembled, cancellationToken);
                if (result is null)
                {
                    RunsOverview overview = await runs.LookAsync(cancellationToken);
                    if (!overview.IsWhole || overview.MissingAttributions.Count > 0)
                    {
                        return Missing(overview);
                    }

                    SetFindings? sets = plan.Request.RunsSets() ? await _sets.FindingsAsync(input.SweepId, cancellationToken) : new SetFindings(null, null);
                    if (sets is null)
                    {
                        return new AssembleReport(null, [], []) { WantsSets = true };
                    }

                    result = (await AssembleAsync(input, plan, adaptive?.Findings, runs, overview, traffic, cancellationToken)) with { PatchSets = sets.PatchSets, Senders = sets.Senders, Edges = sets.Edges, Circuit = sets.Circuit };
                }

                IReadOnlyList<PairPatterns>? patterns = missing.Exists(file => file.ShowsPatterns) && SweepPatterns.AreShown(result)
                    ? await _store.ReadDerivedJsonAsync<IReadOnlyList<PairPatterns>>(SweepArtifacts.Patterns(input.SweepId), cancellationToken)
                    : [];
                var finished = new FinishedSweep(result, runs.PairByPairAsync(cancellationToken)) { Patterns = patterns ?? [] };
                await Parallel.ForEachAsync(
                    missing.Where(file => patterns is not null || !file.ShowsPatterns).OrderByDescending(file => file.HoldsPairs), // what takes longest first
                    cancellationToken,
                    async (file, stop) => await _store.WriteIfAbsentAsync(
                        SweepArtifacts.Result(input.SweepId, file.Name), (stream, cancel) => file.WriteAsync(finished, stream, cancel), stop));
                if (patterns is null)
                {
                    await _store.WriteDerivedJsonAsync(assembled, result, cancellationToken);
                    return new AssembleReport(null, [], []) { WantsPatterns = true };
                }

                await _store.WriteJsonIfAbsentAsync(SweepArtifacts.Digest(input.SweepId), SweepDigest.Of(result), cancellationToken);
                await _store.WriteIfAbsentAsync(results, (stream, cancel) => ResultJson.WriteAsync(result, stream, cancel), cancellationToken); // last: where it is, all are
                await _store.DeleteAsync(assembled, cancellationToken);
            }
            catch (MissingRunsException)
            {
                return Missing(await runs.LookAsync(cancellationToken));
            }
        }

        var summary = new SweepSummary(
            input.SweepId,
            result.Heads.Count,
            result.Dataset.Pairs,
            [.. result.Heads.OrderByDescending(head => Math.Abs(head.PatchingEffect)).Take(10).Select(head => new HeadEffect(head.Name, head.PatchingEffect))]);
        return new AssembleReport(summary, [], []);
    }

    private static AssembleReport Missing(RunsOverview overview) =>
        new(null, [.. overview.MissingEstimates], [.. overview.MissingRuns]) { MissingAttributions = [.. overview.MissingAttributions] };

    private async Task<SweepResult> AssembleAsync(
        ActivityInput input, SweepPlan plan, AdaptiveFindings? adaptive, StoredRuns runs, RunsOverview overview, Traffic traffic, CancellationToken cancellationToken)
    {
        SweepRequest request = plan.Request;
        var description = new SweepDescription
        {
            SweepId = input.SweepId,
            Model = plan.Model,
            Dataset = plan.Dataset,
            Options = plan.PatchOptions(),
            Reference = plan.ReferenceTitle,
            Aggregation = request.Aggregation,
            Threshold = request.Threshold,
            Metric = plan.Metric().Make(),
            Method = request.Method,
            Gradient = request.EstimatedFrom(),
            ScreenTop = request.HeadsRunAfterScreen(),
            Adaptive = adaptive,
            Paths = request.PathOptions(),
            Seed = request.Seed,
            Bos = request.Bos == Bos.Auto ? null : request.Bos,
            Warnings = [.. plan.LeftOutWarning() is string leftOut ? [leftOut] : Array.Empty<string>(), .. plan.AblationWarnings],
            StartedAt = plan.CreatedAt,
            FinishedAt = _time.GetUtcNow(),
            SoftwareVersion = Version,
        };
        IReadOnlyDictionary<int, string>? texts = await _plans.TokenTextsAsync(input.SweepId, cancellationToken);
        var assembler = new SweepAssembler(description, overview.Pairs, texts is null ? null : token => texts[token]);
        await foreach (PairRuns pair in runs.PairByPairAsync(cancellationToken))
        {
            assembler.Add(pair);
        }

        SweepResult result = assembler.Finish(overview.CacheSeconds, overview.PatchSeconds, adaptive?.Runs ?? overview.PatchedRuns, runs.HeadsRun, overview.Attribution, cancellationToken);
        WorkReport done = input.Done ?? new WorkReport();
        return result with
        {
            PairsFile = _reports.FirstOrDefault(file => file.HoldsPairs)?.Name,
            Timings = result.Timings with
            {
                Activities = done.Activities,
                Runs = done.Runs,
                RunsReused = done.Reused,
                BytesRead = done.BytesRead + traffic.BytesRead,
                BytesWritten = done.BytesWritten,
            },
        };
    }
}
