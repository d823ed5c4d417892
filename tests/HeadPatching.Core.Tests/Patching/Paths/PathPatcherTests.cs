using HeadPatching.Core.Circuits;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results.OverPairs;
using HeadPatching.Core.Tests.Golden;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Patching.Paths;

/// <summary>Path patching equals what whole forward passes with hooks give, and keeps the rules that hold of any.</summary>
public class PathPatcherTests
{
    private static readonly string[] LogitsAndHeads = ["logits", "L1H2.q", "L2H1.k", "L2H3.v", "L1H0.v L1H0.k L1H3.q", "L1H1.v L2H0.q", "L1H0.k L2H2.k L2H2.v", "L1.mlp", "L0.mlp L1H2.q L2.mlp"];

    public static TheoryData<string, string, bool, Direction, string> PathsAndOptions { get; } =
    [
        .. from model in new[] { "gpt2-golden-a", "gpt2-golden-b" }
           from receivers in model == "gpt2-golden-a" ? LogitsAndHeads : ["logits", "L2H5.q", "L3H7.q", "L3H0.k", "L1H4.k L3H1.q L3H1.v"]
           from how in new (bool FreezeMlps, Direction Direction, string Positions)[]
           {
               (false, Direction.Denoise, "all"), (true, Direction.Noise, "all"), (true, Direction.Denoise, "-1"), (false, Direction.Noise, "3"),
           }
           select new TheoryDataRow<string, string, bool, Direction, string>(model, receivers, how.FreezeMlps, how.Direction, how.Positions),
        new("gpt2-golden-a", "logits", false, Direction.Denoise, "each"),
        new("gpt2-golden-a", "L1H1.v L2H0.q", false, Direction.Denoise, "each"),
        new("gpt2-golden-a", "L1H0.k L2H2.k L2H2.v", true, Direction.Noise, "each"),
        new("gpt2-golden-b", "L2H5.q", false, Direction.Noise, "each"),
    ];

    public static TheoryData<string, bool, string> PathsAndPositions { get; } =
    [
        .. from receivers in new[] { "logits", "L1H2.q", "L2H3.v", "L1H1.v L2H0.q" }
           from freezeMlps in new[] { false, true }
           from positions in new[] { "all", "each" }
           select new TheoryDataRow<string, bool, string>(receivers, freezeMlps, positions),
    ];

    [Theory]
    [MemberData(nameof(PathsAndOptions))]
    public void Every_sender_has_the_metric_that_forward_passes_with_hooks_give(string model, string receivers, bool freezeMlps, Direction direction, string positions)
    {
        using var golden = new GoldenModel(model, ScalarType.Float64);
        double changed = CompareWithHooks(golden.Model, golden.Pairs, Options(receivers, freezeMlps, positions, direction));

        // From position 3 nothing leads to the logits of the last position, nor to what a head of the last layer asks there.
        Assert.Equal(positions != "3" || receivers is not ("logits" or "L3H7.q"), changed > 1e-6);
    }

    [Theory]
    [InlineData("gpt-neox-golden", "logits", false, "all")]
    [InlineData("gpt-neox-golden", "L1H1.v L2H0.q", false, "all")]
    [InlineData("gpt-neox-golden", "L2H3.k", true, "3")]
    [InlineData("llama-golden", "logits", true, "-1")]
    [InlineData("llama-golden", "L2H7.q", false, "each")]
    [InlineData("llama-golden", "L1H1.k L2H0.v", false, "all")]
    [InlineData("gemma2-golden", "logits", false, "all")]
    [InlineData("gemma2-golden", "logits", true, "-1")]
    [InlineData("gemma2-golden", "L2H1.k L3H0.v", true, "each")]
    [InlineData("gemma3-golden", "L3H1.q L5H0.k", false, "all")]
    [InlineData("olmo2-golden", "logits", true, "all")]
    [InlineData("olmo2-golden", "L1H4.q L2H1.k", false, "each")]
    [InlineData("phi3-longrope-golden", "L1H1.k L2H3.q", false, "all")]
    [InlineData("granite-golden", "L2H1.v", true, "all")]
    [InlineData("gptj-golden", "L1H1.v L2H0.q", false, "all")]
    [InlineData("opt350-golden", "logits", true, "all")]
    [InlineData("opt350-golden", "L1H1.v L2H0.q", true, "each")]
    [InlineData("gpt_oss-golden", "L1H1.k L3H0.q", false, "all")]
    [InlineData("gpt-neox-golden", "L2.mlp", false, "all")]
    [InlineData("gptj-golden", "L1.mlp L2H0.q", true, "all")]
    [InlineData("gemma2-golden", "L1.mlp L3H0.v", false, "all")]
    [InlineData("olmo2-golden", "L0.mlp L2.mlp", true, "all")]
    [InlineData("opt350-golden", "L1.mlp", false, "each")]
    public void In_the_other_families_too(string model, string receivers, bool freezeMlps, string positions)
    {
        using var golden = new GoldenModel(model, ScalarType.Float64);
        Assert.True(CompareWithHooks(golden.Model, golden.BothWays, Options(receivers, freezeMlps, positions)) > 1e-6);
    }

