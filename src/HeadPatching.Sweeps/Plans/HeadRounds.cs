using System.Text.Json.Serialization;
using HeadPatching.Core.Adaptive;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Plans;

/// <summary>A round of an adaptive sweep: the heads that are not decided, on further pairs, cut into parts.</summary>
/// <param name="Heads">The heads, ascending; those of layer l begin at l times the heads of a layer.</param>
/// <param name="Parts">The parts, one activity each: together every head on every pair.</param>
public sealed record HeadRound(IReadOnlyList<int> Heads, IReadOnlyList<HeadRoundPart> Parts)
{
    /// <summary>A part takes about so long on one worker, as one of the other waves' (<see cref="SweepCut"/>); less than the least is not worth an activity.</summary>
    private const double PartSeconds = 10, LeastSeconds = 0.25;

    /// <summary>Several workers share a round that is worth it.</summary>
    private const int PartsAtLeast = 8;

    /// <summary>Its pairs, by their places in the result, in the order in which their chunks come.</summary>
    public IEnumerable<int> Places() => Parts.SelectMany(part => part.Chunks).SelectMany(chunk => chunk.Places);

    /// <summary>Its heads by layer; layers that have none are not there.</summary>
    /// <param name="layers">How many layers there are.</param>
    /// <param name="heads">How many heads a layer has.</param>
    public IReadOnlyDictionary<int, int[]> ByLayer(int layers, int heads) => Enumerable.Range(0, layers)
        .Select(layer => (layer, Heads: Heads.Where(head => head / heads == layer).Select(head => head % heads).ToArray()))
        .Where(layer => layer.Heads.Length > 0)
        .ToDictionary(layer => layer.layer, layer => layer.Heads);

    /// <summary>Whether it is the round that is to be.</summary>
    /// <param name="round">The round.</param>
    /// <param name="population">The pairs.</param>
    public bool Is(AdaptiveRound round, AdaptivePopulation population) =>
        Heads.SequenceEqual(round.Heads) && Places().ToHashSet().SetEquals(round.Pairs.Select(pair => population.Indices[pair]));

    /// <summary>Cuts a round into parts of about the same work, chunk by chunk.</summary>
    /// <param name="plan">The sweep's plan.</param>
    /// <param name="chunks">The sweep's chunks, each with the group that it is of and its place there.</param>
    /// <param name="round">The round.</param>
    /// <param name="population">The pairs.</param>
    internal static HeadRound Cut(SweepPlan plan, IEnumerable<(int Group, int Place, PlannedChunk Chunk)> chunks, AdaptiveRound round, AdaptivePopulation population)
    {
        HashSet<int> places = [.. round.Pairs.Select(pair => population.Indices[pair])];
        var work = (ChunkWork.Heads)plan.ExactWork();
        DrawnPairs[] drawn =
        [
            .. from one in chunks
               let pairs = one.Chunk.Places.Index().Where(pair => places.Contains(pair.Item)).ToArray()
               where pairs.Length > 0
               select new DrawnPairs(one.Group, one.Place, one.Chunk.KeyOfDrawn(work, plan.Model.Layers), [.. pairs.Select(pair => pair.Index)], [.. pairs.Select(pair => pair.Item)])
               {
                   Runs = WorkKeys.Drawn([.. pairs.Select(pair => pair.Index)], round.Heads),
               },
        ];
        double secondsOfPair = round.Heads.Count * plan.SecondsOfRun;
        double most = Math.Clamp(secondsOfPair * places.Count / PartsAtLeast, LeastSeconds, PartSeconds);
        var parts = new List<HeadRoundPart>();
        var part = new List<DrawnPairs>();
        foreach (DrawnPairs some in drawn)
        {
            if (part.Count > 0 && (part.Sum(one => one.Pairs.Count) + some.Pairs.Count) * secondsOfPair > most)
            {
                parts.Add(new HeadRoundPart([.. part]));
                part.Clear();
            }

            part.Add(some);
        }

        parts.Add(new HeadRoundPart(part));
        return new HeadRound(round.Heads, parts);
    }
}

/// <summary>A part of a round.</summary>
/// <param name="Chunks">The chunks that it draws from.</param>
public sealed record HeadRoundPart(IReadOnlyList<DrawnPairs> Chunks);

/// <summary>The pairs of a chunk that are in a round.</summary>
/// <param name="Group">The group of chunks: the part of the plan that has the chunk's first layers.</param>
/// <param name="Chunk">The chunk's place in it.</param>
/// <param name="Key">The key of runs of the chunk that are made one by one (<see cref="SweepArtifacts.Drawn(string)"/>).</param>
/// <param name="Pairs">The pairs, by their places in the chunk.</param>
/// <param name="Places">Their places in the result.</param>
public sealed record DrawnPairs(int Group, int Chunk, string Key, IReadOnlyList<int> Pairs, IReadOnlyList<int> Places)
{
    /// <summary>What their runs are called under the key: a hash of the pairs and heads.</summary>
    public required string Runs { get; init; }
}

/// <summary>The next round of an adaptive sweep, as the workflow needs it.</summary>
/// <param name="Round">Which one.</param>
/// <param name="Parts">Those of its parts that are to be run; none: there is no further round.</param>
/// <param name="HeadsDecided">Heads that are run no more.</param>
/// <param name="Heads">All heads.</param>
/// <param name="Runs">Runs that were taken in, each of a head on a pair.</param>
/// <param name="RunsOfExact">Runs that an exact sweep takes.</param>
public sealed record NextHeads(int Round, IReadOnlyList<int> Parts, int HeadsDecided, int Heads, long Runs, long RunsOfExact)
{
    /// <summary>Every head is decided.</summary>
    [JsonIgnore]
    public bool IsEnd => Parts.Count == 0;
}
