using HeadPatching.Core.Adaptive;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;
using HeadPatching.Sweeps.Activities.Artifacts;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Activities.Adaptive;

/// <summary>
/// The activities of an adaptive sweep: rounds of heads on pairs, each decided from the runs of those before. What is next is found by taking in again every round that is stored: so it comes
/// to the same whoever takes it up, after whatever happened.
/// </summary>
internal sealed class AdaptiveWork(IArtifactStore store, StoredPlans plans, SweepWork work)
{
    /// <summary>What is to be run next; where that is nothing, the findings are stored.</summary>
    public async Task<NextHeads> NextAsync(string sweepId, CancellationToken cancellationToken)
    {
        SweepPlan plan = await plans.HeaderAsync(sweepId, cancellationToken);
        AdaptiveOptions options = plan.Request.AdaptiveOptions()!;
        AdaptivePopulation population = await PopulationAsync(sweepId, plan, cancellationToken);
        if (population.Pairs == 0)
        {
            // No pair has an effect, as where clean and corrupted prompts are answered alike: so no head has one.
            var none = new AdaptiveFindings(options.Confidence, options.Width, [.. Enumerable.Repeat(new AdaptiveHead(Decision.Undecided, 0, null, 0, IsFinished: true), population.Heads)], 0, 0, 0);
            await store.WriteDerivedJsonAsync(SweepArtifacts.AdaptiveFindings(sweepId), none, cancellationToken);
            return new NextHeads(0, [], population.Heads, population.Heads, 0, 0);
        }

        var sweep = new AdaptiveSweep(population, options);
        while (sweep.Next is AdaptiveRound next)
        {
            TakenRound? taken = await store.ReadDerivedJsonAsync<TakenRound>(SweepArtifacts.HeadRoundTaken(sweepId, next.Number), cancellationToken);
            if (taken is null || !taken.Is(next, population))
            {
                var (found, missing) = await TakeAsync(sweepId, plan, population, next, cancellationToken);
                if (found is null)
                {
                    return Next(next.Number, missing);
                }

                await store.WriteDerivedJsonAsync(SweepArtifacts.HeadRoundTaken(sweepId, next.Number), taken = found, cancellationToken);
            }

            sweep.Take(taken.Effects(plan.Request.RunPatched()));
        }

        await store.WriteDerivedJsonAsync(SweepArtifacts.AdaptiveFindings(sweepId), AdaptiveFindings.Of(sweep, options), cancellationToken);
        return Next(sweep.Rounds, []);

        NextHeads Next(int round, IReadOnlyList<int> parts) =>
            new(round, parts, sweep.Heads.Count(head => head.IsFinished), sweep.Heads.Count, sweep.Runs, (long)sweep.Heads.Count * sweep.Pairs);
    }

    /// <summary>Runs a part of a round.</summary>
    public async Task<WorkReport> PatchAsync(ActivityInput input, CancellationToken cancellationToken)
    {
        SweepPlan plan = await plans.HeaderAsync(input.SweepId, cancellationToken);
        if (await plans.HeadRoundAsync(input.SweepId, input.Round, cancellationToken) is not HeadRound round || input.Part >= round.Parts.Count)
        {
            return new WorkReport(Activities: 1); // it is gone: what is next is found anew
        }

        var missing = new List<DrawnPairs>();
        foreach (DrawnPairs drawn in round.Parts[input.Part].Chunks)
        {
            if (!await store.ExistsAsync(SweepArtifacts.Drawn(drawn.Key, drawn.Runs), cancellationToken))
            {
                missing.Add(drawn);
            }
        }

        return missing.Count == 0 ? new WorkReport(Activities: 1) : await work.WithModelAsync(input.SweepId, plan, missing.Count, async runner =>
        {
            long runs = 0;
            foreach (var group in missing.GroupBy(drawn => drawn.Group))
            {
                PlannedPart part = await plans.PartAsync(input.SweepId, group.Key, cancellationToken);
                foreach (DrawnPairs drawn in group)
                {
                    runs += await runner.DrawAsync(part, part.Chunks[drawn.Chunk], drawn, round, cancellationToken);
                }
            }

            return new WorkReport(PatchedRuns: runs);
        }, cancellationToken);
    }

    /// <summary>What the rounds came to, with their runs; null where they are not at an end, or something of them is gone.</summary>
    public async Task<AdaptiveRuns?> FoundAsync(string sweepId, SweepPlan plan, CancellationToken cancellationToken)
    {
        if (await store.ReadDerivedJsonAsync<AdaptiveFindings>(SweepArtifacts.AdaptiveFindings(sweepId), cancellationToken) is not AdaptiveFindings findings)
        {
            return null;
        }

        var drawn = new Dictionary<int, TakenPair>();
        for (int round = 0; round < findings.Rounds; round++)
        {
            if (await store.ReadDerivedJsonAsync<TakenRound>(SweepArtifacts.HeadRoundTaken(sweepId, round), cancellationToken) is not TakenRound taken)
            {
                return null;
            }

            foreach (TakenPair pair in taken.Pairs)
            {
                drawn[pair.Place] = pair with { Heads = taken.Heads };
            }
        }

        return new AdaptiveRuns(findings, drawn);
    }

    /// <summary>The runs of a sweep in the store, pair by pair.</summary>
    public StoredRuns StoredRuns(string sweepId, SweepPlan plan, AdaptiveRuns found, Traffic traffic, bool attributed) =>
        new(store, plans, sweepId, plan, plan.WorkBefore(), exact: null, traffic, attributed) { Drawn = found.Drawn };