    [Theory]
    [InlineData("gpt2-golden-a", "logits", false, "all")]
    [InlineData("gpt2-golden-a", "logits", true, "-1")]
    [InlineData("gpt2-golden-a", "L1H1.v L2H0.q", false, "each")]
    [InlineData("gpt2-golden-a", "L0.mlp L1H2.q L2.mlp", false, "all")]
    [InlineData("gpt2-golden-a", "L1H0.k L2H2.k L2H2.v", true, "3")]
    [InlineData("gpt2-golden-b", "L2H5.q", false, "all")]
    [InlineData("gpt-neox-golden", "logits", false, "all")]
    [InlineData("gpt-neox-golden", "L1.mlp L2H3.k", false, "all")]
    [InlineData("gptj-golden", "L1H1.v L2.mlp", true, "all")]
    [InlineData("llama-golden", "L1H1.k L2H0.v", false, "all")]
    [InlineData("llama-golden", "L2H7.q", false, "each")]
    [InlineData("gemma2-golden", "L1.mlp L3H0.v", false, "all")]
    [InlineData("olmo2-golden", "L1H4.q L2.mlp", true, "all")]
    [InlineData("opt350-golden", "logits", true, "all")]
    [InlineData("opt350-golden", "L0.mlp L2H0.q", false, "all")]
    [InlineData("opt350-golden", "L1.mlp", true, "each")]
    public void An_MLP_and_the_embedding_send_as_heads_do(string model, string receivers, bool freezeMlps, string positions)
    {
        using var golden = new GoldenModel(model, ScalarType.Float64);
        foreach (Direction direction in Enum.GetValues<Direction>())
        {
            PathOptions options = Options(receivers, freezeMlps, positions, direction);
            Assert.True(CompareWithHooks(golden.Model, golden.BothWays, options with { From = NodeKind.Mlp }) > 1e-6);

            // The prompts' last tokens are the same, and so is what the embedding writes there.
            bool readsEarlier = positions != "-1" && options.Receivers.Any(receiver => receiver.Input is ReceiverInput.K or ReceiverInput.V);
            double changed = CompareWithHooks(golden.Model, golden.BothWays, options with { From = NodeKind.Embedding });
            Assert.True(!readsEarlier || changed > 1e-6);
        }
    }

    /// <summary>Also where no position is the same in both runs, so that nothing of the layers after the receivers is read.</summary>
    [Theory]
    [InlineData("gpt2-golden-a", "logits", true, "all")]
    [InlineData("gpt2-golden-a", "L1H1.v", false, "all")]
    [InlineData("llama-golden", "L1H1.k L2.mlp", true, "each")]
    [InlineData("gpt-neox-golden", "L1.mlp", false, "all")]
    [InlineData("olmo2-golden", "L1H4.q", true, "all")]
    [InlineData("opt350-golden", "L0.mlp L1H0.q", true, "all")]
    public void Paths_need_only_what_is_said_to_be_read_for_them(string model, string receivers, bool freezeMlps, string positions)
    {
        using var golden = new GoldenModel(model, ScalarType.Float64);
        PathOptions options = Options(receivers, freezeMlps, positions);
        var patcher = new PathPatcher(golden.Model, new LogitDifference(), MemoryBudget.Default);
        int layers = golden.Model.Config.Layers;
        foreach (int start in new[] { CachingRun.StartOf([golden.Pairs[0]]), 0 })
        {
            using var chunk = new CachedChunk(golden.Model, [golden.Pairs[0]], start: start);
            ChunkActivations needed = chunk.Only(NeededTensors.OfPaths(golden.Model.Config, options, 0, layers - 1, start));
            Assert.Equal(
                patcher.Patch(chunk.Band(0, layers - 1), options).Select(layer => layer.PatchedMetric),
                patcher.Patch(chunk.Band(0, layers - 1, needed), options).Select(layer => layer.PatchedMetric));
        }
    }

