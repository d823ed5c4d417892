using System.Globalization;
using HeadPatching.Core.Adaptive;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Ablations;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Patching.Interventions;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Results;

/// <summary>
/// Puts the runs of a sweep together, pair by pair: effects, heatmap, ranking. It keeps the first <see cref="SweepResult.MostPairs"/> pairs with their
/// own numbers; what it holds beside them does not grow with the number of pairs.
/// </summary>
public sealed class SweepAssembler
{
    /// <summary>A warning names so many heads, and counts the others.</summary>
    private const int MostHeadsNamed = 10;

    private readonly SweepDescription _description;
    private readonly PairsOverview _overview;
    private readonly Func<int, string>? _tokenText;
    private readonly EffectOverPairs _overPairs;
    private readonly IReadOnlyList<Cell> _cells;
    private readonly int[] _candidates;                                       // for a head's strongest place
    private readonly EffectSums _sums;
    private readonly EffectSums _estimates;
    private readonly HeadsTogether _together;
    private readonly PairResult?[] _pairs;                                    // by place
    private readonly RunMeans? _runs;                                         // with the method adaptive

    /// <summary>Begins a result.</summary>
    /// <param name="description">What the result says of its sweep.</param>
    /// <param name="overview">All of its pairs.</param>
    /// <param name="tokenText">The text of a token id, or null where there is no tokenizer.</param>
    public SweepAssembler(SweepDescription description, PairsOverview overview, Func<int, string>? tokenText)
    {
        _description = description;
        _overview = overview;
        _tokenText = tokenText;
        Positions positions = description.Options.Positions;
        _overPairs = new EffectOverPairs(description.Aggregation, description.Options.Direction, overview.Baselines);
        IReadOnlyList<Cell> strongest = Cells.Of(positions, overview.Shapes);
        _cells = [.. strongest.Concat(PlacesByPosition).Concat(PlacesByRole).Distinct()];
        _candidates = [.. Cells.WithEnoughPairs(strongest, overview.Count).Select(PlaceOf)];
        _sums = new EffectSums(positions, _cells, _overPairs);
        _estimates = new EffectSums(positions, _cells, _overPairs);
        _together = new HeadsTogether(
            positions, [.. _candidates.Select(place => _cells[place])], description.Aggregation, description.Options.Direction, _overPairs.Conditioning, overview.Baselines.Select(pair => pair.Index), description.Seed);
        _pairs = new PairResult?[Math.Min(overview.Count, SweepResult.MostPairs)];
        _runs = description.Adaptive is AdaptiveFindings adaptive ? new RunMeans(adaptive.Heads.Count) : null;
    }

    private bool EachPosition => _description.Options.Positions.IsEach;

    private bool EachRole => _description.Options.Positions.IsEachRole;

    /// <summary>The places of the heatmap by position: none unless each is patched in turn and all pairs are of one length.</summary>
    private IReadOnlyList<Cell> PlacesByPosition =>
        EachPosition && _overview.Shapes.Shortest == _overview.Shapes.Longest ? Cells.OfPositions(_overview.Shapes) : [];

    private IReadOnlyList<Cell> PlacesByRole => Cells.OfRoles(_description.Options.Positions, _overview.Shapes);

    /// <summary>Assembles a result from runs that are at hand.</summary>
    /// <param name="description">What the result says of its sweep.</param>
    /// <param name="pairs">The pairs, in the order in which the result lists them.</param>
    /// <param name="runs">What the runs gave; every layer must be there for every pair.</param>
    /// <param name="tokenText">The text of a token id, or null where there is no tokenizer.</param>
    /// <exception cref="ArgumentException">A pair or layer is missing from <paramref name="runs"/>.</exception>
    public static SweepResult Assemble(
        SweepDescription description, IReadOnlyList<TokenPair> pairs, SweepRuns runs, Func<int, string>? tokenText)
    {
        var assembler = new SweepAssembler(
            description with { Warnings = [.. description.Warnings, .. AblationPlan.Of(pairs, description.Options)?.Warnings() ?? []] },
            PairsOverview.Of(pairs, runs.Baselines),
            tokenText);
        foreach (PairRuns pair in PairByPair(description.Model.Layers, pairs, runs))
        {
            assembler.Add(pair);
        }

        return assembler.Finish(
            runs.CacheSeconds, runs.Layers.Concat(runs.Estimates ?? []).Sum(layer => layer.Seconds), runs.Layers.Sum(layer => layer.PatchedRuns), runs.HeadsRun, runs.Attribution);
    }

