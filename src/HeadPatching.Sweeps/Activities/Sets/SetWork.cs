using System.Diagnostics;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Circuits.Exchange;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Ablations;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Patching.Edges;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Activities.Artifacts;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Activities.Sets;

/// <summary>
/// The activities that patch sets of nodes: in rounds, each decided from the runs of those before. What is next is found by going through the whole
/// search again with the runs that are stored, up to the first that are not: so it comes to the same whoever takes it up, after whatever happened.
/// </summary>
internal sealed class SetWork(IArtifactStore store, StoredPlans plans, LoadedModels models, SweepWork work)
{
    /// <summary>What is to be run next; where that is nothing, the findings are stored.</summary>
    /// <exception cref="InvalidOperationException">The search has no end.</exception>
    public async Task<NextRound> NextAsync(string sweepId, CancellationToken cancellationToken)
    {
        SweepPlan plan = await plans.HeaderAsync(sweepId, cancellationToken);
        if (!plan.Request.RunsSets() || await FindingsAsync(sweepId, cancellationToken) is not null)
        {
            return new NextRound(0, []);
        }

        IReadOnlyList<TokenPair> pairs = await plans.PairsAsync(sweepId, plan, cancellationToken);
        var split = SetRounds.Split(pairs, plan.Request.CircuitHoldout ?? SweepRequest.DefaultHoldout, plan.Request.ProofOptions()?.Seed ?? 0);
        IReadOnlyList<RankedNode> heads = plan.Request.Circuit is null ? [] : await HeadsAsync(sweepId, plan, split.LookedAt, cancellationToken);
        var known = new List<StoredRound>();
        await ReadOnAsync();
        while (known.Count < SetRounds.Most)
        {
            var replay = new Replay(known);
            try
            {
                SetFindings found = Find(sweepId, plan, pairs, split, heads, replay);
                await store.WriteDerivedJsonAsync(SweepArtifacts.SetFindings(sweepId), found, cancellationToken);
                return new NextRound(known.Count, []);
            }
            catch (RoundWantedException wanted)
            {
                // A round that is stored and is another's, of an earlier version, is written over.
                known.RemoveRange(replay.Replayed, known.Count - replay.Replayed);
                SetRound? round = await plans.RoundAsync(sweepId, known.Count, cancellationToken);
                if (round is null || !round.IsOf(wanted.Work, wanted.Pairs, wanted.Sets, wanted.Direction))
                {
                    round = SetRounds.Cut(plan, wanted.Work, wanted.Pairs, wanted.Sets, wanted.Direction);
                    await store.WriteDerivedJsonAsync(SweepArtifacts.Round(sweepId, known.Count), round, cancellationToken);
                }

                var stored = new StoredRound(round);
                await stored.ReadAsync(store, plan, cancellationToken);
                if (stored.Missing.Count > 0)
                {
                    return new NextRound(known.Count, stored.Missing);
                }

                known.Add(stored);
                await ReadOnAsync();
            }
        }

        throw new InvalidOperationException($"The search for a circuit has taken {SetRounds.Most} rounds and is not at an end.");

        // What is whole of the rounds that follow, so that the search is gone through once.
        async Task ReadOnAsync()
        {
            while (known.Count < SetRounds.Most && await plans.RoundAsync(sweepId, known.Count, cancellationToken) is { Work: not null } round)
            {
                var stored = new StoredRound(round);
                await stored.ReadAsync(store, plan, cancellationToken);
                if (stored.Missing.Count > 0)
                {
                    return;
                }

                known.Add(stored);
            }
        }
    }

