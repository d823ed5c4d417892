using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Circuits;

/// <summary>A node with how much it matters by itself.</summary>
/// <param name="Node">The node.</param>
/// <param name="Effect">Its effect over the pairs that ranked it.</param>
public readonly record struct RankedNode(Node Node, double Effect);

/// <summary>How a circuit is proved.</summary>
public sealed record ProofOptions
{
    /// <summary>The shares of all nodes at which circuits are measured: those of MIB (Mueller et al. 2025, "MIB: A Mechanistic Interpretability Benchmark"), less what is no node.</summary>
    public static IReadOnlyList<double> DefaultShares { get; } = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1];

    /// <summary>The sizes at which circuits are measured, in nodes; null: <see cref="DefaultShares"/> of all there are.</summary>
    public IReadOnlyList<int>? Sizes { get; init; }

    /// <summary>Random circuits of each size.</summary>
    public int Random { get; init; } = 100;

    /// <summary>Of the random circuits.</summary>
    public int Seed { get; init; }

    /// <summary>How far from 1 the faithfulness of the circuit that is looked for may be, on the pairs that it is looked for on.</summary>
    public double Tolerance { get; init; } = 0.02;

    /// <summary>A circuit that somebody names, to be proved instead of one that is looked for; its nodes are ranked. Null: one is looked for.</summary>
    public IReadOnlyList<Node>? Circuit { get; init; }
}

/// <summary>Runs every set on every pair, the clean run with the set's nodes as they are in the corrupted one.</summary>
/// <param name="pairs">The pairs.</param>
/// <param name="sets">The sets.</param>
public delegate PatchSetRuns RunSets(IReadOnlyList<TokenPair> pairs, IReadOnlyList<PatchSet> sets);

/// <summary>
/// Whether some heads together do the task: the model is run with clean prompts and everything outside the circuit as it is in the corrupted run
/// (of the nodes that were ranked; what was not, MLPs most often, is left to itself), and what is left of the behaviour is its faithfulness
/// f = (m(circuit) - m(none)) / (m(all) - m(none)), of means over pairs. The circuit is looked for on some pairs and proved on others.
/// </summary>
public sealed class CircuitProof
{
    /// <summary>Of more nodes than this not every size is tried when a circuit is looked for, but those of the list.</summary>
    private const int MostSizesTried = 256;

    /// <summary>How often the circuit is gone through for nodes that it can do without.</summary>
    private const int MostRounds = 10;

    private readonly IReadOnlyList<RankedNode> _ranking;
    private readonly ProofOptions _options;
    private readonly RunSets _run;

    private CircuitProof(IReadOnlyList<RankedNode> ranking, ProofOptions options, RunSets run)
    {
        // The strongest first, whichever way it pulls; equals in the model's order.
        _ranking = [.. ranking.OrderByDescending(one => Math.Abs(one.Effect)).ThenBy(one => one.Node.Layer).ThenBy(one => one.Node.Kind).ThenBy(one => one.Node.Head)];
        _options = options;
        _run = run;
    }

    /// <summary>Looks for the circuit and proves it, with runs that somebody else makes or has made: the same runs, the same calls.</summary>
    /// <param name="ranking">All nodes of which circuits are made; in any order.</param>
    /// <param name="lookedAt">The pairs that the circuit is looked for on: those that ranked the nodes.</param>
    /// <param name="heldOut">The pairs that it is proved on.</param>
    /// <param name="options">How.</param>
    /// <param name="run">Runs sets on pairs, corrupted into clean.</param>
    public static ProofSheet Prove(
        IReadOnlyList<RankedNode> ranking, IReadOnlyList<TokenPair> lookedAt, IReadOnlyList<TokenPair> heldOut, ProofOptions options, RunSets run) =>
        new CircuitProof(ranking, options, run).Prove(lookedAt, heldOut);

