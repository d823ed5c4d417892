using System.Runtime.InteropServices;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Core.Tests.Golden;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Patching;

/// <summary>What must hold of any patching, whatever the model.</summary>
public class PatchingRulesTests
{
    public static TheoryData<Patch, string> PatchesAndPositions { get; } =
    [
        .. from patch in Enum.GetValues<Patch>()
           from positions in new[] { "all", "each", "0", "-1", "3" }
           select new TheoryDataRow<Patch, string>(patch, positions),
    ];

    [Theory]
    [MemberData(nameof(PatchesAndPositions))]
    public void Corrupted_patched_into_corrupted_changes_nothing(Patch patch, string positions)
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.Float64);
        Assert.True(Positions.TryParse(positions, out Positions where));
        using var chunk = new CachedChunk(golden.Model, golden.Pairs);

        // The prompts differ, so every step of the patched run is taken; only the activations that are put in are the run's own.
        var patcher = new BandPatcher(golden.Model, new LogitDifference(), MemoryBudget.Default);
        IReadOnlyList<LayerPatches> layers = patcher.Patch(
            chunk.Band(0, golden.Model.Config.Layers - 1, chunk.SourceIsBase(Direction.Denoise)), new PatchOptions { Patch = patch, Positions = where });
        Assert.Equal(golden.Model.Config.Layers, layers.Count);
        foreach (LayerPatches patches in layers)
        {
            for (int pair = 0; pair < golden.Pairs.Count; pair++)
            {
                Assert.All(patches.PatchedMetric[pair].SelectMany(position => position), value => Assert.Equal(chunk.Baselines[pair].Corrupted, value, 1e-12));
            }
        }
    }

    [Theory]
    [MemberData(nameof(PatchesAndPositions))]
    public void Swapping_the_direction_equals_swapping_the_prompts(Patch patch, string positions)
    {
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        Assert.True(Positions.TryParse(positions, out Positions where));
        TokenPair[] swapped = [.. golden.Pairs.Select(pair => pair with { Clean = pair.Corrupted, Corrupted = pair.Clean })];
        SweepResult noise = ParityTests.Sweep(golden.Model, golden.Pairs, new PatchOptions { Patch = patch, Positions = where, Direction = Direction.Noise });
        SweepResult denoise = ParityTests.Sweep(golden.Model, swapped, new PatchOptions { Patch = patch, Positions = where });
        foreach (var (left, right) in noise.Heads.Zip(denoise.Heads))
        {
            Assert.Equal(right.PatchedMetric, left.PatchedMetric, 1e-9);
            Assert.Equal(right.PatchingEffect, left.PatchingEffect, 1e-9);
        }
    }

    [Fact]
    public void A_patch_never_yields_NaN_not_even_where_the_prompts_are_the_same()
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.Float32);
        TokenPair same = golden.Pairs[0] with { Index = 9, Corrupted = golden.Pairs[0].Clean };
        foreach (Patch patch in Enum.GetValues<Patch>())
        {
            foreach (Positions positions in new[] { Positions.All, Positions.Each, Positions.One(2) })
            {
                foreach (Aggregation aggregation in Enum.GetValues<Aggregation>())
                {
                    SweepResult result = ParityTests.Sweep(golden.Model, [.. golden.Pairs, same], new PatchOptions { Patch = patch, Positions = positions }, aggregation: aggregation);
                    Assert.All(result.Heads, head => Assert.True(double.IsFinite(head.PatchingEffect) && double.IsFinite(head.PatchedMetric)));
                    PairResult degenerate = result.Pairs.Single(pair => pair.Index == 9);
                    Assert.True(degenerate.Degenerate);
                    Assert.Contains(result.Warnings, warning => warning.Contains("degenerate", StringComparison.Ordinal));
                }
            }
        }
    }

    [Fact]
    public void Pairs_of_different_lengths_and_differences_give_what_each_gives_alone()
    {
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        TokenPair shorter = golden.Pairs[0] with { Index = 7, Clean = [.. golden.Pairs[0].Clean.Take(9)], Corrupted = [.. golden.Pairs[0].Corrupted.Take(9)] };
        TokenPair[] pairs = [golden.Pairs[0], shorter, golden.Pairs[1], golden.Pairs[2]];
        foreach (Patch patch in Enum.GetValues<Patch>())
        {
            foreach (Positions positions in new[] { Positions.All, Positions.Each, Positions.One(-2) })
            {
                var options = new PatchOptions { Patch = patch, Positions = positions };
                SweepResult together = ParityTests.Sweep(golden.Model, pairs, options);
                Assert.Equal(pairs.Select(pair => pair.Index), together.Pairs.Select(pair => pair.Index));
                Assert.Null(together.HeatmapByPosition);
                foreach (TokenPair pair in pairs)
                {
                    PairResult alone = ParityTests.Sweep(golden.Model, [pair], options).Pairs[0];
                    PairResult among = together.Pairs.Single(result => result.Index == pair.Index);
                    AssertSame(alone.PatchedMetric ?? alone.PatchedMetricByPosition!.SelectMany(layer => layer), among.PatchedMetric ?? among.PatchedMetricByPosition!.SelectMany(layer => layer));
                }
            }
        }

        static void AssertSame(IEnumerable<double[]> left, IEnumerable<double[]> right) =>
            Assert.All(left.Zip(right).SelectMany(rows => rows.First.Zip(rows.Second)), values => Assert.Equal(values.First, values.Second, 1e-10));
    }

    [Fact]
    public void A_small_memory_budget_gives_the_same_numbers_in_smaller_batches()
    {
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        long batches = 0;
        SweepRuns small = InMemorySweep.Run(golden.Model, golden.Pairs, new PatchOptions(), new LogitDifference(), new MemoryBudget(1), _ => batches++);
        SweepResult large = ParityTests.Sweep(golden.Model, golden.Pairs, new PatchOptions());

        // One pair a chunk and one head a batch: the least that there is.
        Assert.Equal(golden.Pairs.Count * golden.Model.Config.Layers * golden.Model.Config.Heads, batches);
        foreach (LayerPatches patches in small.Layers)
        {
            double[] expected = large.Pairs.Single(pair => pair.Index == patches.PairIndices[0]).PatchedMetric![patches.Layer];
            Assert.All(expected.Zip(patches.PatchedMetric[0][0]), values => Assert.Equal(values.First, values.Second, 1e-10));
        }
    }

    public static TheoryData<string, Action> WaysToRunOutOfMemory { get; } = new()
    {
        { "libtorch on this CPU", () => empty(1L << 50).Dispose() },
        { "libtorch on a GPU", () => ThrowAsLibTorch("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 15.77 GiB.") },
    };

    [Theory]
    [MemberData(nameof(WaysToRunOutOfMemory))]
    public void A_batch_that_runs_out_of_memory_is_done_again_in_halves_and_the_numbers_stay(string where, Action runOut)
    {
        TestContext.Current.TestOutputHelper!.WriteLine(where);
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        int heads = golden.Model.Config.Heads;
        SweepResult expected = ParityTests.Sweep(golden.Model, golden.Pairs, new PatchOptions());
        var metric = new FailingMetric(heads / 2, runOut);
        long runs = 0;
        SweepRuns sweep = InMemorySweep.Run(golden.Model, golden.Pairs, new PatchOptions(), metric, MemoryBudget.Default, batch => runs += batch);

        // Halved until it fits, and then never tried again: not in the next chunk, and not in the next sweep with the same model.
        int failures = metric.Failures;
        Assert.InRange(failures, 1, 10);
        InMemorySweep.Run(golden.Model, golden.Pairs, new PatchOptions { Patch = Patch.V }, metric, MemoryBudget.Default);
        Assert.Equal(failures, metric.Failures);
        Assert.Equal(golden.Pairs.Count * golden.Model.Config.Layers * heads, runs);
        Assert.Equal(runs, sweep.Layers.Sum(patches => patches.PatchedRuns));
        foreach (LayerPatches patches in sweep.Layers)
        {
            foreach (var (pair, i) in patches.PairIndices.Select((pair, i) => (pair, i)))
            {
                double[] one = expected.Pairs.Single(result => result.Index == pair).PatchedMetric![patches.Layer];
                Assert.All(one.Zip(patches.PatchedMetric[i][0]), values => Assert.Equal(values.First, values.Second, 1e-10));
            }
        }
    }

    [Fact]
    public void Where_not_one_head_fits_it_is_said_what_helps()
    {
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float32);
        var metric = new FailingMetric(0, () => empty(1L << 50).Dispose());
        var error = Assert.Throws<InsufficientMemoryException>(
            () => InMemorySweep.Run(golden.Model, golden.Pairs, new PatchOptions(), metric, MemoryBudget.Default));
        Assert.StartsWith("Layer 0: not even one head over", error.Message, StringComparison.Ordinal);
        Assert.Contains("memory budget", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Another_failure_of_libtorch_is_not_taken_for_running_out_of_memory()
    {
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float32);
        var metric = new FailingMetric(0, () => ThrowAsLibTorch("CUDA error: an illegal memory access was encountered"));
        Assert.Throws<ExternalException>(() => InMemorySweep.Run(golden.Model, golden.Pairs, new PatchOptions(), metric, MemoryBudget.Default));
        Assert.Equal(1, metric.Failures);
    }

    [Fact]
    public void A_sweep_stops_between_two_batches_when_it_is_cancelled()
    {
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float32);
        using var cancellation = new CancellationTokenSource();
        long batches = 0;
        Assert.Throws<OperationCanceledException>(() => InMemorySweep.Run(
            golden.Model,
            golden.Pairs,
            new PatchOptions(),
            new LogitDifference(),
            new MemoryBudget(1),
            _ =>
            {
                if (++batches == 3)
                {
                    cancellation.Cancel();
                }
            },
            cancellation.Token));
        Assert.Equal(3, batches);
    }

    [Fact]
    public void In_bfloat16_the_strong_heads_are_still_the_strong_heads()
    {
        using var exact = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        using var rough = new GoldenModel("gpt2-golden-b", ScalarType.BFloat16);
        SweepResult expected = ParityTests.Sweep(exact.Model, exact.Pairs, new PatchOptions());
        SweepResult actual = ParityTests.Sweep(rough.Model, rough.Pairs, new PatchOptions());
        double scale = expected.Pairs.Max(pair => pair.PatchedMetric!.Max(layer => layer.Max(Math.Abs)));
        foreach (var (left, right) in expected.Heads.Zip(actual.Heads))
        {
            // 8 bits of precision, and the error adds up over layers: some per cent of the metric's scale.
            Assert.Equal(left.PatchedMetric, right.PatchedMetric, 0.05 * scale);
        }
    }

#pragma warning disable CA2201 // The type is the one that TorchSharp throws.
    private static void ThrowAsLibTorch(string message) => throw new ExternalException(message);
#pragma warning restore CA2201

    /// <summary>The logit difference, on a device that has memory for so many patched runs of a pair at once.</summary>
    private sealed class FailingMetric(int fits, Action fail) : IMetric
    {
        private readonly LogitDifference _metric = new();
        private bool _baselinesDone;

        public string Name => _metric.Name;

        public MetricDetails Details => _metric.Details;

        public int Failures { get; private set; }

        public Tensor Measure(Transformer model, Tensor resid, MeasuredPairs measured)
        {
            if (_baselinesDone && resid.shape[0] > fits)
            {
                Failures++;
                fail();
            }

            _baselinesDone = true; // the first call is for the two unpatched runs
            return _metric.Measure(model, resid, measured);
        }
    }
}
