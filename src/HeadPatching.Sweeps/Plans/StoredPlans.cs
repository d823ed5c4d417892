using System.Runtime.CompilerServices;
using HeadPatching.Core.Patching.Patterns;
using HeadPatching.Core.Prompts;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Plans;

/// <summary>
/// The plans of sweeps in the store. The same request gives the same plan, so that whatever is missing of one, or torn, is written again where it
/// is asked for.
/// </summary>
public sealed class StoredPlans
{
    private readonly IArtifactStore _store;
    private readonly IModelCatalog _catalog;

    /// <summary>Makes a reader of plans that can plan again.</summary>
    public StoredPlans(IArtifactStore store, IModelCatalog catalog)
    {
        _store = store;
        _catalog = catalog;
    }

    /// <summary>Plans a sweep, of pairs that lie in the store too, and stores nothing.</summary>
    /// <inheritdoc cref="SweepPlanner.PlanAsync"/>
    public async Task<PlannedSweep> PlanAsync(SweepRequest request, DateTimeOffset createdAt, FaultPlaces places, CancellationToken cancellationToken)
    {
        var (whole, wherePairs) = await StoredPairs.ResolveAsync(_store, request, places, cancellationToken);
        return await SweepPlanner.PlanAsync(whole, createdAt, _catalog, wherePairs, cancellationToken);
    }

    /// <summary>The header of a sweep's plan.</summary>
    /// <exception cref="Core.Faults.InvalidInputException">The request cannot be swept.</exception>
    public async Task<SweepPlan> HeaderAsync(string sweepId, CancellationToken cancellationToken)
    {
        return await StoredHeaderAsync(sweepId, cancellationToken) ?? (await PlanAgainAsync(sweepId, cancellationToken)).Header;
    }

    /// <summary>One part of a sweep's plan.</summary>
    public async Task<PlannedPart> PartAsync(string sweepId, int part, CancellationToken cancellationToken) =>
        await _store.ReadDerivedJsonAsync<PlannedPart>(SweepArtifacts.Part(sweepId, part), cancellationToken) ?? (await PlanAgainAsync(sweepId, cancellationToken)).Parts[part];

    /// <summary>A round of a sweep's sets; null where it has not come to it, or what was there is torn.</summary>
    public Task<SetRound?> RoundAsync(string sweepId, int round, CancellationToken cancellationToken) =>
        _store.ReadDerivedJsonAsync<SetRound>(SweepArtifacts.Round(sweepId, round), cancellationToken);

    /// <summary>A round of an adaptive sweep; null where it has not come to it, or what was there is torn.</summary>
    public Task<HeadRound?> HeadRoundAsync(string sweepId, int round, CancellationToken cancellationToken) =>
        _store.ReadDerivedJsonAsync<HeadRound>(SweepArtifacts.HeadRound(sweepId, round), cancellationToken);

    /// <summary>All pairs of a sweep, in the order of its result.</summary>
    public async Task<IReadOnlyList<TokenPair>> PairsAsync(string sweepId, SweepPlan plan, CancellationToken cancellationToken)
    {
        var pairs = new TokenPair[plan.PairCount];
        for (int group = 0; group < plan.Size.Groups; group++)
        {
            foreach (PlannedChunk chunk in (await PartAsync(sweepId, group, cancellationToken)).Chunks)
            {
                foreach (var (pair, place) in chunk.Pairs.Zip(chunk.Places))
                {
                    pairs[place] = pair;
                }
            }
        }

        return pairs;
    }

    /// <summary>The texts of a sweep's tokens; null where its model has no tokenizer.</summary>
    public async Task<IReadOnlyDictionary<int, string>?> TokenTextsAsync(string sweepId, CancellationToken cancellationToken)
    {
        var texts = await _store.ReadDerivedJsonAsync<TokenTexts>(SweepArtifacts.TokenTexts(sweepId), cancellationToken);
        return texts is null ? (await PlanAgainAsync(sweepId, cancellationToken)).TokenTexts : texts.ByToken;
    }

