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
    private int _next;

    /// <summary>The runs of some sets on some pairs.</summary>
    /// <exception cref="RoundWantedException">They are not stored: they are the next round.</exception>
    public PatchSetRuns Run(IReadOnlyList<TokenPair> pairs, IReadOnlyList<PatchSet> sets, Direction direction) =>
        Run(pairs, [.. sets.Select(set => set.ToString())], direction, edges: null);

    /// <summary>The runs, or estimates, of some edges on some pairs.</summary>
    /// <inheritdoc cref="Run(IReadOnlyList{TokenPair}, IReadOnlyList{PatchSet}, Direction)"/>
    public PatchSetRuns Run(IReadOnlyList<TokenPair> pairs, IReadOnlyList<Edge> edges, Direction direction, EdgeWork work) =>
        Run(pairs, [.. edges.Select(edge => edge.ToString())], direction, work);

    private PatchSetRuns Run(IReadOnlyList<TokenPair> pairs, string[] texts, Direction direction, EdgeWork? edges) =>
        _next < rounds.Count && rounds[_next].Round.IsOf(pairs, texts, direction, edges)
            ? rounds[_next++].Of(pairs)
            : throw new RoundWantedException(pairs, texts, direction, edges);
}

/// <summary>A search has come to runs that are not there.</summary>
internal sealed class RoundWantedException(IReadOnlyList<TokenPair> pairs, IReadOnlyList<string> sets, Direction direction, EdgeWork? edges) : Exception
{
    public EdgeWork? Edges { get; } = edges;

    public IReadOnlyList<TokenPair> Pairs { get; } = pairs;

    public IReadOnlyList<string> Sets { get; } = sets;

    public Direction Direction { get; } = direction;
}
