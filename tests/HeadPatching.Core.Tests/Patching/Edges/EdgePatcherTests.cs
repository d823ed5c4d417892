using System.Text.Json;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Edges;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Tests.Golden;
using HeadPatching.Core.Tests.Models;
using HeadPatching.Testing;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Patching.Edges;

/// <summary>Patched edges, held against whole passes with the edge changed.</summary>
public class EdgePatcherTests
{
    public static TheoryData<string, Direction> ModelsAndDirections { get; } =
    [
        .. from model in new[]
           {
               "gpt2-golden-a", "gpt2-golden-b", "gpt-neox-golden", "llama-golden", "gemma2-golden", "gemma3-golden", "olmo2-golden", "phi3-longrope-golden", "gptj-golden",
               "opt350-golden", "gpt_oss-golden",
           }
           from direction in Enum.GetValues<Direction>()
           select new TheoryDataRow<string, Direction>(model, direction),
    ];

    [Theory]
    [MemberData(nameof(ModelsAndDirections))]
    public void Any_edge_gives_what_a_whole_pass_with_it_patched_gives(string model, Direction direction)
    {
        using var golden = new GoldenModel(model, ScalarType.Float64);
        Edge[] all = [.. Edge.All(golden.Model.Config)], some = [.. EverySome(all, 40), .. all.Where(edge => edge.Sender.Kind != NodeKind.Head && edge.Receiver.Head <= 0)];
        var random = new Random(3);
        random.Shuffle(some);
        some = [.. some.Distinct().Take(60)];
        TokenPair[] pairs = [.. golden.BothWays.Where((_, index) => index % 3 == 0).Take(2)];
        var options = new EdgeOptions { Direction = direction };
        EdgeRuns together = EdgeSweep.Run(golden.Model, pairs, options, new LogitDifference(), MemoryBudget.Default, some);
        EdgeRuns oneByOne = EdgeSweep.Run(golden.Model, pairs, options, new LogitDifference(), new MemoryBudget(1), some);
        Assert.Equal((long)some.Length * pairs.Length, together.PatchedRuns);
        for (int pair = 0; pair < pairs.Length; pair++)
        {
            for (int edge = 0; edge < some.Length; edge++)
            {
                double slow = SlowEdges.LogitDifference(golden.Model, pairs[pair], some[edge], direction);
                Assert.True(Math.Abs(slow - together.Patched[edge][pair]) < 1e-9, $"{some[edge]}: {together.Patched[edge][pair]}, not {slow}");
                Assert.True(Math.Abs(slow - oneByOne.Patched[edge][pair]) < 1e-9, $"{some[edge]} alone: {oneByOne.Patched[edge][pair]}, not {slow}");
            }
        }
    }

    /// <summary>A GPT-2, a GPT-NeoX (parallel blocks) and a Llama (grouped queries), in loops over doubles.</summary>
    [Theory]
    [InlineData("gpt2-golden-b")]
    [InlineData("gpt-neox-golden")]
    [InlineData("llama-golden")]
    public void Edges_are_those_of_an_independent_implementation(string model)
    {
        using Transformer ours = ModelFolder.Load(GoldenModel.Folder(model), ScalarType.Float64, CPU);
        using var golden = new GoldenModel(model, ScalarType.Float64);
        Independent(ours, new PlainTransformer(GoldenModel.Folder(model)), golden.Pairs[0], every: 37, ungrouped: false);
    }

    [Theory]
    [NeedsShared]
    [InlineData(true)]
    [InlineData(false)]
    public void Edges_of_stories260K_are_those_of_an_independent_implementation(bool ungrouped)
    {
        string folder = SharedFolder.Require("models/stories260K");
        using Transformer ours = ModelFolder.Load(folder, ScalarType.Float64, CPU);
        JsonElement pair = JsonDocument.Parse(File.ReadLines(Path.Combine(folder, "pairs.jsonl")).First()).RootElement;
        var prompts = new TokenPair(0, Ids("clean"), Ids("corrupted"), pair.GetProperty("correct").GetInt32(), pair.GetProperty("incorrect").GetInt32());
        Independent(ours, new PlainTransformer(folder), prompts, every: 41, ungrouped);

        int[] Ids(string name) => [.. pair.GetProperty(name).EnumerateArray().Select(id => id.GetInt32())];
    }

