using System.Globalization;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Ablations;
using HeadPatching.Core.Patching.Interventions;
using HeadPatching.Core.Prompts;

namespace HeadPatching.Core.Results;

/// <summary>Puts the runs of a sweep together: effects, heatmap, ranking.</summary>
public static class SweepAssembler
{
    /// <summary>A warning names so many heads, and counts the others.</summary>
    private const int MostHeadsNamed = 10;

    /// <summary>Assembles a result.</summary>
    /// <param name="description">What the result says of its sweep.</param>
    /// <param name="pairs">The pairs, in the order in which the result lists them.</param>
    /// <param name="runs">What the runs gave; every layer must be there for every pair.</param>
    /// <param name="tokenText">The text of a token id, or null where there is no tokenizer.</param>
    /// <exception cref="ArgumentException">A pair or layer is missing from <paramref name="runs"/>.</exception>
    public static SweepResult Assemble(
        SweepDescription description, IReadOnlyList<TokenPair> pairs, SweepRuns runs, Func<int, string>? tokenText)
    {
        Dictionary<int, double[][][]>? estimates = runs.Estimates is null ? null : MetricByPair(description.Model.Layers, pairs, runs, runs.Estimates);
        Dictionary<int, double[][][]> metric = estimates is null ? MetricByPair(description.Model.Layers, pairs, runs, runs.Layers) : ExactWhereRun(estimates, runs);
        bool each = description.Options.Positions.IsEach, eachRole = description.Options.Positions.IsEachRole;
        var overPairs = new EffectOverPairs(description.Aggregation, description.Options.Direction, pairs.Select(pair => pair.Index), runs.Baselines);
        int units = metric[pairs[0].Index][0][0].Length; // heads, key/value heads, or one for the layer as a whole
        PairResult[] pairResults = [.. pairs.Select(Pair)];
        int longest = pairs.Max(pair => pair.Length);
        bool oneLength = pairs.All(pair => pair.Length == longest);
        IReadOnlyList<Cell> cells = Cells.Of(description.Options.Positions, pairs), roles = Cells.OfRoles(description.Options.Positions, pairs);
        IReadOnlyList<Cell> candidates = Cells.WithEnoughPairs(cells, pairs.Count); // for a head's strongest place
        HeadResult[] heads =
        [
            .. from layer in Enumerable.Range(0, description.Model.Layers)
               from head in Enumerable.Range(0, units)
               select Head(layer, head) with
               {
                   EstimatedEffect = estimates is null ? null : Head(layer, head, estimates).PatchingEffect,
                   Estimated = description.Method == Method.Attribution || (estimates is not null && !WasRun(layer, head)),
               },
        ];
        HeadResult[] beyond = [.. heads.Where(head => Math.Abs(head.PatchingEffect) > description.Threshold).OrderByDescending(head => Math.Abs(head.PatchingEffect))];

        return new SweepResult
        {
            SweepId = description.SweepId,
            Model = description.Model,
            Dataset = new DatasetSummary(description.Dataset, pairs.Count),
            Patch = description.Options.Patch,
            Positions = description.Options.Positions,
            Ablation = description.Options.Ablation,
            AblationDetails = description.Options.Ablation is Ablation ablation ? AblationDetails.Of(ablation, description.Reference) : null,
            Reference = description.Options.References is { } references ? new DatasetSummary(description.Reference ?? "reference", references.Count) : null,
            Method = description.Method,
            Gradient = description.Gradient,
            ScreenTop = description.ScreenTop,
            Receivers = description.Paths?.Receivers,
            FreezeMlps = description.Paths?.FreezeMlps,
            Direction = description.Options.Direction,
            Metric = description.Metric.Name,
            MetricDetails = description.Metric.Details,
            Normalisation = Effect.Formula(description.Options.Direction),
            Aggregation = description.Aggregation,
            Threshold = description.Threshold,
            Seed = description.Seed,
            Bos = description.Bos,
            Intervals = ConfidenceInterval.Kind,
            Heads = heads,
            Heatmap = [.. heads.Chunk(units).Select(layer => layer.Select(head => head.PatchingEffect).ToArray())],
            HeatmapByPosition = each && oneLength ? HeatmapBy(Cells.OfPositions(pairs)) : null,
            Roles = roles.Count > 0 ? [.. roles.Select(cell => new RoleSummary(cell.Role!, cell.Rows.Count))] : null,
            HeatmapByRole = roles.Count > 0 ? HeatmapBy(roles) : null,
            ImportantHeads = [.. beyond.Where(head => !MayBeZero(head))],
            ExcludedPairs = overPairs.Conditioning.Excluded,
            Pairs = pairResults,
            Warnings =
            [
                .. description.Warnings,
                .. Warnings(pairResults, description.Metric, overPairs.Conditioning),
                .. IntervalWarnings(heads, beyond, description.Threshold),
                .. Cells.Warnings(description.Options.Positions, pairs),
                .. AblationPlan.Of(pairs, description.Options)?.Warnings() ?? [],
            ],
            Timings = new SweepTimings(
                description.StartedAt,
                description.FinishedAt,
                runs.CacheSeconds,
                runs.Layers.Concat(runs.Estimates ?? []).Sum(layer => layer.Seconds),
                runs.Layers.Sum(layer => layer.PatchedRuns)),
            Software = new SoftwareSummary(description.SoftwareVersion),
        };

        PairResult Pair(TokenPair pair)
        {
            double[][][] patched = metric[pair.Index];                        // [layer][row][head]
            double from = overPairs.From(pair.Index), to = overPairs.To(pair.Index);
            double[][][] effect = [.. patched.Select(layer => layer.Select(position => position.Select(value => Effect.Of(value, from, to)).ToArray()).ToArray())];
            return new PairResult
            {
                Index = pair.Index,
                CleanTokens = pair.Clean,
                CorruptedTokens = pair.Corrupted,
                CleanTokenTexts = tokenText is null ? null : [.. pair.Clean.Select(tokenText)],
                CorruptedTokenTexts = tokenText is null ? null : [.. pair.Corrupted.Select(tokenText)],
                Correct = pair.Correct,
                Incorrect = pair.Incorrect,
                CorrectText = Texts(pair.Correct),
                IncorrectText = Texts(pair.Incorrect),
                CleanMetric = runs.Baselines[pair.Index].Clean,
                CorruptedMetric = runs.Baselines[pair.Index].Corrupted,
                Degenerate = PairConditioning.IsDegenerate(to - from),
                Roles = pair.Roles,
                PatchedMetric = each || eachRole ? null : [.. patched.Select(layer => layer[0])],
                PatchingEffect = each || eachRole ? null : [.. effect.Select(layer => layer[0])],
                PatchedMetricByPosition = each ? patched : null,
                PatchingEffectByPosition = each ? effect : null,
                PatchedMetricByRole = eachRole ? ByRole(pair, patched) : null,
                PatchingEffectByRole = eachRole ? ByRole(pair, effect) : null,
            };
        }

        // [layer][row][head] to [layer][head] by role
        static Dictionary<string, double[][]> ByRole(TokenPair pair, double[][][] of) =>
            pair.RolesInOrder().Index().ToDictionary(role => role.Item.Name, role => of.Select(layer => layer[role.Index]).ToArray());

        string? Texts(TokenAnswers answers) => tokenText is null ? null : string.Join(" | ", answers.Ids.Select(tokenText));

        string Name(int layer, int head)
        {
            string kind = description.Options.Patch is Patch.K or Patch.V && description.Model.KeyValueHeads is not null ? "KV" : "H";
            return description.Options.Patch.IsOfLayer()
                ? string.Create(CultureInfo.InvariantCulture, $"L{layer}")
                : string.Create(CultureInfo.InvariantCulture, $"L{layer}{kind}{head}");
        }

        bool WasRun(int layer, int head) => runs.HeadsRun!.TryGetValue(layer, out int[]? run) && run.Contains(head);

        HeadResult Head(int layer, int head, Dictionary<int, double[][][]>? of = null)
        {
            // Of equal ones the last, where the answer is read.
            return candidates.Reverse().Select(AtPlace).MaxBy(result => Math.Abs(result.PatchingEffect))!;

            HeadResult AtPlace(Cell place)
            {
                TokenPair[] those = [.. place.Rows.Select(row => row.Pair)];
                double[] patched = [.. place.Rows.Select(row => Patched(of ?? metric, row, layer, head))];
                PooledEffect pooled = overPairs.Of(those.Select(pair => pair.Index).Zip(patched));
                return new HeadResult(
                    layer,
                    description.Options.Patch.IsOfLayer() ? null : head,
                    Name(layer, head),
                    string.Create(CultureInfo.InvariantCulture, $"blocks.{layer}.{LayerPatchFor.Patch(description.Options.Patch).Hook}"),
                    pooled.Effect,
                    pooled.StandardError,
                    those.Average(pair => runs.Baselines[pair.Index].Clean),
                    those.Average(pair => runs.Baselines[pair.Index].Corrupted),
                    patched.Average())
                {
                    ConfidenceInterval = pooled.Interval,
                    Pairs = pooled.Pairs,
                    Position = place.Position,
                    Role = place.Role,
                };
            }
        }

        static double Patched(Dictionary<int, double[][][]> of, (TokenPair Pair, int Row) at, int layer, int head) => of[at.Pair.Index][layer][at.Row][head];

        // [layer][place][head]
        double[][][] HeatmapBy(IReadOnlyList<Cell> places) =>
        [
            .. Enumerable.Range(0, description.Model.Layers).Select(layer => places.Select(place =>
                Enumerable.Range(0, units).Select(head =>
                    overPairs.Of(place.Rows.Select(row => (row.Pair.Index, Patched(metric, row, layer, head)))).Effect).ToArray()).ToArray()),
        ];
    }