    [Fact]
    public void All_nodes_send_at_once_over_chunks_of_pairs()
    {
        using var golden = new GoldenModel("llama-golden", ScalarType.Float64);
        PathOptions options = Options("L1H1.k L2.mlp", freezeMlps: false, "all");
        Node[] nodes = [.. PathSenders.BesideHeads(golden.Model.Config), Node.OfHead(1, 2), Node.OfHead(0, 3)];
        PatchSetRuns runs = PathSenders.Run(golden.Model, golden.BothWays, PathSenders.At(nodes, options.Positions, PairShapes.Of(golden.BothWays)), options, new LogitDifference(), new MemoryBudget(1));
        foreach (var (pair, place) in golden.BothWays.Select((pair, place) => (pair, place)))
        {
            using var slow = new HookedForward(golden.Model, pair, options);
            Assert.All(nodes.Index(), node => Assert.Equal(slow.PatchPath(node.Item, position: null), runs.Patched[node.Index][place], 1e-9));
        }
    }

    [Theory]
    [InlineData("each", false)]
    [InlineData("each", true)]
    [InlineData("each-role", true)]
    public void Nodes_send_at_each_position_and_at_roles_that_some_pairs_name(string positions, bool roles)
    {
        using var golden = new GoldenModel("llama-golden", ScalarType.Float64);
        TokenPair[] pairs = [.. golden.BothWays.Select((pair, place) => roles ? pair with { Roles = new Dictionary<string, int> { [place % 3 == 0 ? "A" : "B"] = pair.FirstDifference, ["END"] = pair.Length - 1 } } : pair)];
        PathOptions options = Options("L1H1.k L2.mlp", freezeMlps: false, positions);
        Node[] nodes = [.. PathSenders.BesideHeads(golden.Model.Config), Node.OfHead(0, 3)];
        IReadOnlyList<PatchedNode> senders = PathSenders.At(nodes, options.Positions, PairShapes.Of(pairs));
        Assert.Equal(roles ? ["embed@A", "embed@END", "embed@B"] : Enumerable.Range(1, pairs.Max(pair => pair.Length)).Reverse().Select(fromEnd => $"embed@-{fromEnd}"), senders.TakeWhile(sender => sender.Node == Node.Embedding).Select(sender => sender.ToString()));
        PatchSetRuns runs = PathSenders.Run(golden.Model, pairs, senders, options, new LogitDifference(), new MemoryBudget(1));
        double most = 0;
        foreach (var (pair, place) in pairs.Select((pair, place) => (pair, place)))
        {
            using var slow = new HookedForward(golden.Model, pair, options);
            foreach (var (sender, at) in senders.Select((sender, at) => (sender, at)))
            {
                double asItWas = runs.Baselines[place].FromTo(options.Direction).From;
                double expected = sender.Positions.AreIn(pair) ? slow.PatchPath(sender.Node, sender.Positions.In(pair)[0]) : asItWas;
                Assert.Equal(expected, runs.Patched[at][place], 1e-9);
                most = Math.Max(most, Math.Abs(expected - asItWas));
            }
        }

        Assert.True(most > 1e-3);
        PatchedSet rare = PatchedSet.OfSenders(senders, options.Positions, runs, pairs, Aggregation.MeanOfRatios, options.Direction)[0];
        int[] have = [.. pairs.Index().Where(pair => senders[0].Positions.AreIn(pair.Item)).Select(pair => pair.Index)];
        Assert.Equal(have.Average(pair => runs.Patched[0][pair]), rare.MeanPatchedMetric, 1e-9);
        Assert.Equal(have.Average(pair => Effect.Of(runs.Patched[0][pair], runs.Baselines[pair].FromTo(options.Direction).From, runs.Baselines[pair].FromTo(options.Direction).To)), rare.PatchingEffect, 1e-9);
        Assert.Equal(have.Length == pairs.Length, rare.PatchedMetric is not null);
    }

