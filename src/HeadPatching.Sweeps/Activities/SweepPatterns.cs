using HeadPatching.Core.Faults;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Patterns;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Activities;

/// <summary>
/// The attention patterns of a sweep's heads on its pairs. Each is an artifact under a key; what is not there is read from a clean and a corrupted run of
/// its pair, one such run at a time in this process, beside the activities and not in their queue.
/// </summary>
public sealed class SweepPatterns
{
    /// <summary>The longest prompt that patterns are given of, in tokens: a pattern has the square of it.</summary>
    public const int LongestPrompt = 512;

    /// <summary>So many callers may wait for their turn; one more is refused.</summary>
    private const int MostWaiting = 16;

    /// <summary>The report has so many heads, pairs and tokens of a prompt, and of the patterns together so many numbers of each run.</summary>
    private const int HeadsOfReport = 8, PairsOfReport = 4, LongestOfReport = 64, NumbersOfReport = 40_000;

    private static readonly SemaphoreSlim Turn = new(1);

    private readonly IArtifactStore _store;
    private readonly StoredPlans _plans;
    private readonly LoadedModels _models;
    private int _waiting;

    internal SweepPatterns(IArtifactStore store, StoredPlans plans, LoadedModels models)
    {
        _store = store;
        _plans = plans;
        _models = models;
    }

    /// <summary>A head's patterns on a pair of a sweep.</summary>
    /// <param name="sweepId">The sweep.</param>
    /// <param name="head">The head, such as <c>L9H6</c>.</param>
    /// <param name="index">The pair's index in the dataset.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <exception cref="InvalidInputException">The model has no such head, the sweep no such pair, or its prompts are too long.</exception>
    /// <exception cref="ModelUnavailableException">The pattern is not stored, and the model not there any more.</exception>
    /// <exception cref="PatternsBusyException">Too many wait.</exception>
    public async Task<PairPatterns> FindAsync(string sweepId, string head, int index, CancellationToken cancellationToken)
    {
        SweepPlan plan = await _plans.HeaderAsync(sweepId, cancellationToken);
        (int, int) wanted = HeadNames.Parse(head) is var (layer, number) && layer < plan.Model.Layers && number < plan.Model.Heads
            ? (layer, number)
            : throw new InvalidInputException(
                FaultKinds.OutOfRange, "head", $"There is no head '{head}': the model has L0H0 to L{plan.Model.Layers - 1}H{plan.Model.Heads - 1} (heads of queries, also where they share keys and values).");
        TokenPair pair = await PairAsync(sweepId, plan, index, cancellationToken);
        return pair.Length <= LongestPrompt
            ? new PairPatterns(pair, await OfPairAsync(plan, pair, [wanted], cancellationToken))
            : throw new InvalidInputException(FaultKinds.PromptTooLong, "pair", $"The prompts of pair {index} have {pair.Length} tokens; patterns are given of up to {LongestPrompt}.");
    }

    /// <summary>Whether a report of a result shows patterns: where heads were patched, and some prompt is short enough.</summary>
    internal static bool AreShown(SweepResult result) => !result.Patch.IsOfLayer() && PairsShown(result).Any();

    /// <summary>Reads the patterns that the report of an assembled sweep shows, and stores them with it; none where the model has gone since.</summary>
    internal async Task ReadAsync(string sweepId, CancellationToken cancellationToken)
    {
        SweepPlan plan = await _plans.HeaderAsync(sweepId, cancellationToken);
        var all = new List<PairPatterns>();
        if (await _store.ReadDerivedJsonAsync<SweepResult>(SweepArtifacts.Assembled(sweepId), cancellationToken) is not SweepResult result)
        {
            return; // completed meanwhile, or torn: assembling sees
        }

        IReadOnlyList<(int Layer, int Head)> heads = Strongest(result);
        try
        {
            foreach (PairResult one in PairsShown(result))
            {
                var pair = new TokenPair(one.Index, one.CleanTokens, one.CorruptedTokens, one.Correct, one.Incorrect);
                all.Add(new PairPatterns(pair, await OfPairAsync(plan, pair, heads, cancellationToken)));
            }
        }
        catch (ModelUnavailableException)
        {
            all.Clear(); // the numbers do not ask for it any more
        }

        await _store.WriteDerivedJsonAsync(SweepArtifacts.Patterns(sweepId), all, cancellationToken);
    }

