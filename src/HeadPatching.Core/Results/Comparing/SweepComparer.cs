using HeadPatching.Core.Faults;
using HeadPatching.Core.Results.OverPairs;
using MathNet.Numerics.Statistics;

namespace HeadPatching.Core.Results.Comparing;

/// <summary>Holds two sweeps against each other, head by head.</summary>
public static class SweepComparer
{
    /// <summary>How often pairs are drawn again where nothing else is said.</summary>
    public const int DefaultDraws = PairDraws.Usual;

    /// <summary>The most draws.</summary>
    public const int MostDraws = 20_000;

    /// <summary>The fewest draws: of fewer no 95 % could be told.</summary>
    public const int LeastDraws = 100;

    private const string Paired = "of the pairs' own differences", Unpaired = "of the two sweeps' pairs apart";

    /// <summary>
    /// Compares them. With two common pairs or more both effects are over these alone, and a difference's interval is of what each pair adds to it; without,
    /// the effects are each sweep's own, and an interval is of two samples. Which heads moved is asked of all at once (<see cref="JointLevel"/>).
    /// </summary>
    /// <param name="a">The sweep that is compared with.</param>
    /// <param name="b">The sweep that is compared: a difference is its effect less the other's.</param>
    /// <param name="draws">How often pairs are drawn again, for what all heads are together.</param>
    /// <param name="seed">Of the draws.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <exception cref="InvalidInputException">They have not as many layers and heads.</exception>
    public static async Task<SweepComparison> CompareAsync(
        ComparedSweep a, ComparedSweep b, int draws = DefaultDraws, int seed = 0, CancellationToken cancellationToken = default)
    {
        var cells = ComparedCells.Of(a.Result, b.Result);
        PairMatching matching = cells.OfStrongest ? new PairMatching(MatchedBy.None, []) : await PairMatching.OfAsync(a, b, cancellationToken);
        bool paired = matching.By != MatchedBy.None;
        var (effectsA, effectsB) = cells.OfStrongest || a.Pairs is null || b.Pairs is null ? (null, null)
            : paired ? await CommonAsync(a, b, cells, matching.Common, seed, cancellationToken)
            : (await AllAsync(a, cells, seed, cancellationToken), await AllAsync(b, cells, seed, cancellationToken));

        var heads = new HeadDifference[cells.Count];
        for (int cell = 0; cell < heads.Length; cell++)
        {
            heads[cell] = Head(a.Result, b.Result, cells, cell, effectsA, effectsB);
        }

        double? jointMiss = null;
        if (effectsA is not null && effectsB is not null)
        {
            double[] samples = Samples(effectsA, effectsB, cells.Count, paired);
            int[] rows = paired ? [effectsA.Groups] : [effectsA.Groups, effectsB.Groups];
            bool[] enough = [.. heads.Select((head, cell) => head.Difference is not null && Math.Min(effectsA.PairsOf(cell), effectsB.PairsOf(cell)) >= ConfidenceInterval.LeastPairs)];
            if (enough.Any(cell => cell))
            {
                jointMiss = JointLevel.Of(new PairDraws(samples, rows, cells.Count), draws, seed, cancellationToken);
                for (int cell = 0; cell < heads.Length; cell++)
                {
                    heads[cell] = enough[cell] ? WithIntervals(heads[cell], samples, rows, cell, cells.Count, jointMiss.Value) : heads[cell];
                }
            }
        }

        var (labelA, labelB) = ComparedFacts.Labels(a.Result, b.Result);
        return new SweepComparison
        {
            A = Side(a.Result, labelA),
            B = Side(b.Result, labelB),
            Facts = ComparedFacts.Of(a.Result, b.Result),
            Notes = [.. ComparedFacts.Notes(a.Result, b.Result), .. Notes(a, b, cells, matching, jointMiss is not null)],
            MatchedBy = matching.By,
            CommonPairs = matching.Common.Count,
            Intervals = jointMiss is null ? null : $"95 %, Student's t corrected for skewness (Hall 1992), {(paired ? Paired : Unpaired)}; joint: at the level that {(Math.Min(effectsA!.Groups, effectsB!.Groups) < JointLevel.LeastPairs ? "Bonferroni's correction" : "a bootstrap of the largest deviation (Westfall and Young 1993)")} gives for all together",
            Draws = jointMiss is null || Math.Min(effectsA!.Groups, effectsB!.Groups) < JointLevel.LeastPairs ? 0 : draws,
            Seed = seed,
            JointMiss = jointMiss,
            Unit = ComparedCells.UnitOf(a.Result),
            Heads = heads,
            Moved = [.. heads.Where(head => head.Moved).OrderByDescending(head => Math.Abs(head.Difference ?? 0))],
            RankCorrelation = RankCorrelation(heads),
        };
    }

