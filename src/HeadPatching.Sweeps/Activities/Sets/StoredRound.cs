using HeadPatching.Core.Circuits;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Sweeps.Activities.Artifacts;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Activities.Sets;

/// <summary>A round with the runs of it that are stored, which lie there as those of a layer whose heads are the sets.</summary>
internal sealed class StoredRound(SetRound round)
{
    private readonly Dictionary<int, (Baseline Baseline, double[] Patched)> _byPair = [];

    /// <summary>The round.</summary>
    public SetRound Round { get; } = round;

    /// <summary>Parts whose runs are not there whole.</summary>
    public List<int> Missing { get; } = [];

    /// <summary>A part's runs as they are stored.</summary>
    public static ChunkRuns Stored(SetRoundPart part, PatchSetRuns runs, long patched, double seconds) => new(
        runs.Baselines,
        [
            new LayerPatches(
                0,
                [.. part.Pairs.Select(pair => pair.Index)],
                [.. Enumerable.Range(0, part.Pairs.Count).Select(pair => new[] { runs.Patched.Select(set => set[pair]).ToArray() })], // [pair][1][set]
                patched,
                seconds),
        ],
        CacheSeconds: 0);

    /// <summary>Reads what is there; what is torn is deleted, so that it is made again.</summary>
    public async Task ReadAsync(IArtifactStore store, SweepPlan plan, CancellationToken cancellationToken)
    {
        foreach (var (index, part) in Round.Parts.Index())
        {
            string key = part.Key(Round, plan);
            if (await RunArtifact.ReadAsync(store, key, part.Pairs, new Traffic(), cancellationToken) is not ChunkRuns runs)
            {
                await store.DeleteAsync(SweepArtifacts.Runs(key), cancellationToken);
                Missing.Add(index);
                continue;
            }

            for (int pair = 0; pair < part.Pairs.Count; pair++)
            {
                int at = part.Pairs[pair].Index;
                if (!_byPair.TryGetValue(at, out var own))
                {
                    _byPair[at] = own = (runs.Baselines[pair], new double[Round.Sets.Count]);
                }

                runs.Layers[0].PatchedMetric[pair][0].CopyTo(own.Patched, part.FirstSet);
            }
        }
    }

    /// <summary>Its runs, in the order of some pairs: all of its own.</summary>
    public PatchSetRuns Of(IReadOnlyList<TokenPair> pairs) => new(
        [.. pairs.Select(pair => _byPair[pair.Index].Baseline)],
        [.. Enumerable.Range(0, Round.Sets.Count).Select(set => pairs.Select(pair => _byPair[pair.Index].Patched[set]).ToArray())]);
}

/// <summary>Gives a search the runs of stored rounds, one after another, and stops it where it asks for more.</summary>
internal sealed class Replay(IReadOnlyList<StoredRound> rounds)
{
    /// <summary>How many rounds were those that the search asked for.</summary>
    public int Replayed { get; private set; }

    /// <summary>The runs of some sets on some pairs: sets of nodes, senders of paths, or edges.</summary>
    /// <exception cref="RoundWantedException">They are not stored: they are the next round.</exception>
    public PatchSetRuns Run<T>(RoundWork work, IReadOnlyList<TokenPair> pairs, IReadOnlyList<T> sets, Direction direction)
        where T : notnull
    {
        string[] texts = [.. sets.Select(set => set.ToString()!)];
        return Replayed < rounds.Count && rounds[Replayed].Round.IsOf(work, pairs, texts, direction)
            ? rounds[Replayed++].Of(pairs)
            : throw new RoundWantedException(work, pairs, texts, direction);
    }
}

/// <summary>A search has come to runs that are not there.</summary>
internal sealed class RoundWantedException(RoundWork work, IReadOnlyList<TokenPair> pairs, IReadOnlyList<string> sets, Direction direction) : Exception
{
    public RoundWork Work { get; } = work;

    public IReadOnlyList<TokenPair> Pairs { get; } = pairs;

    public IReadOnlyList<string> Sets { get; } = sets;

    public Direction Direction { get; } = direction;
}
