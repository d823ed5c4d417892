using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Patching.Interventions;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Tests.Golden;
using TorchSharp;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Patching;

/// <summary>
/// Estimates are the first-order ones: the gradient's, and nothing else is left behind. Those of the plain gradient, except where it makes no
/// difference; <see cref="FrozenNormsTests"/> has the other.
/// </summary>
public class AttributionTests
{
    private static readonly Positions[] AllPositions = [Positions.All, Positions.Each, Positions.One(0), Positions.One(-1), Positions.One(3)];

    public static TheoryData<Patch, Direction> PatchesAndDirections { get; } =
    [
        .. from patch in AttributionRun.Patches
           from direction in Enum.GetValues<Direction>()
           select new TheoryDataRow<Patch, Direction>(patch, direction),
    ];

    [Theory]
    [MemberData(nameof(ParityTests.ModelsAndTypes), MemberType = typeof(ParityTests))]
    public void Every_estimate_is_the_one_that_autograd_in_PyTorch_gives(string name, ScalarType dtype)
    {
        using var golden = new GoldenModel(name, dtype);
        var differences = new Differences();
        SweepRuns runs = Estimate(golden, new PatchOptions());
        foreach (LayerPatches patches in runs.Layers)
        {
            foreach (var (pair, metric) in patches.PairIndices.Zip(patches.PatchedMetric))
            {
                // The reference holds the change of the metric, not the metric.
                differences.Add("attribution_z", golden.OfPair(pair, "attribution_z")[patches.Layer], at => metric[0][at[0]] - runs.Baselines[pair].Corrupted);
            }
        }

        differences.AssertWithin(dtype == ScalarType.Float64 ? 1e-7 : null);
    }

