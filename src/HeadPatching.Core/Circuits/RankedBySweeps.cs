using HeadPatching.Core.Faults;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Circuits;

/// <summary>
/// Nodes ranked by finished sweeps: heads by one of z, and MLPs beside them by one of mlp_out over the same pairs. Of some of the pairs, so that a
/// circuit can be proved on the others.
/// </summary>
public sealed class RankedBySweeps
{
    private readonly IReadOnlyList<SweepResult> _results;

    private RankedBySweeps(IReadOnlyList<SweepResult> results, IReadOnlyList<TokenPair> pairs)
    {
        _results = results;
        Pairs = pairs;
    }

    /// <summary>The sweeps' pairs.</summary>
    public IReadOnlyList<TokenPair> Pairs { get; }

    /// <summary>Takes finished sweeps.</summary>
    /// <param name="results">One, or several of different activations over the same pairs of the same model.</param>
    /// <exception cref="InvalidInputException">They do not rank nodes, or not the same pairs'.</exception>
    public static RankedBySweeps Of(IReadOnlyList<SweepResult> results)
    {
        Fault[] faults = [.. results.SelectMany(FaultsOf)];
        if (faults.Length > 0)
        {
            throw new InvalidInputException(faults);
        }

        TokenPair[][] pairs = [.. results.Select(PairsOf)];
        foreach (var (result, own) in results.Zip(pairs).Skip(1))
        {
            if (result.Model.Fingerprint != results[0].Model.Fingerprint || result.Metric != results[0].Metric || !own.Select(Text).SequenceEqual(pairs[0].Select(Text)))
            {
                throw new InvalidInputException(
                    FaultKinds.InvalidOption, result.SweepId, $"Sweeps that rank nodes together are of one model, one metric and the same pairs: this one is not as {results[0].SweepId}.");
            }
        }

        if (results.Select(result => result.Patch).Distinct().Count() < results.Count)
        {
            throw new InvalidInputException(FaultKinds.InvalidOption, results[^1].SweepId, "Two sweeps of the same activation rank the same nodes: give one.");
        }

        return new RankedBySweeps(results, pairs[0]);

        static string Text(TokenPair pair) => $"{pair.Index}:{string.Join(',', pair.Clean)}|{string.Join(',', pair.Corrupted)}";
    }

    /// <summary>The nodes with their effects over some of the pairs, brought together as each sweep does it.</summary>
    /// <param name="pairs">The pairs' indices.</param>
    public IReadOnlyList<RankedNode> Ranking(IReadOnlySet<int> pairs)
    {
        return [.. _results.SelectMany(Of)];

        IEnumerable<RankedNode> Of(SweepResult result)
        {
            PairResult[] some = [.. result.Pairs.Where(pair => pairs.Contains(pair.Index))];
            Baseline[] baselines = [.. some.Select(pair => new Baseline(pair.CleanMetric, pair.CorruptedMetric))];
            var over = new EffectOverPairs(result.Aggregation, result.Direction, some.Zip(baselines, (pair, baseline) => (pair.Index, baseline)));
            for (int layer = 0; layer < result.Heatmap.Length; layer++)
            {
                for (int unit = 0; unit < result.Heatmap[layer].Length; unit++)
                {
                    var moments = new EffectMoments();
                    foreach (var (pair, baseline) in some.Zip(baselines).Where(one => over.Conditioning.Takes(one.First.Index)))
                    {
                        over.Add(ref moments, baseline, pair.PatchedMetric![layer][unit]);
                    }

                    yield return new RankedNode(result.Patch == Patch.Z ? Node.OfHead(layer, unit) : Node.OfMlp(layer), EffectOverPairs.Pooled(moments).Effect);
                }
            }
        }
    }

    private static IEnumerable<Fault> FaultsOf(SweepResult result)
    {
        if (result.Patch is not (Patch.Z or Patch.MlpOut) || result.Ablation is not null || result.Receivers is not null)
        {
            yield return Refused("circuits are made of heads, ranked by a sweep of z, and of MLPs, ranked by one of mlp_out; this one patches something else.");
        }

        if (result.Positions != Positions.All || result.Method != Method.Exact)
        {
            yield return Refused("nodes are ranked by an exact sweep at all positions (--positions all, --method exact).");
        }

        if (result.Pairs.Count != result.Dataset.Pairs)
        {
            yield return Refused($"a circuit needs the pairs one by one, and results.json holds up to {SweepResult.MostPairs}: sweep fewer (--pair-indices, --count).");
        }

        Fault Refused(string why) => new(FaultKinds.InvalidOption, result.SweepId, $"It cannot rank nodes: {why}");
    }

    private static TokenPair[] PairsOf(SweepResult result) =>
    [
        .. result.Pairs.Select(pair => new TokenPair(pair.Index, pair.CleanTokens, pair.CorruptedTokens, pair.Correct, pair.Incorrect) { Roles = pair.Roles }),
    ];
}