    private static IEnumerable<PairResult> PairsShown(SweepResult result)
    {
        int room = NumbersOfReport;
        return result.Pairs
            .Where(pair => !pair.Degenerate && pair.CleanTokens.Count <= LongestOfReport)
            .Take(PairsOfReport)
            .TakeWhile(pair => (room -= HeadsOfReport * pair.CleanTokens.Count * pair.CleanTokens.Count) >= 0);
    }

    /// <summary>The strongest heads of queries: of a key/value head all that share it.</summary>
    private static IReadOnlyList<(int Layer, int Head)> Strongest(SweepResult result)
    {
        int sharing = result.Patch is Patch.K or Patch.V && result.Model.KeyValueHeads is int keyValueHeads ? result.Model.Heads / keyValueHeads : 1;
        return
        [
            .. result.Heads
                .OrderByDescending(head => Math.Abs(head.PatchingEffect))
                .SelectMany(head => Enumerable.Range(head.Head!.Value * sharing, sharing).Select(of => (head.Layer, of)))
                .Take(HeadsOfReport),
        ];
    }

    private async Task<TokenPair> PairAsync(string sweepId, SweepPlan plan, int index, CancellationToken cancellationToken)
    {
        for (int group = 0; group < plan.Size.Groups; group++)
        {
            PlannedPart part = await _plans.PartAsync(sweepId, group, cancellationToken);
            if (part.Chunks.SelectMany(chunk => chunk.Pairs).FirstOrDefault(pair => pair.Index == index) is TokenPair found)
            {
                return found;
            }
        }

        throw new InvalidInputException(FaultKinds.OutOfRange, "pair", $"The sweep has no pair {index}: it has {plan.PairCount}, counted from 0 as in its dataset.");
    }

    private async Task<IReadOnlyList<HeadPattern>> OfPairAsync(
        SweepPlan plan, TokenPair pair, IReadOnlyList<(int Layer, int Head)> heads, CancellationToken cancellationToken)
    {
        HeadPattern?[] known = await Task.WhenAll(heads.Select(head => _store.ReadDerivedJsonAsync<HeadPattern>(NameOf(head), cancellationToken)));
        (int Place, (int Layer, int Head) Head)[] missing = [.. heads.Index().Where(head => known[head.Index] is null)];
        if (missing.Length > 0)
        {
            IReadOnlyList<HeadPattern> made = await RunAsync(plan, pair, [.. missing.Select(one => one.Head)], cancellationToken);
            foreach (var (one, pattern) in missing.Zip(made))
            {
                known[one.Place] = pattern;
                await _store.WriteDerivedJsonAsync(NameOf(one.Head), pattern, cancellationToken);
            }
        }

        return [.. known.Select(pattern => pattern!)];

        string NameOf((int Layer, int Head) head) => SweepArtifacts.Pattern(WorkKeys.Pattern(plan.Source, pair, head.Layer, head.Head));
    }

    private async Task<IReadOnlyList<HeadPattern>> RunAsync(
        SweepPlan plan, TokenPair pair, IReadOnlyList<(int Layer, int Head)> heads, CancellationToken cancellationToken)
    {
        if (Interlocked.Increment(ref _waiting) > MostWaiting)
        {
            Interlocked.Decrement(ref _waiting);
            throw new PatternsBusyException(MostWaiting);
        }

        try
        {
            await Turn.WaitAsync(cancellationToken);
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }

        try
        {
            using LoadedModels.Lease lease = await LendAsync(plan.Source, cancellationToken);
            using GpuTurn turn = await GpuTurn.TakeAsync(plan.Source, cancellationToken);
            return await Task.Run(() => lease.Use(model => AttentionPatterns.Of(model, pair, heads, cancellationToken)), cancellationToken);
        }
        finally
        {
            Turn.Release();
        }
    }

    private async Task<LoadedModels.Lease> LendAsync(ModelSource source, CancellationToken cancellationToken)
    {
        try
        {
            return await _models.LendAsync(source, cancellationToken);
        }
        catch (InvalidInputException e)
        {
            throw new ModelUnavailableException(source.Model, e);
        }
    }
}

/// <summary>As many callers wait for patterns as may.</summary>
/// <param name="mostWaiting">How many those are.</param>
public sealed class PatternsBusyException(int mostWaiting) : Exception($"{mostWaiting} callers wait for patterns already.")
{
    /// <summary>How many may wait.</summary>
    public int MostWaiting { get; } = mostWaiting;
}