    /// <summary>The runs of a sweep that are at hand, pair by pair.</summary>
    internal static IEnumerable<PairRuns> PairByPair(int layers, IReadOnlyList<TokenPair> pairs, SweepRuns runs)
    {
        Dictionary<int, Dictionary<int, double[][]>> exact = ByPair(runs.Layers);
        Dictionary<int, Dictionary<int, double[][]>>? estimates = runs.Estimates is null ? null : ByPair(runs.Estimates);
        foreach (var (place, pair) in pairs.Index())
        {
            Baseline baseline = runs.Baselines[pair.Index];
            if (estimates is null)
            {
                yield return new PairRuns(place, pair, baseline, Whole(exact, pair.Index));
            }
            else
            {
                double[][][] estimated = Whole(estimates, pair.Index);
                IReadOnlyDictionary<int, double[][]> run = exact.TryGetValue(pair.Index, out var some) ? some : [];
                yield return new PairRuns(place, pair, baseline, PairRuns.ExactWhereRun(estimated, run, runs.HeadsRun!)) { Estimates = estimated };
            }
        }

        static Dictionary<int, Dictionary<int, double[][]>> ByPair(IReadOnlyList<LayerPatches> all)
        {
            var byPair = new Dictionary<int, Dictionary<int, double[][]>>();
            foreach (LayerPatches patches in all)
            {
                foreach (var (pair, rows) in patches.PairIndices.Zip(patches.PatchedMetric))
                {
                    if (!byPair.TryGetValue(pair, out var ofPair))
                    {
                        byPair.Add(pair, ofPair = []);
                    }

                    ofPair[patches.Layer] = rows;
                }
            }

            return byPair;
        }

        double[][][] Whole(Dictionary<int, Dictionary<int, double[][]>> byPair, int pair) =>
            byPair.TryGetValue(pair, out var byLayer) && byLayer.Count == layers
                ? [.. Enumerable.Range(0, layers).Select(layer => byLayer[layer])]
                : throw new ArgumentException($"The runs of pair {pair} are not complete.", nameof(runs));
    }

    /// <summary>Takes the runs of a pair in; the order of the pairs does not matter, but changes the last digits.</summary>
    public void Add(PairRuns runs)
    {
        if (_runs is not null)
        {
            _runs.Add(runs);
        }
        else
        {
            _sums.Add(runs, runs.PatchedMetric);
            _together.Add(runs);
        }

        if (runs.Estimates is not null)
        {
            _estimates.Add(runs, runs.Estimates);
        }

        if (runs.Place < _pairs.Length)
        {
            _pairs[runs.Place] = Pair(runs);
        }
    }