    [Theory]
    [MemberData(nameof(PatchesAndDirections))]
    public void Every_estimate_is_the_slope_at_which_the_activation_goes_over(Patch patch, Direction direction)
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.Float64);
        var options = new PatchOptions { Patch = patch, Positions = Positions.Each, Direction = direction };
        IMetric[] metrics = [new LogitDifference(), new ProbabilityDifference(), new KlDivergence()];
        SweepRuns[] runs = [.. metrics.Select(metric => InMemorySweep.Estimate(golden.Model, golden.Pairs, options, metric, MemoryBudget.Default, Gradient.Plain))];
        var differences = new Differences();
        for (int layer = 0; layer < golden.Model.Config.Layers; layer++)
        {
            for (int head = 0; head < golden.Model.Config.Heads; head++)
            {
                double[][][] slopes = SlowRun.Slopes(golden.Model, golden.Pairs, options, metrics, layer, head);
                for (int m = 0; m < metrics.Length; m++)
                {
                    LayerPatches patches = runs[m].Layers.Single(patches => patches.Layer == layer);
                    foreach (var (pair, estimate) in patches.PairIndices.Zip(patches.PatchedMetric))
                    {
                        double unpatched = direction == Direction.Denoise ? runs[m].Baselines[pair].Corrupted : runs[m].Baselines[pair].Clean;
                        for (int position = 0; position < estimate.Length; position++)
                        {
                            differences.Add(metrics[m].Name, slopes[m][pair][position], estimate[position][head] - unpatched);
                        }
                    }
                }
            }
        }

        differences.AssertWithin(1e-7);
    }

    [Fact]
    public void Corrupted_patched_into_corrupted_changes_nothing()
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.Float32);
        using var chunk = new CachedChunk(golden.Model, golden.Pairs);
        foreach (Patch patch in AttributionRun.Patches)
        {
            foreach (Positions positions in AllPositions)
            {
                using AttributionRun run = Start(golden.Model, chunk, new PatchOptions { Patch = patch, Positions = positions });
                for (int layer = 0; layer < golden.Model.Config.Layers; layer++)
                {
                    LayerPatches estimates = run.Estimate(layer, chunk.SourceIsBase(Direction.Denoise));
                    foreach (var (baseline, metric) in chunk.Baselines.Zip(estimates.PatchedMetric))
                    {
                        Assert.All(metric.SelectMany(position => position), value => Assert.Equal(baseline.Corrupted, value));
                    }
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(PatchesAndDirections))]
    public void The_changes_of_each_position_add_up_to_that_of_all(Patch patch, Direction direction)
    {
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        SweepRuns Runs(Positions positions) => Estimate(golden, new PatchOptions { Patch = patch, Direction = direction, Positions = positions });
        SweepRuns each = Runs(Positions.Each), all = Runs(Positions.All), last = Runs(Positions.One(-1)), third = Runs(Positions.One(3));
        for (int i = 0; i < each.Layers.Count; i++)
        {
            for (int pair = 0; pair < each.Layers[i].PairIndices.Count; pair++)
            {
                Baseline baselines = each.Baselines[each.Layers[i].PairIndices[pair]];
                double baseline = direction == Direction.Denoise ? baselines.Corrupted : baselines.Clean;
                double[][] byPosition = each.Layers[i].PatchedMetric[pair];
                for (int head = 0; head < golden.Model.Config.Heads; head++)
                {
                    Assert.Equal(all.Layers[i].PatchedMetric[pair][0][head] - baseline, byPosition.Sum(position => position[head] - baseline), 1e-10);
                    Assert.Equal(byPosition[^1][head], last.Layers[i].PatchedMetric[pair][0][head], 1e-12);
                    Assert.Equal(byPosition[3][head], third.Layers[i].PatchedMetric[pair][0][head], 1e-12);
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(PatchesAndDirections))]
    public void Swapping_the_direction_equals_swapping_the_prompts(Patch patch, Direction direction)
    {
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        TokenPair[] swapped = [.. golden.Pairs.Select(pair => pair with { Clean = pair.Corrupted, Corrupted = pair.Clean })];
        Direction other = direction == Direction.Denoise ? Direction.Noise : Direction.Denoise;
        SweepRuns left = Estimate(golden, new PatchOptions { Patch = patch, Positions = Positions.Each, Direction = direction });
        SweepRuns right = InMemorySweep.Estimate(
            golden.Model,
            swapped,
            new PatchOptions { Patch = patch, Positions = Positions.Each, Direction = other },
            new LogitDifference(),
            MemoryBudget.Default,
            Gradient.Plain);
        Assert.All(Values(left).Zip(Values(right)), values => Assert.Equal(values.First, values.Second, 1e-10));
    }

    [Fact]
    public void Smaller_batches_give_the_same_numbers_whether_asked_for_or_forced_by_memory()
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.Float64);
        using var chunk = new CachedChunk(golden.Model, golden.Pairs);
        int pairs = golden.Pairs.Count;
        Assert.True(pairs >= 3);
        double[] Estimates(MemoryBudget budget, int fits, int batches)
        {
            var metric = new LimitedMetric(fits);
            using AttributionRun run = Start(golden.Model, chunk, new PatchOptions { Patch = Patch.Q }, metric, budget);
            Assert.Equal(batches, metric.Batches);
            return [.. Enumerable.Range(0, golden.Model.Config.Layers).SelectMany(layer => run.Estimate(layer, chunk.Activations).PatchedMetric).SelectMany(pair => pair[0])];
        }

        double[] whole = Estimates(MemoryBudget.Default, pairs, 1);
        Assert.All(whole.Zip(Estimates(new MemoryBudget(1), pairs, pairs)), values => Assert.Equal(values.First, values.Second, 1e-12));
        Assert.All(whole.Zip(Estimates(MemoryBudget.Default, 1, pairs)), values => Assert.Equal(values.First, values.Second, 1e-12));
        var error = Assert.Throws<InsufficientMemoryException>(() => Estimates(MemoryBudget.Default, 0, 0));
        Assert.Contains("exact method", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Pairs_of_different_lengths_give_what_each_gives_alone()
    {
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        TokenPair shorter = golden.Pairs[0] with { Index = 7, Clean = [.. golden.Pairs[0].Clean.Take(9)], Corrupted = [.. golden.Pairs[0].Corrupted.Take(9)] };
        var options = new PatchOptions { Patch = Patch.V, Positions = Positions.One(-2) };
        TokenPair[] pairs = [golden.Pairs[0], shorter, golden.Pairs[1]];
        SweepRuns together = InMemorySweep.Estimate(golden.Model, pairs, options, new LogitDifference(), MemoryBudget.Default);
        foreach (TokenPair pair in pairs)
        {
            SweepRuns alone = InMemorySweep.Estimate(golden.Model, [pair], options, new LogitDifference(), MemoryBudget.Default);
            foreach (LayerPatches expected in alone.Layers)
            {
                LayerPatches actual = together.Layers.Single(patches => patches.Layer == expected.Layer && patches.PairIndices.Contains(pair.Index));
                double[] values = actual.PatchedMetric[actual.PairIndices.ToList().IndexOf(pair.Index)][0];
                Assert.All(expected.PatchedMetric[0][0].Zip(values), both => Assert.Equal(both.First, both.Second, 1e-10));
            }
        }
    }

    [Theory]
    [InlineData(Patch.Z)]
    [InlineData(Patch.K)]
    public void In_bfloat16_the_estimates_are_near(Patch patch)
    {
        using var exact = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        using var rough = new GoldenModel("gpt2-golden-b", ScalarType.BFloat16);
        SweepRuns expected = Estimate(exact, new PatchOptions { Patch = patch });
        double scale = Values(expected).Max(Math.Abs);
        Assert.All(Values(expected).Zip(Values(Estimate(rough, new PatchOptions { Patch = patch }))), values => Assert.Equal(values.First, values.Second, 0.05 * scale));
    }

    [Fact]
    public void Layers_may_be_asked_for_in_any_order_and_from_another_thread()
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.Float64);
        using var chunk = new CachedChunk(golden.Model, golden.Pairs);
        using AttributionRun run = Start(golden.Model, chunk, new PatchOptions());
        double[][][] here = run.Estimate(1, chunk.Activations).PatchedMetric;
        double[][][]? there = null;
        var thread = new Thread(() =>
        {
            run.Estimate(2, chunk.Activations);
            there = run.Estimate(1, chunk.Activations).PatchedMetric;
        });
        thread.Start();
        thread.Join();
        Assert.Equal(here.SelectMany(pair => pair[0]), there!.SelectMany(pair => pair[0]));
    }

    [Fact]
    public void Neither_gradients_nor_tensors_are_left_behind()
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.Float32);
        using var chunk = new CachedChunk(golden.Model, golden.Pairs);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        foreach (Patch patch in AttributionRun.Patches)
        {
            using AttributionRun run = Start(golden.Model, chunk, new PatchOptions { Patch = patch }, budget: new MemoryBudget(1));
            run.Estimate(0, chunk.Activations);
        }

        Assert.Throws<InvalidInputException>(() => Start(golden.Model, chunk, new PatchOptions(), new Rank()));
        Assert.Throws<InsufficientMemoryException>(() => Start(golden.Model, chunk, new PatchOptions(), new LimitedMetric(0)));
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        Assert.All(golden.Model.Weights.All(), weight => Assert.True(!weight.requires_grad && weight.grad is null));
    }

    /// <summary>A patch of a small part of the difference, made exactly, changes the metric by that part of the estimate.</summary>
    [Theory]
    [InlineData("gpt-neox-golden")]
    [InlineData("llama-golden")]
    [MemberData(nameof(FamilyParityTests.Models), MemberType = typeof(FamilyParityTests))]
    public void In_every_family_the_estimate_is_the_slope_of_the_patch(string model)
    {
        const double Part = 1e-6;
        using var golden = new GoldenModel(model, ScalarType.Float64);
        foreach (Patch patch in new[] { Patch.Z, Patch.Q, Patch.K, Patch.V })
        {
            var options = new PatchOptions { Patch = patch };
            foreach (TokenPair pair in golden.Pairs)
            {
                using var chunk = new CachedChunk(golden.Model, [pair]);
                using AttributionRun run = Start(golden.Model, chunk, options);
                for (int layer = 0; layer < golden.Model.Config.Layers; layer++)
                {
                    double[] estimate = run.Estimate(layer, chunk.Activations).PatchedMetric[0][0];
                    double[] above = Exact(+Part), below = Exact(-Part);
                    Assert.Equal(patch is Patch.K or Patch.V ? golden.Model.Config.KeyValueHeads : golden.Model.Config.Heads, estimate.Length);
                    for (int head = 0; head < estimate.Length; head++)
                    {
                        Assert.Equal((above[head] - below[head]) / (2 * Part), estimate[head] - chunk.Baselines[0].Corrupted, 1e-6);
                    }

                    double[] Exact(double part)
                    {
                        using var mode = inference_mode();
                        using var scope = NewDisposeScope();
                        using var runs = new PatchedAndSource(golden.Model, chunk.Activations, options.Direction);
                        int start = chunk.Activations.Start;
                        var small = new HeadPatch(new SmallPart(patch, part));
                        StreamPoint point = small.Point(golden.Model.Config);
                        Tensor change = small.Change(golden.Model, layer, runs.Source(layer), runs.Patched(layer), where: null, start)([.. Enumerable.Range(0, estimate.Length)]);
                        Tensor final = new SuffixRun(golden.Model, pairs: 1, start, pair.Length, later => runs.Patched(later).KeysValuesBefore(start)).Run(
                            [new JoiningStreams(layer, point, estimate.Length, from => change.narrow(2, from - start, pair.Length - from).Plus(runs.Patched(layer).Stream(point, from)))]);
                        return [.. new LogitDifference().Measure(golden.Model, final, chunk.Measured).data<double>()];
                    }
                }
            }
        }
    }

    [Fact]
    public void What_has_no_estimate_is_refused_by_name()
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.Float32);
        using var chunk = new CachedChunk(golden.Model, golden.Pairs);
        Fault metric = Assert.Single(Assert.Throws<InvalidInputException>(() => Start(golden.Model, chunk, new PatchOptions(), new Rank())).Faults);
        Assert.Equal(("metric", "rank has no gradient, so there is no estimate of it. Use the exact method."), (metric.Where, metric.Message));
        Fault patch = Assert.Single(Assert.Throws<InvalidInputException>(() => Start(golden.Model, chunk, new PatchOptions { Patch = (Patch)99 })).Faults);
        Assert.Equal(("patch", "There is no estimate of this patch, only of z, pattern, v, q, k. Use the exact method."), (patch.Where, patch.Message));
        Assert.Throws<ArgumentOutOfRangeException>(() => Start(golden.Model, chunk, new PatchOptions { Positions = Positions.One(golden.Pairs[0].Length) }));
    }

    private static SweepRuns Estimate(GoldenModel golden, PatchOptions options) =>
        InMemorySweep.Estimate(golden.Model, golden.Pairs, options, new LogitDifference(), MemoryBudget.Default, Gradient.Plain);

    private static IEnumerable<double> Values(SweepRuns runs) =>
        runs.Layers.SelectMany(patches => patches.PatchedMetric).SelectMany(pair => pair).SelectMany(position => position);

    private static AttributionRun Start(
        Transformer model,
        CachedChunk chunk,
        PatchOptions options,
        IMetric? metric = null,
        MemoryBudget? budget = null,
        Gradient gradient = Gradient.Plain) => AttributionRun.Start(
        model, metric ?? new LogitDifference(), chunk.Measured, chunk.Baselines, options, budget ?? MemoryBudget.Default, gradient);

    /// <summary>The logit difference, where memory is enough for so many pairs at once.</summary>
    private sealed class LimitedMetric(int fits) : IMetric
    {
        private readonly LogitDifference _metric = new();

        public string Name => _metric.Name;

        public MetricDetails Details => _metric.Details;

        public int Batches { get; private set; }

        public Tensor Measure(Transformer model, Tensor resid, MeasuredPairs measured)
        {
            if (measured.Pairs.Count > fits)
            {
                empty(1L << 50).Dispose();
            }

            Batches++;
            return _metric.Measure(model, resid, measured);
        }
    }

    /// <summary>Replaces an activation by one that is a small part of the way to the other run's.</summary>
    private sealed class SmallPart(Patch patch, double part) : IIntervention
    {
        public string Hook => "";

        public bool OnlyOwnPosition => patch is Patch.Z or Patch.Q;

        public bool OfKeyValueHeads => patch is Patch.K or Patch.V;

        public bool ReachesOtherHeads(ModelConfig config) => patch is Patch.Q or Patch.K && config.QueryKeyNorm == QueryKeyNorm.AllHeads;

        public Tensor ReplacedZ(Transformer model, int layer, HeadActivations source, HeadActivations patched, Tensor? where, int start)
        {
            KeysValues other = source.KeysValues, own = patched.KeysValues;
            return patch switch
            {
                Patch.Q => model.Attend(layer, Mix(source.Q(start), patched.Q(start), where?.narrow(-1, start, where.shape[^1] - start)), own.K, own.V),
                Patch.K => model.Attend(layer, patched.Q(start), Mix(other.K, own.K, where), own.V),
                Patch.V => model.Attend(layer, patched.Q(start), own.K, Mix(other.V, own.V)),
                _ => Mix(source.Z(start), patched.Z(start)),
            };

            // where: [1, heads, position], where one head's changes what others do
            Tensor Mix(Tensor to, Tensor from, Tensor? where = null)
            {
                Tensor mixed = from.Plus((to - from) * tensor(part));
                return where is null ? mixed : torch.where(where.unsqueeze(-1), mixed, from);
            }
        }
    }
}