    private static async Task<(GroupedEffects A, GroupedEffects B)> CommonAsync(
        ComparedSweep a, ComparedSweep b, ComparedCells cells, IReadOnlyList<(int A, int B)> common, int seed, CancellationToken cancellationToken)
    {
        int groups = GroupedEffects.GroupsOf(common.Count, cells.Count);
        int[] groupOf = GroupedEffects.Dealt(common.Count, groups, seed);
        return (
            await GroupedAsync(a, cells, common.Index().ToDictionary(pair => pair.Item.A, pair => groupOf[pair.Index]), groups, cancellationToken),
            await GroupedAsync(b, cells, common.Index().ToDictionary(pair => pair.Item.B, pair => groupOf[pair.Index]), groups, cancellationToken));
    }

    private static async Task<GroupedEffects?> AllAsync(ComparedSweep sweep, ComparedCells cells, int seed, CancellationToken cancellationToken)
    {
        HashSet<int> leftOut = PairMatching.LeftOut(sweep.Result);
        int[] taken = await sweep.Pairs!.IndicesAsync(cancellationToken).Where(index => !leftOut.Contains(index)).ToArrayAsync(cancellationToken);
        if (taken.Length == 0)
        {
            return null;
        }

        int groups = GroupedEffects.GroupsOf(taken.Length, cells.Count);
        int[] groupOf = GroupedEffects.Dealt(taken.Length, groups, seed);
        return await GroupedAsync(sweep, cells, taken.Index().ToDictionary(pair => pair.Item, pair => groupOf[pair.Index]), groups, cancellationToken);
    }