    [Fact]
    public void Edges_that_a_model_does_not_have_are_all_named()
    {
        using var golden = new GoldenModel("gpt-neox-golden", ScalarType.Float64);
        ModelConfig config = golden.Model.Config;
        Edge[] none =
        [
            new(Node.OfHead(config.Layers, 0), Receiver.Logits),
            new(Node.OfHead(1, 0), Receiver.Of(1, 0, ReceiverInput.Q)),
            new(Node.OfHead(1, 0), Receiver.OfMlp(1)),
            new(Node.Embedding, Receiver.Of(0, config.Heads, ReceiverInput.V)),
            new(Node.Embedding, Receiver.OfMlp(0)),
        ];
        var faults = Assert.Throws<InvalidInputException>(() => EdgeSweep.Run(golden.Model, golden.Pairs, new EdgeOptions(), new LogitDifference(), MemoryBudget.Default, none)).Faults;
        Assert.Equal(["edges[0]", "edges[1]", "edges[2]", "edges[3]"], faults.Select(fault => fault.Where));
    }

    [Fact]
    public void Prompts_that_do_not_differ_are_left_as_they_were()
    {
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        TokenPair same = golden.Pairs[0] with { Corrupted = golden.Pairs[0].Clean };
        EdgeRuns runs = EdgeSweep.Run(golden.Model, [same, golden.Pairs[0] with { Index = 1 }], new EdgeOptions(), new LogitDifference(), MemoryBudget.Default);
        Assert.All(runs.Patched, edge => Assert.Equal(runs.Baselines[0].Corrupted, edge[0]));
        Assert.Contains(runs.Patched, edge => edge[1] != runs.Baselines[1].Corrupted);
    }

    [Fact]
    public void A_sweep_of_edges_tells_how_far_it_is_and_stops_when_told_to()
    {
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        using var stop = new CancellationTokenSource();
        long done = 0;
        Assert.Throws<OperationCanceledException>(() => EdgeSweep.Run(
            golden.Model, golden.Pairs, new EdgeOptions(), new LogitDifference(), new MemoryBudget(1), progress: Count, cancellation: stop.Token));
        Assert.InRange(done, 5, 50);

        void Count(long runs)
        {
            done += runs;
            if (done >= 5)
            {
                stop.Cancel();
            }
        }
    }

    private static void Independent(Transformer ours, PlainTransformer plain, TokenPair pair, int every, bool ungrouped)
    {
        ModelConfig config = ours.Config;
        Edge[] all = [.. Edge.All(config, ungrouped)];
        foreach (Direction direction in Enum.GetValues<Direction>())
        {
            EdgeRuns runs = EdgeSweep.Run(ours, [pair], new EdgeOptions { Direction = direction, Ungrouped = ungrouped }, new LogitDifference(), MemoryBudget.Default);
            Assert.Equal(all, runs.Edges);
            Func<Edge, double> independent = SlowEdges.Plain(plain, pair, direction, ungrouped ? 1 : config.Heads / config.KeyValueHeads);
            for (int edge = (int)direction; edge < all.Length; edge += every)
            {
                double slow = independent(all[edge]);
                Assert.True(Math.Abs(slow - runs.Patched[edge][0]) < 1e-9, $"{all[edge]}, {direction}: {runs.Patched[edge][0]}, not {slow}");
            }
        }
    }

    private static IEnumerable<Edge> EverySome(Edge[] all, int count) => all.Where((_, index) => index % Math.Max(1, all.Length / count) == 0);
}