    /// <summary>The estimates, with the metric of the patched run in place of them where there was one; [layer][position][head] by the pair's index.</summary>
    private static Dictionary<int, double[][][]> ExactWhereRun(Dictionary<int, double[][][]> estimates, SweepRuns runs)
    {
        Dictionary<int, double[][][]> metric = estimates.ToDictionary(
            pair => pair.Key, pair => pair.Value.Select(layer => layer.Select(position => position.ToArray()).ToArray()).ToArray());
        foreach (LayerPatches patches in runs.Layers)
        {
            foreach (var (pair, positions) in patches.PairIndices.Zip(patches.PatchedMetric))
            {
                for (int position = 0; position < positions.Length; position++)
                {
                    foreach (int head in runs.HeadsRun![patches.Layer])
                    {
                        metric[pair][patches.Layer][position][head] = positions[position][head];
                    }
                }
            }
        }

        return metric;
    }

    /// <summary>The metric of every patched run by the pair's index, [layer][position][head].</summary>
    private static Dictionary<int, double[][][]> MetricByPair(
        int layers, IReadOnlyList<TokenPair> pairs, SweepRuns runs, IReadOnlyList<LayerPatches> all)
    {
        var metric = pairs.ToDictionary(pair => pair.Index, _ => new double[layers][][]);
        foreach (LayerPatches patches in all)
        {
            for (int i = 0; i < patches.PairIndices.Count; i++)
            {
                metric[patches.PairIndices[i]][patches.Layer] = patches.PatchedMetric[i];
            }
        }

        foreach (var (pair, byLayer) in metric)
        {
            if (!runs.Baselines.ContainsKey(pair) || byLayer.Any(layer => layer is null))
            {
                throw new ArgumentException($"The runs of pair {pair} are not complete.", nameof(runs));
            }
        }

        return metric;
    }