    /// <summary>The result, when every pair was taken in.</summary>
    /// <param name="cacheSeconds">Seconds in clean and corrupted runs.</param>
    /// <param name="patchSeconds">Seconds in patched runs and estimates.</param>
    /// <param name="patchedRuns">How many patched runs were made.</param>
    /// <param name="headsRun">With the method <c>screen</c>, the heads that were run, by layer.</param>
    /// <param name="attribution">The sum over all pairs of what each part adds directly to the metric; null where the metric has none.</param>
    /// <param name="cancellationToken">Stops drawing the pairs again.</param>
    public SweepResult Finish(
        double cacheSeconds,
        double patchSeconds,
        long patchedRuns,
        IReadOnlyDictionary<int, int[]>? headsRun = null,
        LogitAttribution? attribution = null,
        CancellationToken cancellationToken = default)
    {
        SweepDescription description = _description;
        bool estimated = _estimates.Units > 0;
        LogitAttribution? direct = attribution?.Over(_overview.Count);
        bool ofHeads = description.Options.Patch is Patch.Z or Patch.Q or Patch.Pattern || (!description.Options.Patch.IsOfLayer() && description.Model.KeyValueHeads is null);
        AdaptiveFindings? adaptive = description.Adaptive;
        int units = adaptive is null ? _sums.Units : adaptive.Heads.Count / description.Model.Layers;
        TogetherOverPairs? together = adaptive is null ? _together.Finish(_sums, _candidates, cancellationToken) : null;
        HeadResult[] heads =
        [
            .. from layer in Enumerable.Range(0, description.Model.Layers)
               from head in Enumerable.Range(0, units)
               select (adaptive is null ? Head(layer, head, _sums, together) : Head(layer, head, adaptive.Heads[(layer * units) + head], _runs!.Of((layer * units) + head), adaptive.Pairs)) with
               {
                   EstimatedEffect = estimated ? Head(layer, head, _estimates).PatchingEffect : null,
                   Estimated = description.Method == Method.Attribution || (estimated && adaptive is null && !WasRun(layer, head)),
                   DirectLogitAttribution = ofHeads ? direct?.Heads[layer][head] : null,
               },
        ];
        HeadResult[] beyond =
        [
            .. heads.Where(head => adaptive is null ? Math.Abs(head.PatchingEffect) > description.Threshold : head.Decision == Decision.Above)
                .OrderByDescending(head => Math.Abs(head.PatchingEffect)),
        ];
        return new SweepResult
        {
            SweepId = description.SweepId,
            Model = description.Model,
            Dataset = new DatasetSummary(description.Dataset, _overview.Count),
            Patch = description.Options.Patch,
            Positions = description.Options.Positions,
            Ablation = description.Options.Ablation,
            AblationDetails = description.Options.Ablation is Ablation ablation ? AblationDetails.Of(ablation, description.Reference) : null,
            Reference = description.Options.References is { } references ? new DatasetSummary(description.Reference ?? "reference", references.Count) : null,
            Method = description.Method,
            Gradient = description.Gradient,
            ScreenTop = description.ScreenTop,
            Adaptive = adaptive?.Summary(),
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
            Intervals = adaptive?.Kind ?? ConfidenceInterval.Kind,
            JointIntervals = together?.Intervals,
            CleanMetric = _overview.Baselines.Average(pair => pair.Baseline.Clean),
            CorruptedMetric = _overview.Baselines.Average(pair => pair.Baseline.Corrupted),
            Heads = heads,
            Heatmap = [.. heads.Chunk(units).Select(layer => layer.Select(head => head.PatchingEffect).ToArray())],
            HeatmapByPosition = PlacesByPosition.Count > 0 ? HeatmapBy(PlacesByPosition) : null,
            Roles = PlacesByRole.Count > 0 ? [.. PlacesByRole.Select(cell => new RoleSummary(cell.Role!, cell.Pairs))] : null,
            HeatmapByRole = PlacesByRole.Count > 0 ? HeatmapBy(PlacesByRole) : null,
            DirectLogitAttribution = direct is null ? DirectLogitAttribution.None(description.Metric) : DirectLogitAttribution.Of(direct, description.Metric),
            ImportantHeads = [.. beyond.Where(head => !MayBeZero(head))],
            ExcludedPairs = _overPairs.Conditioning.Excluded,
            Pairs = [.. _pairs.Select(pair => pair!)],
            Warnings =
            [
                .. description.Warnings,
                .. Warnings(_overview.Baselines, description.Metric, _overPairs.Conditioning),
                .. adaptive is null ? IntervalWarnings(heads, beyond, description.Threshold) : AdaptiveWarnings(adaptive, description.Threshold),
                .. Cells.Warnings(description.Options.Positions, _overview.Shapes),
            ],
            Timings = new SweepTimings(description.StartedAt, description.FinishedAt, cacheSeconds, patchSeconds, patchedRuns),
            Software = new SoftwareSummary(description.SoftwareVersion),
        };

        bool WasRun(int layer, int head) => headsRun!.TryGetValue(layer, out int[]? run) && run.Contains(head);
    }