    /// <summary>Stores a plan; its header last, so that where it is the rest has been.</summary>
    public async Task WriteAsync(string sweepId, PlannedSweep plan, CancellationToken cancellationToken)
    {
        await _store.WriteDerivedJsonAsync(SweepArtifacts.TokenTexts(sweepId), new TokenTexts(plan.TokenTexts), cancellationToken);
        await Parallel.ForEachAsync(
            plan.Parts.Index(),
            new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = cancellationToken },
            async (part, cancel) => await _store.WriteDerivedJsonAsync(SweepArtifacts.Part(sweepId, part.Index), part.Item, cancel));
        await _store.WriteDerivedJsonAsync(SweepArtifacts.Plan(sweepId), plan.Header, cancellationToken);
    }

    /// <summary>The artifacts under keys, or folders of them, that a sweep of the store refers to, as far as its plan is there; the plan is not made again for it.</summary>
    public async IAsyncEnumerable<string> ReferredAsync(string sweepId, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (await StoredHeaderAsync(sweepId, cancellationToken) is not SweepPlan plan)
        {
            yield break;
        }

        ChunkWork exact = plan.ExactWork();
        if (exact is ChunkWork.Heads heads)
        {
            if (await _store.ReadDerivedJsonAsync<ScreenedHeads>(SweepArtifacts.Screen(sweepId), cancellationToken) is ScreenedHeads screened)
            {
                exact = heads with { Only = screened.ByLayer };
            }

            foreach (string key in plan.Size.SumSlices == 0 ? [] : Enumerable.Range(0, plan.Size.SumSlices).Select(slice => plan.KeyOfSums(heads, slice)).Prepend(plan.KeyOfSums(heads)))
            {
                yield return SweepArtifacts.Sums(key);
            }
        }

        foreach (PairPatterns shown in await _store.ReadDerivedJsonAsync<IReadOnlyList<PairPatterns>>(SweepArtifacts.Patterns(sweepId), cancellationToken) ?? [])
        {
            foreach (HeadPattern pattern in shown.Heads)
            {
                yield return SweepArtifacts.Pattern(WorkKeys.Pattern(plan.Source, shown.Pair, pattern.Layer, pattern.Head));
            }
        }

        for (int round = 0; plan.Request.RunsSets() && await RoundAsync(sweepId, round, cancellationToken) is SetRound sets; round++)
        {
            foreach (SetRoundPart part in sets.Parts)
            {
                yield return SweepArtifacts.Runs(part.Key(sets, plan));
            }
        }

        for (int index = 0; index < plan.Size.Parts; index++)
        {
            if (await _store.ReadDerivedJsonAsync<PlannedPart>(SweepArtifacts.Part(sweepId, index), cancellationToken) is not PlannedPart part)
            {
                continue;
            }

            foreach (PlannedChunk chunk in part.Chunks)
            {
                yield return SweepArtifacts.Activations(chunk.Activations);
                yield return SweepArtifacts.Attributions(chunk.KeyOfAttribution(plan.Metric()));
                yield return SweepArtifacts.Runs(part.KeyOf(chunk, exact));
                if (plan.WorkBefore() is ChunkWork before)
                {
                    yield return SweepArtifacts.Runs(part.For(before, plan).KeyOf(chunk, before));
                }

                if (plan.Request.Method == Core.Patching.Method.Adaptive)
                {
                    yield return SweepArtifacts.Drawn(chunk.KeyOfDrawn((ChunkWork.Heads)plan.ExactWork(), plan.Model.Layers));
                }
            }
        }
    }

    /// <summary>The header that is there; null where there is none of this version.</summary>
    private async Task<SweepPlan?> StoredHeaderAsync(string sweepId, CancellationToken cancellationToken) =>
        await _store.ReadDerivedJsonAsync<SweepPlan>(SweepArtifacts.Plan(sweepId), cancellationToken) is { SchemaVersion: SweepPlan.CurrentSchema } stored ? stored : null;

    private async Task<PlannedSweep> PlanAgainAsync(string sweepId, CancellationToken cancellationToken)
    {
        var stored = await _store.RequireJsonAsync<StoredRequest>(SweepArtifacts.Request(sweepId), cancellationToken);
        PlannedSweep plan = await PlanAsync(stored.Request, stored.CreatedAt, FaultPlaces.JsonPaths, cancellationToken);
        await WriteAsync(sweepId, plan, cancellationToken);
        return plan;
    }

    private sealed record TokenTexts(IReadOnlyDictionary<int, string>? ByToken);
}