    /// <summary>Runs some sets on some pairs.</summary>
    public async Task<WorkReport> PatchAsync(ActivityInput input, CancellationToken cancellationToken)
    {
        SweepPlan plan = await plans.HeaderAsync(input.SweepId, cancellationToken);
        if (await plans.RoundAsync(input.SweepId, input.Round, cancellationToken) is not SetRound round || input.Part >= round.Parts.Count)
        {
            return new WorkReport(Activities: 1); // it is gone: what is next is found anew
        }

        SetRoundPart part = round.Parts[input.Part];
        string key = part.Key(round, plan);
        if (await store.ExistsAsync(SweepArtifacts.Runs(key), cancellationToken))
        {
            return new WorkReport(Activities: 1, Runs: 1, Reused: 1);
        }

        using var lease = await models.LendAsync(plan.Source, cancellationToken);
        using GpuTurn turn = await GpuTurn.TakeAsync(plan.Source, cancellationToken);
        long started = Stopwatch.GetTimestamp();
        var traffic = new Traffic();
        using var runner = new ChunkRunner(store, plans, plan, input.SweepId, lease, cache: null, traffic);
        PutIn? putIn = await PutInAsync(input.SweepId, plan, runner, cancellationToken);
        IMetric metric = plan.Metric().Make();
        MemoryBudget budget = SweepPlanner.Budget(plan.Request);
        PatchSetRuns runs = lease.Use(model => round.Work switch
        {
            RoundWork.Edges edges => Edges(model, edges.How),
            RoundWork.Paths => PathSenders.Run(
                model, part.Pairs, [.. part.SetsOf(round).Select(text => Parsed(text).Nodes.Single())], plan.Request.PathOptions()!, metric, budget, cancellationToken),
            _ => PatchSets.Run(model, part.Pairs, [.. part.SetsOf(round).Select(Parsed)], round.Direction, metric, budget, cancellation: cancellationToken, putIn: putIn),
        });
        long patched = round.Work is RoundWork.Edges { How.Method: not EdgeMethod.Exact } ? 0 : (long)part.SetCount * part.Pairs.Count;
        await RunArtifact.WriteAsync(store, key, StoredRound.Stored(part, runs, patched, Stopwatch.GetElapsedTime(started).TotalSeconds), traffic, cancellationToken);
        return new WorkReport(Activities: 1, Runs: 1, PatchedRuns: patched, ForwardPasses: 2 * part.Pairs.Count, BytesWritten: traffic.BytesWritten);

        PatchSetRuns Edges(Transformer model, EdgeWork how)
        {
            Edge[] edges = [.. part.SetsOf(round).Select(text => Edge.TryParse(text, out Edge edge) ? edge : throw new InvalidOperationException($"{text} is no edge."))];
            var options = new EdgeOptions { Direction = round.Direction, Ungrouped = how.Ungrouped };
            EdgeRuns runs = how.Method == EdgeMethod.Exact
                ? EdgeSweep.Run(model, part.Pairs, options, metric, budget, edges, cancellation: cancellationToken)
                : EdgeSweep.Estimate(model, part.Pairs, options, metric, budget, how.Steps, Gradient.Plain, edges, cancellationToken);
            return new PatchSetRuns(runs.Baselines, runs.Patched);
        }
    }

    /// <summary>What an ablation puts into the heads of a set, which depends on all pairs of the sweep; null where there is none.</summary>
    private async Task<PutIn?> PutInAsync(string sweepId, SweepPlan plan, ChunkRunner runner, CancellationToken cancellationToken)
    {
        if (plan.Request.Ablation is not Ablation ablation)
        {
            return null;
        }

        var work = (ChunkWork.Heads)plan.ExactWork();
        return new PutIn(ablation)
        {
            Plan = work.NeedsAllPairs ? AblationPlan.Of(await plans.PairsAsync(sweepId, plan, cancellationToken), plan.PatchOptions()) : null,
            Sums = ablation == Ablation.Mean ? await runner.AllSumsAsync(work, cancellationToken) : [],
        };
    }

    /// <summary>What the rounds came to; null where they are not at an end.</summary>
    public Task<SetFindings?> FindingsAsync(string sweepId, CancellationToken cancellationToken) =>
        store.ReadDerivedJsonAsync<SetFindings>(SweepArtifacts.SetFindings(sweepId), cancellationToken);