    /// <summary>GPT-2's own weights in parallel blocks: attention and MLP of a layer read the same stream.</summary>
    [Theory]
    [InlineData("logits", false, "-1")]
    [InlineData("logits", true, "all")]
    [InlineData("L2H1.k", false, "all")]
    [InlineData("L1H1.v L2H0.q", false, "all")]
    [InlineData("L1H0.k L2H2.k L2H2.v", true, "3")]
    public void In_a_model_of_parallel_blocks_too(string receivers, bool freezeMlps, string positions)
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.Float64);
        using var model = new Transformer(golden.Model.Config with { ParallelResidual = true }, golden.Model.Weights);
        Assert.True(CompareWithHooks(model, golden.Pairs, Options(receivers, freezeMlps, positions)) > 1e-6);
    }

    [Theory]
    [MemberData(nameof(PathsAndPositions))]
    public void The_base_runs_own_z_changes_nothing(string receivers, bool freezeMlps, string positions)
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.Float64);
        PathOptions options = Options(receivers, freezeMlps, positions);

        // The prompts differ, so every step of the patched runs is taken.
        SweepRuns runs = PathSweep.Run(golden.Model, golden.Pairs, options, sourceIsBase: true);
        AssertAll(runs, (pair, _, _, value) => Assert.Equal(Unpatched(runs, pair, options), value, 1e-12));
    }

    [Theory]
    [MemberData(nameof(PathsAndPositions))]
    public void Swapping_the_direction_equals_swapping_the_prompts(string receivers, bool freezeMlps, string positions)
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.Float64);
        TokenPair[] swapped = [.. golden.Pairs.Select(pair => pair with { Clean = pair.Corrupted, Corrupted = pair.Clean })];
        AssertSame(
            PathSweep.Run(golden.Model, golden.Pairs, Options(receivers, freezeMlps, positions, Direction.Noise)),
            PathSweep.Run(golden.Model, swapped, Options(receivers, freezeMlps, positions)));
    }

    [Theory]
    [MemberData(nameof(PathsAndPositions))]
    public void Senders_in_the_last_receivers_layer_or_after_it_give_exactly_the_base_metric_and_cost_nothing(string receivers, bool freezeMlps, string positions)
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.Float64);
        PathOptions options = Options(receivers, freezeMlps, positions);
        SweepRuns runs = PathSweep.Run(golden.Model, golden.Pairs, options);
        AssertAll(runs, (pair, layer, _, value) =>
        {
            if (!options.Reaches(layer))
            {
                Assert.Equal(Unpatched(runs, pair, options), value);
            }
        });
        Assert.All(runs.Layers, patches => Assert.True(options.Reaches(patches.Layer) || patches.PatchedRuns == 0));
        Assert.Equal(receivers != "logits", runs.Layers.Any(patches => !options.Reaches(patches.Layer)));
    }

    /// <summary>There is nothing but the final MLP and the norm behind them, so the path to the logits is all that they do.</summary>
    [Theory]
    [InlineData("gpt2-golden-a", "all", Direction.Denoise)]
    [InlineData("gpt2-golden-b", "all", Direction.Noise)]
    [InlineData("gpt2-golden-b", "each", Direction.Denoise)]
    public void The_last_layers_heads_reach_the_logits_by_the_path_alone_so_that_it_equals_patching_z(string model, string positions, Direction direction)
    {
        using var golden = new GoldenModel(model, ScalarType.Float64);
        PathOptions options = Options("logits", freezeMlps: false, positions, direction);
        SweepRuns paths = PathSweep.Run(golden.Model, golden.Pairs, options);
        SweepRuns heads = InMemorySweep.Run(
            golden.Model, golden.Pairs, new PatchOptions { Positions = options.Positions, Direction = direction }, new LogitDifference(), MemoryBudget.Default);
        int last = golden.Model.Config.Layers - 1;
        AssertSame(OfLayer(paths, last), OfLayer(heads, last));
        Assert.ThrowsAny<Xunit.Sdk.XunitException>(() => AssertSame(OfLayer(paths, 0), OfLayer(heads, 0)));
    }

    [Theory]
    [MemberData(nameof(PathsAndPositions))]
    public void A_small_memory_budget_gives_the_same_numbers_in_smaller_batches(string receivers, bool freezeMlps, string positions)
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.Float64);
        PathOptions options = Options(receivers, freezeMlps, positions);
        long batches = 0;
        SweepRuns small = PathSweep.Run(golden.Model, golden.Pairs, options, new MemoryBudget(1), progress: runs =>
        {
            Assert.Equal(1, runs);
            batches++;
        });
        AssertSame(small, PathSweep.Run(golden.Model, golden.Pairs, options));
        Assert.Equal(small.Layers.Sum(patches => patches.PatchedRuns), batches);
    }

    [Fact]
    public void A_batch_that_runs_out_of_memory_is_done_again_in_halves_and_where_not_one_sender_fits_it_is_said_what_helps()
    {
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        PathOptions options = Options("L2H5.q L3H1.v", freezeMlps: false, "all");
        int heads = golden.Model.Config.Heads;
        var metric = new SmallDevice(heads / 2);
        long runs = 0;
        SweepRuns halved = PathSweep.Run(golden.Model, golden.Pairs, options, metric: metric, progress: batch => runs += batch);
        AssertSame(halved, PathSweep.Run(golden.Model, golden.Pairs, options));
        int failures = metric.Failures;
        Assert.InRange(failures, 1, 10);
        PathSweep.Run(golden.Model, golden.Pairs, options, metric: metric);
        Assert.Equal(failures, metric.Failures);
        Assert.Equal(golden.Pairs.Count * (golden.Model.Config.Layers - 1) * heads, runs);

        var error = Assert.Throws<InsufficientMemoryException>(() => PathSweep.Run(golden.Model, golden.Pairs, options, metric: new SmallDevice(0)));
        Assert.StartsWith("Layer 0: not even one head over", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void It_stops_between_two_batches_when_it_is_cancelled()
    {
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float32);
        using var cancellation = new CancellationTokenSource();
        long batches = 0;
        Action<long> progress = _ =>
        {
            if (++batches == 3)
            {
                cancellation.Cancel();
            }
        };
        Assert.Throws<OperationCanceledException>(() => PathSweep.Run(
            golden.Model, golden.Pairs, Options("L2H5.q", false, "all"), new MemoryBudget(1), progress: progress, cancellation: cancellation.Token));
        Assert.Equal(3, batches);
    }

    [Fact]
    public void A_path_never_yields_NaN_and_the_same_prompt_twice_gives_the_base_metric()
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.Float32);
        TokenPair same = golden.Pairs[0] with { Index = 9, Corrupted = golden.Pairs[0].Clean };
        foreach (string receivers in LogitsAndHeads)
        {
            foreach (string positions in new[] { "all", "2", "each" })
            {
                PathOptions options = Options(receivers, freezeMlps: false, positions);
                SweepRuns runs = PathSweep.Run(golden.Model, [.. golden.Pairs, same], options);
                AssertAll(runs, (pair, _, _, value) =>
                {
                    Assert.True(double.IsFinite(value));
                    Assert.True(pair != 9 || value == runs.Baselines[9].Corrupted);
                });
            }
        }
    }

    [Fact]
    public void Receivers_that_the_model_does_not_have_are_refused_before_anything_is_run()
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.Float32);
        var error = Assert.Throws<InvalidInputException>(() => PathSweep.Run(golden.Model, golden.Pairs, Options("L1H0.q L3H4.q", false, "all")));
        Assert.Equal(["receivers[1]", "receivers[1]"], error.Faults.Select(fault => fault.Where));
    }

    private static PathOptions Options(string receivers, bool freezeMlps, string positions, Direction direction = Direction.Denoise)
    {
        Assert.True(Positions.TryParse(positions, out Positions where));
        return new PathOptions
        {
            Receivers = [.. receivers.Split(' ').Select(text => Receiver.TryParse(text, out Receiver receiver) ? receiver : throw new FormatException(text))],
            FreezeMlps = freezeMlps,
            Positions = where,
            Direction = direction,
        };
    }

    /// <returns>The largest change that a path makes to the metric.</returns>
    private static double CompareWithHooks(Transformer model, IReadOnlyList<TokenPair> pairs, PathOptions options)
    {
        SweepRuns runs = PathSweep.Run(model, pairs, options);
        Assert.Contains(runs.Layers, patches => patches.PairIndices.Count > 1);

        // Of each position by itself every fifth, which are other heads at the next position.
        double largest = 0, changed = 0;
        int compared = 0, every = options.Positions.IsEach ? 5 : 1;
        foreach (var (patches, i) in runs.Layers.SelectMany(patches => patches.PairIndices.Select((_, i) => (patches, i))))
        {
            TokenPair pair = pairs[patches.PairIndices[i]];
            using var slow = new HookedForward(model, pair, options);
            Assert.Equal(options.Positions.In(pair).Count, patches.PatchedMetric[i].Length);
            for (int p = 0; p < patches.PatchedMetric[i].Length; p++)
            {
                Assert.Equal(options.From == NodeKind.Head ? model.Config.Heads : 1, patches.PatchedMetric[i][p].Length);
                for (int head = 0; head < patches.PatchedMetric[i][p].Length; head++)
                {
                    if (options.From == NodeKind.Embedding && patches.Layer > 0)
                    {
                        Assert.Equal(0, patches.PatchedRuns);
                        continue;
                    }

                    if (compared++ % every != 0)
                    {
                        continue;
                    }

                    double expected = slow.PatchPath(new Node(options.From, patches.Layer, head), options.Positions.In(pair)[p]);
                    largest = Math.Max(largest, Math.Abs(expected - patches.PatchedMetric[i][p][head]));
                    changed = Math.Max(changed, Math.Abs(expected - Unpatched(runs, patches.PairIndices[i], options)));
                }
            }
        }

        TestContext.Current.TestOutputHelper!.WriteLine(FormattableString.Invariant($"max diff {largest:E2}, largest change by a path {changed:E2}"));
        Assert.InRange(largest, 0, 1e-9);
        return changed;
    }

    private static double Unpatched(SweepRuns runs, int pair, PathOptions options) =>
        options.Direction == Direction.Denoise ? runs.Baselines[pair].Corrupted : runs.Baselines[pair].Clean;

    private static SweepRuns OfLayer(SweepRuns runs, int layer) => runs with { Layers = [.. runs.Layers.Where(patches => patches.Layer == layer)] };

    /// <summary>Every number with its pair, layer and place.</summary>
    private static void AssertAll(SweepRuns runs, Action<int, int, (int Position, int Head), double> assert)
    {
        Assert.NotEmpty(runs.Layers);
        foreach (LayerPatches patches in runs.Layers)
        {
            for (int i = 0; i < patches.PairIndices.Count; i++)
            {
                for (int p = 0; p < patches.PatchedMetric[i].Length; p++)
                {
                    for (int head = 0; head < patches.PatchedMetric[i][p].Length; head++)
                    {
                        assert(patches.PairIndices[i], patches.Layer, (p, head), patches.PatchedMetric[i][p][head]);
                    }
                }
            }
        }
    }

    private static void AssertSame(SweepRuns left, SweepRuns right)
    {
        var expected = new Dictionary<(int, int, (int, int)), double>();
        AssertAll(right, (pair, layer, at, value) => expected.Add((pair, layer, at), value));
        AssertAll(left, (pair, layer, at, value) =>
        {
            Assert.True(expected.Remove((pair, layer, at), out double other));
            Assert.Equal(other, value, 1e-10);
        });
        Assert.Empty(expected);
    }

    /// <summary>The logit difference, on a device that has memory for so many senders at once.</summary>
    private sealed class SmallDevice(int fits) : IMetric
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
                empty(1L << 50).Dispose();
            }

            _baselinesDone = true; // the first call is for the two unpatched runs
            return _metric.Measure(model, resid, measured);
        }
    }
}