    private PairResult Pair(PairRuns runs)
    {
        TokenPair pair = runs.Pair;
        double[][][] patched = runs.PatchedMetric;                            // [layer][row][head]
        var (from, to) = runs.Baseline.FromTo(_description.Options.Direction);
        double[][][] effect = [.. patched.Select(layer => layer.Select(position => position.Select(value => Effect.Of(value, from, to)).ToArray()).ToArray())];
        return new PairResult
        {
            Index = pair.Index,
            CleanTokens = pair.Clean,
            CorruptedTokens = pair.Corrupted,
            CleanTokenTexts = _tokenText is null ? null : [.. pair.Clean.Select(_tokenText)],
            CorruptedTokenTexts = _tokenText is null ? null : [.. pair.Corrupted.Select(_tokenText)],
            Correct = pair.Correct,
            Incorrect = pair.Incorrect,
            CorrectText = Texts(pair.Correct),
            IncorrectText = Texts(pair.Incorrect),
            CleanMetric = runs.Baseline.Clean,
            CorruptedMetric = runs.Baseline.Corrupted,
            Degenerate = PairConditioning.IsDegenerate(to - from),
            Roles = pair.Roles,
            Runs = _runs is null ? null : Runs(),
            PatchedMetric = EachPosition || EachRole || _runs is not null ? null : [.. patched.Select(layer => layer[0])],
            PatchingEffect = EachPosition || EachRole || _runs is not null ? null : [.. effect.Select(layer => layer[0])],
            PatchedMetricByPosition = EachPosition ? patched : null,
            PatchingEffectByPosition = EachPosition ? effect : null,
            PatchedMetricByRole = EachRole ? ByRole(patched) : null,
            PatchingEffectByRole = EachRole ? ByRole(effect) : null,
        };

        HeadRun[]? Runs()
        {
            HeadRun[] runs =
            [
                .. from layer in Enumerable.Range(0, patched.Length)
                   from head in Enumerable.Range(0, patched[layer][0].Length)
                   where !double.IsNaN(patched[layer][0][head])
                   select new HeadRun(Name(layer, head), patched[layer][0][head], effect[layer][0][head]),
            ];
            return runs.Length == 0 ? null : runs;
        }

        // [layer][row][head] to [layer][head] by role
        Dictionary<string, double[][]> ByRole(double[][][] of) =>
            pair.RolesInOrder().Index().ToDictionary(role => role.Item.Name, role => of.Select(layer => layer[role.Index]).ToArray());

        string? Texts(TokenAnswers answers) => _tokenText is null ? null : string.Join(" | ", answers.Ids.Select(_tokenText));
    }

    /// <summary>With the method <c>adaptive</c>.</summary>
    private HeadResult Head(int layer, int head, AdaptiveHead found, (Baseline Baseline, double Patched) runs, int pairs) => new(
        layer,
        _description.Options.Patch.IsOfLayer() ? null : head,
        Name(layer, head),
        Hook(layer),
        found.Effect,
        StandardError: null,
        runs.Baseline.Clean,
        runs.Baseline.Corrupted,
        runs.Patched)
    {
        Decision = found.Decision,
        AnytimeInterval = found.Interval,
        PairsRun = found.Pairs,
        Pairs = pairs,
    };

    private HeadResult Head(int layer, int head, EffectSums of, TogetherOverPairs? together = null)
    {
        int place = of.Strongest(layer, head, _candidates);
        PooledEffect pooled = of.Effect(layer, place, head);
        Baseline baseline = of.BaselineAt(place);
        ConfidenceInterval? joint = together is null ? null : of.Joint(layer, place, head, together.Intervals.Miss);
        return new HeadResult(
            layer,
            _description.Options.Patch.IsOfLayer() ? null : head,
            Name(layer, head),
            Hook(layer),
            pooled.Effect,
            pooled.StandardError,
            baseline.Clean,
            baseline.Corrupted,
            of.PatchedMetric(layer, place, head))
        {
            ConfidenceInterval = pooled.Interval,
            JointInterval = joint,
            ExcludesZero = joint?.ExcludesZero(pooled.Effect),
            ExcludesThreshold = joint is null ? null : !joint.Value.Contains(_description.Threshold) && !joint.Value.Contains(-_description.Threshold),
            InTop = together?.InTop[(layer * of.Units) + head],
            Pairs = pooled.Pairs,
            Position = _cells[place].Position,
            Role = _cells[place].Role,
        };
    }

    private string Hook(int layer) => string.Create(CultureInfo.InvariantCulture, $"blocks.{layer}.{LayerPatchFor.Patch(_description.Options.Patch).Hook}");