    /// <summary>Takes in some of a sweep's pairs.</summary>
    /// <param name="sweep">The sweep.</param>
    /// <param name="cells">What is compared.</param>
    /// <param name="groupOf">The group of each pair that is taken, by its index.</param>
    /// <param name="groups">How many groups there are.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    private static async Task<GroupedEffects> GroupedAsync(
        ComparedSweep sweep, ComparedCells cells, Dictionary<int, int> groupOf, int groups, CancellationToken cancellationToken)
    {
        var effects = new GroupedEffects(cells.Places.Count, cells.AtPlace, groups, sweep.Result.Aggregation, sweep.Result.Direction);
        await foreach (PairNumbers pair in sweep.Pairs!.ReadAsync(cells.Places, cancellationToken))
        {
            if (!groupOf.TryGetValue(pair.Index, out int group))
            {
                continue;
            }

            foreach (var (place, patched) in pair.Patched.Index())
            {
                if (patched is null)
                {
                    continue;
                }

                if (patched.Length != cells.AtPlace)
                {
                    throw new InvalidInputException(FaultKinds.Malformed, $"pairs[{pair.Index}]", $"It has the runs of {patched.Length} patches, where there are {cells.AtPlace} in the heatmap.");
                }

                effects.Add(group, place, pair.Baseline);
                effects.Add(group, place, pair.Baseline, 0, patched);
            }
        }

        effects.Finish();
        return effects;
    }

    private static HeadDifference Head(SweepResult a, SweepResult b, ComparedCells cells, int cell, GroupedEffects? effectsA, GroupedEffects? effectsB)
    {
        HeadResult head = cells.HeadOf(cell), other = b.Heads[cell % cells.AtPlace];
        double? effectA = effectsA is null ? Own(head) : effectsA.Effects[cell];
        double? effectB = effectsB is null ? Own(other) : effectsB.Effects[cell];
        return new HeadDifference(head.Layer, head.Head, head.Name, effectA, effectB, effectB - effectA)
        {
            Position = cells.PlaceOf(cell).Position,
            Role = cells.PlaceOf(cell).Role,
            Estimated = head.Estimated || other.Estimated,
        };
    }

    // Results of versions before it do not say of how many pairs.
    private static double? Own(HeadResult head) => head.Pairs == 0 && head.PatchingEffect == 0 ? null : head.PatchingEffect;

    /// <summary>What each group adds to the differences, [group, cell]; unpaired first those of the one sweep, then of the other, each by its own number.</summary>
    private static double[] Samples(GroupedEffects a, GroupedEffects b, int cells, bool paired)
    {
        var samples = new double[(paired ? a.Groups : a.Groups + b.Groups) * cells];
        for (int group = 0; group < a.Groups; group++)
        {
            for (int cell = 0; cell < cells; cell++)
            {
                double less = a.Deviation(group, cell);
                samples[(group * cells) + cell] = ((paired ? b.Deviation(group, cell) : 0) - less) / a.Groups;
            }
        }

        for (int group = 0; !paired && group < b.Groups; group++)
        {
            for (int cell = 0; cell < cells; cell++)
            {
                samples[((a.Groups + group) * cells) + cell] = b.Deviation(group, cell) / b.Groups;
            }
        }

        return samples;
    }

    private static HeadDifference WithIntervals(HeadDifference head, double[] samples, int[] rows, int cell, int cells, double jointMiss)
    {
        // Of each sample the variance of its share of the difference, and of all the third cumulant: Welch 1947 for the degrees of freedom of two.
        double variance = 0, uncorrected = 0, cubes = 0, ofFreedom = 0;
        int row = 0;
        foreach (int count in rows)
        {
            double squares = 0;
            for (int end = row + count; row < end; row++)
            {
                double value = samples[(row * cells) + cell];
                squares += value * value;
                cubes += value * value * value;
            }

            uncorrected += squares;
            double own = squares * count / (count - 1);
            variance += own;
            ofFreedom += own * own / (count - 1);
        }

        double difference = head.Difference!.Value;
        if (variance == 0)
        {
            var exact = new ConfidenceInterval(difference, difference);
            return head with { StandardError = 0, ConfidenceInterval = exact, JointInterval = exact, Moved = exact.ExcludesZero(difference) };
        }

        int freedom = Math.Max(1, (int)Math.Round(variance * variance / ofFreedom));
        double a = cubes / Math.Pow(uncorrected, 1.5), error = Math.Sqrt(variance);
        ConfidenceInterval joint = ConfidenceInterval.JointOf(difference, error, a, freedom, jointMiss);
        return head with
        {
            StandardError = error,
            ConfidenceInterval = ConfidenceInterval.Of(difference, error, a, freedom, ConfidenceInterval.Miss),
            JointInterval = joint,
            Moved = joint.ExcludesZero(difference),
        };
    }

    private static double? RankCorrelation(HeadDifference[] heads)
    {
        HeadDifference[] both = [.. heads.Where(head => head.Difference is not null)];
        double correlation = both.Length < 2 ? double.NaN : Correlation.Spearman(both.Select(head => head.EffectA!.Value), both.Select(head => head.EffectB!.Value));
        return double.IsNaN(correlation) ? null : correlation;
    }

    private static ComparedSide Side(SweepResult result, string label) => new(
        result.SweepId, label, result.Title(), result.Dataset.Pairs, PairMatching.LeftOut(result).Count, result.CleanMetric, result.CorruptedMetric);

    private static IEnumerable<string> Notes(ComparedSweep a, ComparedSweep b, ComparedCells cells, PairMatching matching, bool intervals)
    {
        if (cells.OfStrongest)
        {
            yield return "The sweeps have not the same places to tell apart, or too many: each head's strongest place in either is compared, without intervals.";
        }
        else if (a.Pairs is null || b.Pairs is null)
        {
            string whose = a.Pairs is null && b.Pairs is null ? "either sweep" : a.Pairs is null ? "the first sweep" : "the second sweep";
            yield return $"The pairs of {whose} are not at hand (effects.parquet belongs beside results.json): the effects are the sweeps' own, without intervals.";
        }
        else if (matching.By == MatchedBy.None)
        {
            yield return "The sweeps have no pairs in common, so what differs between their pairs is in the differences as well: the intervals are of two separate samples.";
        }
        else
        {
            if (matching.By == MatchedBy.Texts)
            {
                yield return "The pairs were matched by their texts and answers: the models cut texts into different tokens.";
            }

            if (matching.Common.Count < Math.Max(a.Result.Dataset.Pairs, b.Result.Dataset.Pairs))
            {
                yield return FormattableString.Invariant(
                    $"The effects are over the {matching.Common.Count} pairs that both sweeps take, of {a.Result.Dataset.Pairs} and {b.Result.Dataset.Pairs}.");
            }

            if (matching.Common.Count > GroupedEffects.GroupsOf(matching.Common.Count, cells.Count))
            {
                yield return FormattableString.Invariant($"The {matching.Common.Count} common pairs were dealt by chance into {GroupedEffects.GroupsOf(matching.Common.Count, cells.Count)} groups, which stand for pairs in the intervals.");
            }
        }

        if (!intervals && !cells.OfStrongest && a.Pairs is not null && b.Pairs is not null)
        {
            yield return FormattableString.Invariant($"There are no intervals over fewer than {ConfidenceInterval.LeastPairs} pairs, so that nothing can be said to have moved.");
        }
    }
}