    /// <summary>A round with what its runs gave; or where some are not there the parts that are to be run.</summary>
    private async Task<(TakenRound? Taken, IReadOnlyList<int> Missing)> TakeAsync(
        string sweepId, SweepPlan plan, AdaptivePopulation population, AdaptiveRound next, CancellationToken cancellationToken)
    {
        // A round that is stored and is another's, of an earlier version, is written over.
        HeadRound? round = await plans.HeadRoundAsync(sweepId, next.Number, cancellationToken);
        if (round is null || !round.Is(next, population))
        {
            round = HeadRound.Cut(plan, await ChunksAsync(sweepId, plan, cancellationToken), next, population);
            await store.WriteDerivedJsonAsync(SweepArtifacts.HeadRound(sweepId, next.Number), round, cancellationToken);
        }

        var byPlace = new Dictionary<int, TakenPair>();
        var missing = new List<int>();
        foreach (var (index, part) in round.Parts.Index())
        {
            bool whole = true;
            foreach (DrawnPairs drawn in part.Chunks)
            {
                whole &= await AddAsync(sweepId, plan, drawn, round, byPlace, cancellationToken);
            }

            if (!whole)
            {
                missing.Add(index);
            }
        }

        return missing.Count > 0
            ? (null, missing)
            : (new TakenRound(next.Heads, [.. next.Pairs.Select(pair => byPlace[population.Indices[pair]])]), []);
    }

    /// <summary>Takes in a chunk's pairs of a round.</summary>
    /// <returns>Whether all of it is there.</returns>
    private async Task<bool> AddAsync(string sweepId, SweepPlan plan, DrawnPairs drawn, HeadRound round, Dictionary<int, TakenPair> byPlace, CancellationToken cancellationToken)
    {
        if (await store.ReadDerivedJsonAsync<DrawnRuns>(SweepArtifacts.Drawn(drawn.Key, drawn.Runs), cancellationToken) is not DrawnRuns runs)
        {
            return false;
        }

        PlannedPart part = await plans.PartAsync(sweepId, drawn.Group, cancellationToken);
        PlannedChunk chunk = part.Chunks[drawn.Chunk];
        ChunkWork before = plan.WorkBefore()!;
        if (await RunArtifact.ReadAsync(store, chunk.KeyOfRuns(before, 0, plan.Model.Layers - 1), chunk.Pairs, new Traffic(), cancellationToken) is not ChunkRuns unpatched)
        {
            await work.EstimateAsync(new ActivityInput(sweepId, drawn.Group), progress: null, cancellationToken);
            return await AddAsync(sweepId, plan, drawn, round, byPlace, cancellationToken);
        }

        foreach (var (index, pair) in drawn.Pairs.Index())
        {
            Baseline baseline = unpatched.Baselines[pair];
            double[]? estimates = before is ChunkWork.Estimates
                ? [.. round.Heads.Select(head => unpatched.Layers[head / plan.HeadCount].PatchedMetric[pair][0][head % plan.HeadCount])]
                : null;
            byPlace[drawn.Places[index]] = new TakenPair(drawn.Places[index], baseline.Clean, baseline.Corrupted, runs.Metric[index], estimates);
        }

        return true;
    }

    private async Task<IReadOnlyList<(int Group, int Place, PlannedChunk Chunk)>> ChunksAsync(string sweepId, SweepPlan plan, CancellationToken cancellationToken)
    {
        var all = new List<(int Group, int Place, PlannedChunk Chunk)>();
        for (int group = 0; group < plan.Size.Groups; group++)
        {
            all.AddRange((await plans.PartAsync(sweepId, group, cancellationToken)).Chunks.Select((chunk, place) => (group, place, chunk)));
        }

        return all;
    }

    /// <summary>The pairs before a head is run on one, known by their places in the result.</summary>
    private async Task<AdaptivePopulation> PopulationAsync(string sweepId, SweepPlan plan, CancellationToken cancellationToken)
    {
        string name = SweepArtifacts.Population(sweepId);
        if (await store.ReadDerivedJsonAsync<AdaptivePopulation>(name, cancellationToken) is AdaptivePopulation stored)
        {
            return stored;
        }

        AdaptivePopulation made = await work.OfAllAsync(sweepId, () => Task.FromResult(work.StoredBefore(sweepId, plan)), MakeAsync, cancellationToken);
        await store.WriteDerivedJsonAsync(name, made, cancellationToken);
        return made;

        async Task<AdaptivePopulation> MakeAsync(StoredRuns runs, RunsOverview overview)
        {
            int heads = plan.Model.Layers * plan.HeadCount;
            AdaptivePopulation population = AdaptivePopulation.Of(plan.Request.Aggregation, [.. overview.Pairs.Baselines.Select((pair, place) => (place, pair.Baseline))], heads);
            HashSet<int> drawn = [.. population.Indices.Where((_, place) => !population.Certain.Contains(place))];
            if (plan.WorkBefore() is not ChunkWork.Estimates || drawn.Count == 0)
            {
                return population;
            }

            var spreads = new EstimateSpread.Sum[heads];
            await foreach (PairRuns pair in runs.PairByPairAsync(cancellationToken))
            {
                if (drawn.Contains(pair.Place))
                {
                    var (from, to) = pair.Baseline.FromTo(plan.Request.RunPatched());
                    foreach (var (head, estimate) in pair.Estimates!.SelectMany(layer => layer[0]).Index())
                    {
                        spreads[head].Add(Effect.Of(estimate, from, to));
                    }
                }
            }

            return population with { Estimates = [.. spreads.Select(sum => sum.Spread())] };
        }
    }
}
