using System.Runtime.CompilerServices;
using System.Text.Json;
using HeadPatching.Core.Prompts;
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

    /// <summary>The header of a sweep's plan.</summary>
    /// <exception cref="Core.Faults.InvalidInputException">The request cannot be swept.</exception>
    public async Task<SweepPlan> HeaderAsync(string sweepId, CancellationToken cancellationToken)
    {
        return await ReadAsync<SweepPlan>(SweepArtifacts.Plan(sweepId), cancellationToken) is { SchemaVersion: SweepPlan.CurrentSchema } stored
            ? stored
            : (await PlanAgainAsync(sweepId, cancellationToken)).Header;
    }

    /// <summary>One part of a sweep's plan.</summary>
    public async Task<PlannedPart> PartAsync(string sweepId, int part, CancellationToken cancellationToken) =>
        await ReadAsync<PlannedPart>(SweepArtifacts.Part(sweepId, part), cancellationToken) ?? (await PlanAgainAsync(sweepId, cancellationToken)).Parts[part];

    /// <summary>The parts that together are every chunk once, one after another.</summary>
    public async IAsyncEnumerable<PlannedPart> GroupsAsync(string sweepId, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        SweepPlan header = await HeaderAsync(sweepId, cancellationToken);
        for (int part = 0; part < header.Size.Groups; part++)
        {
            yield return await PartAsync(sweepId, part, cancellationToken);
        }
    }

    /// <summary>All pairs of a sweep, in the order of the result: for what depends on all of them.</summary>
    public async Task<IReadOnlyList<TokenPair>> PairsAsync(string sweepId, CancellationToken cancellationToken)
    {
        var pairs = new TokenPair[(await HeaderAsync(sweepId, cancellationToken)).PairCount];
        await foreach (PlannedPart part in GroupsAsync(sweepId, cancellationToken))
        {
            foreach (var (pair, place) in part.Chunks.SelectMany(chunk => chunk.Pairs.Zip(chunk.Places)))
            {
                pairs[place] = pair;
            }
        }

        return pairs;
    }

    /// <summary>The texts of a sweep's tokens; null where its model has no tokenizer.</summary>
    public async Task<IReadOnlyDictionary<int, string>?> TokenTextsAsync(string sweepId, CancellationToken cancellationToken)
    {
        var texts = await ReadAsync<TokenTexts>(SweepArtifacts.TokenTexts(sweepId), cancellationToken);
        return texts is null ? (await PlanAgainAsync(sweepId, cancellationToken)).TokenTexts : texts.ByToken;
    }

    /// <summary>Stores a plan; its header last, so that where it is the rest has been.</summary>
    public async Task WriteAsync(string sweepId, PlannedSweep plan, CancellationToken cancellationToken)
    {
        await WriteAsync(SweepArtifacts.TokenTexts(sweepId), new TokenTexts(plan.TokenTexts), cancellationToken);
        await Parallel.ForEachAsync(
            plan.Parts.Index(),
            new ParallelOptions { MaxDegreeOfParallelism = 8, CancellationToken = cancellationToken },
            async (part, cancel) => await WriteAsync(SweepArtifacts.Part(sweepId, part.Index), part.Item, cancel));
        await WriteAsync(SweepArtifacts.Plan(sweepId), plan.Header, cancellationToken);
    }

    private async Task<PlannedSweep> PlanAgainAsync(string sweepId, CancellationToken cancellationToken)
    {
        var stored = await _store.RequireJsonAsync<StoredRequest>(SweepArtifacts.Request(sweepId), cancellationToken);
        PlannedSweep plan = await SweepPlanner.PlanAsync(stored.Request, stored.CreatedAt, _catalog, FaultPlaces.JsonPaths, cancellationToken);
        await WriteAsync(sweepId, plan, cancellationToken);
        return plan;
    }

    private Task WriteAsync<T>(string name, T record, CancellationToken cancellationToken) => _store.WriteDerivedAsync(
        name, (stream, cancel) => JsonSerializer.SerializeAsync(stream, record, Core.Results.ResultJson.Compact, cancel), cancellationToken);

    /// <summary>Reads a record; null where there is none, or a torn one.</summary>
    private async Task<T?> ReadAsync<T>(string name, CancellationToken cancellationToken)
        where T : class
    {
        try
        {
            return await _store.ReadJsonAsync<T>(name, cancellationToken);
        }
        catch (DamagedArtifactException)
        {
            return null;
        }
    }

    private sealed record TokenTexts(IReadOnlyDictionary<int, string>? ByToken);
}