    /// <summary>Looks for the circuit and proves it.</summary>
    /// <param name="model">The model.</param>
    /// <param name="ranking">All nodes of which circuits are made; in any order.</param>
    /// <param name="lookedAt">The pairs that the circuit is looked for on: those that ranked the nodes.</param>
    /// <param name="heldOut">The pairs that it is proved on.</param>
    /// <param name="options">How.</param>
    /// <param name="metric">What is measured.</param>
    /// <param name="budget">How much memory it may take beside the weights.</param>
    /// <param name="progress">Told after each batch how many patched runs it made.</param>
    /// <param name="cancellation">Looked at before each step of a batch.</param>
    /// <exception cref="Faults.InvalidInputException">The model has no such node.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static ProofSheet Prove(
        Transformer model,
        IReadOnlyList<RankedNode> ranking,
        IReadOnlyList<TokenPair> lookedAt,
        IReadOnlyList<TokenPair> heldOut,
        ProofOptions options,
        IMetric metric,
        MemoryBudget budget,
        Action<long>? progress = null,
        CancellationToken cancellation = default) =>
        Prove(ranking, lookedAt, heldOut, options, (pairs, sets) => PatchSets.Run(model, pairs, sets, Direction.Noise, metric, budget, progress, cancellation: cancellation));

    private ProofSheet Prove(IReadOnlyList<TokenPair> lookedAt, IReadOnlyList<TokenPair> heldOut)
    {
        int all = _ranking.Count;
        int[] sizes = [.. (_options.Sizes ?? [.. ProofOptions.DefaultShares.Select(share => Math.Max(1, (int)Math.Round(share * all)))]).Where(size => size <= all).Distinct().Order()];
        Node[] circuit = _options.Circuit is { } given ? [.. given.OrderBy(node => Place(node))] : Find(lookedAt, all <= MostSizesTried ? [.. Enumerable.Range(1, all)] : sizes);
        var random = new Random(_options.Seed);
        var drawn = new Dictionary<int, List<(HashSet<Node> Nodes, int Set)>>();
        var sets = new List<PatchSet>();
        int none = Add(OnlyClean([]));
        var bySize = sizes.Select(size => (Size: size, Circuit: Add(OnlyClean(Strongest(size))), Without: Add(PatchSet.Of(Strongest(size))), Random: AddRandom(Strongest(size)))).ToList();
        var found = (Circuit: Add(OnlyClean(circuit)), Without: Add(PatchSet.Of(circuit)), Random: AddRandom(circuit));
        int[] lacking = [.. circuit.Select(node => Add(OnlyClean(circuit.Where(other => other != node))))];

        PatchSetRuns runs = _run(heldOut, sets);
        double[] clean = [.. runs.Baselines.Select(baseline => baseline.Clean)];
        return new ProofSheet
        {
            Ranking = _ranking,
            LookedAt = lookedAt.Count,
            HeldOut = heldOut.Count,
            IsHeldOut = !heldOut.Intersect(lookedAt).Any(),
            CleanMetric = clean.Average(),
            CorruptedMetric = runs.Baselines.Average(baseline => baseline.Corrupted),
            NoneMetric = runs.Patched[none].Average(),
            Sizes = [.. bySize.Select(one => new ProvedSize(one.Size, (double)one.Size / all, Of(one.Circuit), Of(one.Without), Chance(one.Random)))],
            Circuit = new ProvedCircuit(
                [
                    .. circuit.Zip(lacking, (node, without) => new ProvedNode(
                        node, _ranking.First(ranked => ranked.Node == node).Effect, Pooled(runs.Patched[found.Circuit], runs.Patched[without]))),
                ],
                Of(found.Circuit),
                Of(found.Without),
                Chance(found.Random),
                _options.Tolerance)
            {
                WasGiven = _options.Circuit is not null,
            },
        };

        int Place(Node node) => Enumerable.Range(0, all).First(place => _ranking[place].Node == node);

        int Add(PatchSet set)
        {
            sets.Add(set);
            return sets.Count - 1;
        }

        // Others of as many nodes, drawn once for each number; of so few nodes that chance draws the same, fewer.
        int[] AddRandom(Node[] other)
        {
            if (!drawn.TryGetValue(other.Length, out var some))
            {
                drawn[other.Length] = some = [];
                for (int one = 0; one < _options.Random; one++)
                {
                    Node[] shuffled = [.. _ranking.Select(ranked => ranked.Node)];
                    random.Shuffle(shuffled);
                    some.Add(([.. shuffled[..other.Length]], Add(OnlyClean(shuffled[..other.Length]))));
                }
            }

            return [.. some.Where(one => !one.Nodes.SetEquals(other)).Select(one => one.Set)];
        }

        PooledEffect Of(int set) => Pooled(runs.Patched[set], runs.Patched[none]);

        double[] Chance(int[] some) => [.. some.Select(set => Of(set).Effect).Order()];

        // Of (m - m0) / (m(all) - m(none)): the ratio of means over pairs.
        PooledEffect Pooled(double[] metric, double[] from)
        {
            var moments = new EffectMoments();
            for (int pair = 0; pair < metric.Length; pair++)
            {
                moments.Add(metric[pair] - from[pair], clean[pair] - runs.Patched[none][pair]);
            }

            return EffectOverPairs.Pooled(moments);
        }
    }

    /// <summary>
    /// The fewest of the strongest nodes whose faithfulness is within the tolerance, less those that it can do without; where no size comes as near,
    /// the nearest.
    /// </summary>
    private Node[] Find(IReadOnlyList<TokenPair> pairs, int[] sizes)
    {
        double[] faithfulness = Faithfulness(pairs, [.. sizes.Select(Strongest)]);
        int at = Array.FindIndex(faithfulness, IsNear);
        if (at < 0)
        {
            return Strongest(sizes[Enumerable.Range(0, sizes.Length).MinBy(size => Math.Abs(1 - faithfulness[size]))]);
        }

        Node[] circuit = Strongest(sizes[at]);
        for (int round = 0; round < MostRounds && circuit.Length > 1; round++)
        {
            // Those that matter least go first, as many as can go together.
            double[] left = Faithfulness(pairs, [.. circuit.Select(node => circuit.Where(other => other != node).ToArray())]);
            int[] least = [.. Enumerable.Range(0, circuit.Length).Where(node => IsNear(left[node])).OrderBy(node => Math.Abs(1 - left[node])).ThenByDescending(node => node)];
            Node[][] fewer =
            [
                .. Halves(least.Length)
                    .Select(many => circuit.Where((_, node) => !least.AsSpan(0, many).Contains(node)).ToArray())
                    .Where(some => some.Length > 0),
            ];
            int fewest = fewer.Length == 0 ? -1 : Array.FindIndex(Faithfulness(pairs, fewer), IsNear);
            if (fewest < 0)
            {
                break;
            }

            circuit = fewer[fewest];
        }

        return circuit;

        bool IsNear(double one) => Math.Abs(1 - one) <= _options.Tolerance;

        static IEnumerable<int> Halves(int from)
        {
            for (int many = from; many > 0; many /= 2)
            {
                yield return many;
            }
        }
    }

    private double[] Faithfulness(IReadOnlyList<TokenPair> pairs, IReadOnlyList<Node[]> circuits)
    {
        PatchSetRuns runs = _run(pairs, [OnlyClean([]), .. circuits.Select(OnlyClean)]);
        double none = runs.Patched[0].Average(), all = runs.Baselines.Average(baseline => baseline.Clean) - none;
        return [.. runs.Patched.Skip(1).Select(circuit => PairConditioning.IsDegenerate(all) ? 0 : (circuit.Average() - none) / all)];
    }

    private Node[] Strongest(int count) => [.. _ranking.Take(count).Select(ranked => ranked.Node)];

    /// <summary>The clean run with all but a circuit as it is in the corrupted one.</summary>
    private PatchSet OnlyClean(IEnumerable<Node> circuit) => PatchSet.Of(_ranking.Select(ranked => ranked.Node).Except(circuit));
}