    /// <summary>What to know before trusting the effects, from the clean and the corrupted runs alone.</summary>
    /// <param name="pairs">The pairs.</param>
    /// <param name="metric">What was measured.</param>
    /// <param name="conditioning">Which of the pairs are taken.</param>
    public static IEnumerable<string> Warnings(IReadOnlyList<PairResult> pairs, IMetric metric, PairConditioning conditioning)
    {
        double difference = pairs.Average(pair => Math.Abs(pair.CleanMetric - pair.CorruptedMetric));
        double size = Math.Max(pairs.Average(pair => Math.Abs(pair.CleanMetric)), pairs.Average(pair => Math.Abs(pair.CorruptedMetric)));
        bool little = metric.IsLittle(difference, size);
        if (little)
        {
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"Badly conditioned: clean and corrupted {metric.Name} differ by {difference:G3} on average while they are {size:G3} in size, so the effects divide by little. Choose a corruption that changes the answer.");
        }

        foreach (string warning in conditioning.Warnings())
        {
            yield return warning;
        }

        int[] littlePairs = [.. pairs.Where(pair => !little && conditioning.Takes(pair.Index) && IsLittle(pair)).Select(pair => pair.Index)];
        if (littlePairs.Length > 0)
        {
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"On {littlePairs.Length} of {pairs.Count} pairs the corruption changes {metric.Name} little for its size, and effects divide by little: {PairConditioning.Named(littlePairs)}.");
        }

        string[] shortfalls = [.. pairs.Select(pair => metric.Shortfall(pair.CleanMetric)).OfType<string>()];
        if (shortfalls.Length > 0)
        {
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"On {shortfalls.Length} of {pairs.Count} pairs the clean run {shortfalls[0]}: there is little behaviour to restore.");
        }

        bool IsLittle(PairResult pair) =>
            metric.IsLittle(Math.Abs(pair.CleanMetric - pair.CorruptedMetric), Math.Max(Math.Abs(pair.CleanMetric), Math.Abs(pair.CorruptedMetric)));
    }

    /// <summary>Whether a head's interval leaves open that it has no effect; where there is no interval nothing can be said.</summary>
    private static bool MayBeZero(HeadResult head) => head.ConfidenceInterval is { } interval && interval.Contains(0);

    /// <summary>Which heads are beyond the threshold and yet not important, and which have no interval.</summary>
    private static IEnumerable<string> IntervalWarnings(HeadResult[] heads, HeadResult[] beyond, double threshold)
    {
        string[] mayBeZero = [.. beyond.Where(MayBeZero).Select(head => head.Name)];
        if (mayBeZero.Length > 0)
        {
            string more = mayBeZero.Length > MostHeadsNamed ? $" and {mayBeZero.Length - MostHeadsNamed} more" : "";
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"Beyond ±{threshold}, but with an interval that holds 0, and so not among the important: {string.Join(", ", mayBeZero.Take(MostHeadsNamed))}{more}.");
        }

        int without = heads.Count(head => head.ConfidenceInterval is null);
        if (without > 0)
        {
            yield return $"{(without == heads.Length ? "No effect has" : $"{without} of {heads.Length} effects have not")} an interval, which takes "
                + $"{ConfidenceInterval.LeastPairs} pairs: whether such a one is important goes by the threshold alone.";
        }
    }
}
