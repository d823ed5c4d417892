using System.Text.Json.Serialization;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;

namespace HeadPatching.Sweeps.Plans;

/// <summary>What a round runs: one of the records below and no other.</summary>
[JsonDerivedType(typeof(Nodes), "nodes")]
[JsonDerivedType(typeof(Paths), "paths")]
[JsonDerivedType(typeof(Edges), "edges")]
public abstract record RoundWork
{
    private RoundWork()
    {
    }

    /// <summary>Sets of nodes, each patched together.</summary>
    public sealed record Nodes : RoundWork;

    /// <summary>The sweep's paths, each from one node.</summary>
    public sealed record Paths : RoundWork;

    /// <summary>Edges.</summary>
    /// <param name="How">Patched, or estimated from how many gradients.</param>
    public sealed record Edges(EdgeWork How) : RoundWork;
}

/// <summary>Sets of nodes, senders of paths or edges that are run on some pairs before anything else can be decided: a round, cut into parts.</summary>
/// <param name="Work">Which of these its sets are.</param>
/// <param name="Direction">Which run is patched.</param>
/// <param name="Sets">The sets.</param>
/// <param name="Parts">The parts, one activity each: together every set on every pair.</param>
public sealed record SetRound(RoundWork? Work, Direction Direction, IReadOnlyList<string> Sets, IReadOnlyList<SetRoundPart> Parts)
{
    /// <summary>Whether it is of these sets on these pairs.</summary>
    public bool IsOf(RoundWork work, IReadOnlyList<TokenPair> pairs, IReadOnlyList<string> sets, Direction direction) =>
        Direction == direction && Work == work && Sets.SequenceEqual(sets) && Parts.SelectMany(part => part.Pairs).Select(pair => pair.Index).ToHashSet().SetEquals(pairs.Select(pair => pair.Index));
}

/// <summary>Some sets on some pairs.</summary>
/// <param name="Pairs">The pairs.</param>
/// <param name="FirstSet">The first set.</param>
/// <param name="SetCount">How many sets.</param>
public sealed record SetRoundPart(IReadOnlyList<TokenPair> Pairs, int FirstSet, int SetCount)
{
    /// <summary>The key of its runs.</summary>
    public string Key(SetRound round, SweepPlan plan) => WorkKeys.Sets(plan.Source, Pairs, [.. SetsOf(round)], round.Direction, plan.Metric(), round.Work switch
    {
        RoundWork.Edges edges => edges.How.ToString(),
        RoundWork.Paths => plan.ExactWork().Text,
        _ => plan.Request.Ablation is null ? null : plan.ExactWork().Text,
    });

    /// <summary>Its sets.</summary>
    public IEnumerable<string> SetsOf(SetRound round) => round.Sets.Skip(FirstSet).Take(SetCount);
}

/// <summary>The next round of a sweep, as the workflow needs it.</summary>
/// <param name="Round">Which one.</param>
/// <param name="Parts">Those of its parts that are to be run; none: there is no further round.</param>
public sealed record NextRound(int Round, IReadOnlyList<int> Parts)
{
    /// <summary>Nothing is left to run.</summary>
    [JsonIgnore]
    public bool IsEnd => Parts.Count == 0;
}

/// <summary>What the rounds of sets came to.</summary>
/// <param name="PatchSets">Of the sets that were asked for; null where none were.</param>
/// <param name="Circuit">The circuit and its proof; null where none was asked for.</param>
public sealed record SetFindings(IReadOnlyList<PatchedSet>? PatchSets, ProofSheet? Circuit)
{
    /// <summary>Of the senders of paths that are no heads; null where none were asked for.</summary>
    public IReadOnlyList<PatchedSet>? Senders { get; init; }

    /// <summary>The edges; null where none were asked for.</summary>
    public EdgeEffects? Edges { get; init; }
}

/// <summary>Cuts rounds.</summary>
public static class SetRounds
{
    /// <summary>The most pairs that sets are run on: their metrics are in memory together.</summary>
    public const int MostPairs = 10_000;

    /// <summary>The most edges: results.json has a line of numbers for each.</summary>
    public const int MostEdges = 100_000;

    /// <summary>The most runs of edges, or of senders of paths at each position, over all pairs: their metrics are in memory together.</summary>
    public const long MostRuns = 20_000_000;

    /// <summary>More rounds than this no search takes.</summary>
    public const int Most = 100;

    /// <summary>A part takes about so long on one worker: as one of the patched heads' (<see cref="SweepCut"/>).</summary>
    private const double PartSeconds = 10;

    /// <summary>Cuts a round into parts of about the same work: by pairs, of like lengths together, and where a pair alone takes longer by sets.</summary>
    /// <param name="plan">The sweep's plan.</param>
    /// <param name="work">What is run.</param>
    /// <param name="pairs">The pairs.</param>
    /// <param name="sets">The sets.</param>
    /// <param name="direction">Which run is patched.</param>
    public static SetRound Cut(SweepPlan plan, RoundWork work, IReadOnlyList<TokenPair> pairs, IReadOnlyList<string> sets, Direction direction)
    {
        double secondsOfPair = sets.Count * work switch
        {
            RoundWork.Edges { How.Method: EdgeMethod.Exact } => plan.SecondsOfEdge,
            RoundWork.Edges => plan.SecondsOfEstimatedEdge,
            _ => plan.SecondsOfRun,
        };

        // Each part reads streamed weights: it is to compute for longer than they take to come.
        double partSeconds = Math.Max(PartSeconds, plan.Size.Memory is { Streamed: true } memory ? memory.AllWeights / SweepCut.StreamRate : 0);
        int parts = (int)Math.Clamp(Math.Ceiling(pairs.Count * secondsOfPair / partSeconds), 1, pairs.Count);
        int slices = (int)Math.Clamp(Math.Ceiling(secondsOfPair / partSeconds), 1, sets.Count);
        int pairsOfPart = (pairs.Count + parts - 1) / parts, setsOfPart = (sets.Count + slices - 1) / slices;
        return new SetRound(
            work,
            direction,
            sets,
            [
                .. pairs.OrderBy(pair => pair.Length).ThenBy(pair => pair.FirstDifference).ThenBy(pair => pair.Index).Chunk(pairsOfPart).SelectMany(some =>
                    Enumerable.Range(0, slices)
                        .Select(slice => (First: slice * setsOfPart, Count: Math.Min(setsOfPart, sets.Count - (slice * setsOfPart))))
                        .Where(slice => slice.Count > 0)
                        .Select(slice => new SetRoundPart(some, slice.First, slice.Count))),
            ]);
    }

    /// <summary>
    /// The pairs that a circuit is looked for on, and those that it is proved on; all are both where none are held out, or where there are too few
    /// for both.
    /// </summary>
    /// <param name="pairs">All pairs.</param>
    /// <param name="share">The share that is held out, 0 to less than 1.</param>
    /// <param name="seed">Of which.</param>
    public static (IReadOnlyList<TokenPair> LookedAt, IReadOnlyList<TokenPair> HeldOut) Split(IReadOnlyList<TokenPair> pairs, double share, int seed)
    {
        int count = (int)Math.Round(share * pairs.Count);
        if (count == 0 || count == pairs.Count)
        {
            return (pairs, pairs);
        }

        TokenPair[] shuffled = [.. pairs];
        new Random(seed).Shuffle(shuffled);
        return ([.. shuffled[count..].OrderBy(pair => pair.Index)], [.. shuffled[..count].OrderBy(pair => pair.Index)]);
    }
}