    private string Name(int layer, int head)
    {
        string kind = _description.Options.Patch is Patch.K or Patch.V && _description.Model.KeyValueHeads is not null ? "KV" : "H";
        return _description.Options.Patch.IsOfLayer()
            ? string.Create(CultureInfo.InvariantCulture, $"L{layer}")
            : string.Create(CultureInfo.InvariantCulture, $"L{layer}{kind}{head}");
    }

    // [layer][place][head]
    private double[][][] HeatmapBy(IReadOnlyList<Cell> places) =>
    [
        .. Enumerable.Range(0, _description.Model.Layers).Select(layer => places.Select(PlaceOf).Select(place =>
            Enumerable.Range(0, _sums.Units).Select(head => _sums.Effect(layer, place, head).Effect).ToArray()).ToArray()),
    ];

    private int PlaceOf(Cell cell) => _cells.Index().First(one => one.Item == cell).Index;

    /// <summary>What to know before trusting the effects, from the clean and the corrupted runs alone.</summary>
    /// <param name="pairs">The pairs' indices and their unpatched metrics.</param>
    /// <param name="metric">What was measured.</param>
    /// <param name="conditioning">Which of the pairs are taken.</param>
    public static IEnumerable<string> Warnings(IEnumerable<(int Index, Baseline Baseline)> pairs, IMetric metric, PairConditioning conditioning)
    {
        int count = pairs.Count();
        double difference = pairs.Average(pair => Math.Abs(pair.Baseline.Clean - pair.Baseline.Corrupted));
        double size = Math.Max(pairs.Average(pair => Math.Abs(pair.Baseline.Clean)), pairs.Average(pair => Math.Abs(pair.Baseline.Corrupted)));
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

        int[] littlePairs = [.. pairs.Where(pair => !little && conditioning.Takes(pair.Index) && IsLittle(pair.Baseline)).Select(pair => pair.Index)];
        if (littlePairs.Length > 0)
        {
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"On {littlePairs.Length} of {count} pairs the corruption changes {metric.Name} little for its size, and effects divide by little: {PairConditioning.Named(littlePairs)}.");
        }

        string[] shortfalls = [.. pairs.Select(pair => metric.Shortfall(pair.Baseline.Clean)).OfType<string>()];
        if (shortfalls.Length > 0)
        {
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"On {shortfalls.Length} of {count} pairs the clean run {shortfalls[0]}: there is little behaviour to restore.");
        }

        bool IsLittle(Baseline pair) => metric.IsLittle(Math.Abs(pair.Clean - pair.Corrupted), Math.Max(Math.Abs(pair.Clean), Math.Abs(pair.Corrupted)));
    }

    /// <summary>Whether a head's interval leaves open that it has no effect; where there is no interval nothing can be said.</summary>
    private static bool MayBeZero(HeadResult head) => head.ConfidenceInterval is { } interval && interval.Contains(0);

    /// <summary>How many heads an adaptive sweep has left open.</summary>
    private static IEnumerable<string> AdaptiveWarnings(AdaptiveFindings adaptive, double threshold)
    {
        int undecided = adaptive.Summary().Undecided;
        if (adaptive.Pairs > 0 && undecided > 0)
        {
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"Of {undecided} heads it is not decided whether they are beyond ±{threshold}: their intervals were no wider than {adaptive.Width}, which ended their runs. Ask without a width, or for a smaller one.");
        }
    }

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

    /// <summary>By head, the means of the metrics over the pairs that it was run on.</summary>
    private sealed class RunMeans(int heads)
    {
        private readonly (int Pairs, double Clean, double Corrupted, double Patched)[] _sums = new (int, double, double, double)[heads];

        public void Add(PairRuns runs)
        {
            foreach (var (head, patched) in runs.PatchedMetric.SelectMany(layer => layer[0]).Index())
            {
                if (!double.IsNaN(patched))
                {
                    ref var sum = ref _sums[head];
                    sum = (sum.Pairs + 1, sum.Clean + runs.Baseline.Clean, sum.Corrupted + runs.Baseline.Corrupted, sum.Patched + patched);
                }
            }
        }

        public (Baseline Baseline, double Patched) Of(int head)
        {
            var (pairs, clean, corrupted, patched) = _sums[head];
            int by = Math.Max(1, pairs);
            return (new Baseline(clean / by, corrupted / by), patched / by);
        }
    }
}