    private static SetFindings Find(
        string sweepId,
        SweepPlan plan,
        IReadOnlyList<TokenPair> pairs,
        (IReadOnlyList<TokenPair> LookedAt, IReadOnlyList<TokenPair> HeldOut) split,
        IReadOnlyList<RankedNode> heads,
        Replay replay)
    {
        SweepRequest request = plan.Request;
        IReadOnlyList<PatchedSet>? patched = null;
        if (request.PatchSets is not null)
        {
            PatchSet[] sets = [.. request.PatchSets.Select(Parsed)];
            patched = PatchedSet.Of(
                sets, replay.Run(new RoundWork.Nodes(), pairs, sets, request.RunPatched()), [.. pairs.Select(pair => pair.Index)], request.Aggregation, request.RunPatched());
        }

        IReadOnlyList<PatchedSet>? senders = null;
        if (request.Senders == Senders.All)
        {
            IReadOnlyList<PatchedNode> nodes = PathSenders.At(CircuitModel.Of(plan.Model).Nodes.Where(node => node.Kind != NodeKind.Head), request.Positions, PairShapes.Of(pairs));
            senders = PatchedSet.OfSenders(nodes, request.Positions, replay.Run(new RoundWork.Paths(), pairs, nodes, request.RunPatched()), pairs, request.Aggregation, request.RunPatched());
        }

        EdgeEffects? edges = request.EdgeWork() is not EdgeWork work ? null : EdgeSearch.Find(
            work,
            [.. CircuitModel.Of(plan.Model).EdgesOf(work.Ungrouped)],
            pairs,
            request.Aggregation,
            request.RunPatched(),
            request.Seed,
            (some, which, how) => replay.Run(new RoundWork.Edges(how), some, which, request.RunPatched()));
        if (request.ProofOptions() is not ProofOptions options)
        {
            return new SetFindings(patched, null) { Senders = senders, Edges = edges };
        }

        IReadOnlyList<RankedNode> ranked = heads;
        if (request.Circuit == CircuitOf.HeadsAndMlps)
        {
            Node[] mlps = [.. Enumerable.Range(0, plan.Model.Layers).Select(Node.OfMlp)];
            PatchSetRuns runs = replay.Run(new RoundWork.Nodes(), split.LookedAt, [.. mlps.Select(mlp => PatchSet.Of([mlp]))], request.RunPatched());
            var ranking = new NodeRanking(request.Aggregation, request.RunPatched(), split.LookedAt.Select(pair => pair.Index).Zip(runs.Baselines));
            ranking.Add(mlps, split.LookedAt, runs);
            ranked = [.. heads, .. ranking.Ranked()];
        }

        ProofSheet sheet = CircuitProof.Prove(
            ranked, split.LookedAt, split.HeldOut, options, (some, sets) => replay.Run(new RoundWork.Nodes(), some, sets, Direction.Noise));
        string? outside = request.Ablation is Ablation ablation ? AblationDetails.InShort(ablation, plan.ReferenceTitle) : null;
        return new SetFindings(patched, sheet with { Outside = outside, Sweeps = [$"{sweepId}: {request.Patch.NameOf()} of {plan.Model.Name} on {plan.Dataset}, {plan.Metric().Kind.NameOf()}"] }) { Senders = senders, Edges = edges };
    }

    /// <summary>The heads, ranked by the sweep's runs over the pairs that the circuit is looked for on.</summary>
    private async Task<IReadOnlyList<RankedNode>> HeadsAsync(string sweepId, SweepPlan plan, IReadOnlyList<TokenPair> lookedAt, CancellationToken cancellationToken)
    {
        string name = SweepArtifacts.Ranking(sweepId);
        if (await store.ReadDerivedJsonAsync<IReadOnlyList<RankedNode>>(name, cancellationToken) is { } stored)
        {
            return stored;
        }

        HashSet<int> looked = [.. lookedAt.Select(pair => pair.Index)];
        IReadOnlyList<RankedNode> ranked = await work.OfAllAsync(
            sweepId, () => work.StoredRunsAsync(sweepId, plan, new Traffic(), attributed: false, cancellationToken), RankAsync, cancellationToken);
        await store.WriteDerivedJsonAsync(name, ranked, cancellationToken);
        return ranked;

        async Task<IReadOnlyList<RankedNode>> RankAsync(StoredRuns runs, RunsOverview overview)
        {
            var ranking = new NodeRanking(plan.Request.Aggregation, plan.Request.RunPatched(), overview.Pairs.Baselines.Where(pair => looked.Contains(pair.Index)));
            await foreach (PairRuns pair in runs.PairByPairAsync(cancellationToken))
            {
                if (looked.Contains(pair.Pair.Index))
                {
                    ranking.Add(pair);
                }
            }

            return ranking.Ranked();
        }
    }

    private static PatchSet Parsed(string text) => PatchSet.Parse(text, "sets", []);
}
