using HeadPatching.Core.Circuits;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Tests.Golden;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Circuits;

/// <summary>Runs with many nodes patched at once, held against whole passes with the same nodes replaced.</summary>
public class PatchSetTests
{
    public static TheoryData<string, Direction> ModelsAndDirections { get; } =
    [
        .. from model in new[]
           {
               "gpt2-golden-b", "gpt-neox-golden", "llama-golden", "gemma2-golden", "gemma3-golden", "olmo2-golden", "phi3-longrope-golden", "gptj-golden", "opt350-golden", "gpt_oss-golden",
           }
           from direction in Enum.GetValues<Direction>()
           select new TheoryDataRow<string, Direction>(model, direction),
    ];

    [Theory]
    [MemberData(nameof(ModelsAndDirections))]
    public void Any_nodes_at_any_positions_give_what_a_whole_pass_with_them_replaced_gives(string model, Direction direction)
    {
        using var golden = new GoldenModel(model, ScalarType.Float64);
        TokenPair[] pairs = [.. golden.BothWays.Where((_, index) => index % 3 == 0).Take(4).Select(pair => pair with { Roles = new Dictionary<string, int> { ["turn"] = pair.FirstDifference, ["near-end"] = pair.Length - 2 } })];
        PatchSet[] sets = [.. RandomSets(golden.Model.Config, pairs, new Random(7), count: 5)];
        PatchSetRuns together = PatchSets.Run(golden.Model, pairs, sets, direction, new LogitDifference(), MemoryBudget.Default);
        PatchSetRuns oneByOne = PatchSets.Run(golden.Model, pairs, sets, direction, new LogitDifference(), new MemoryBudget(1));
        for (int set = 0; set < sets.Length; set++)
        {
            for (int pair = 0; pair < pairs.Length; pair++)
            {
                double slow = SlowSets.LogitDifference(golden.Model, pairs[pair], sets[set], direction);
                Assert.Equal(slow, together.Patched[set][pair], 1e-9);
                Assert.Equal(slow, oneByOne.Patched[set][pair], 1e-9);
            }
        }
    }

    [Theory]
    [InlineData("gpt2-golden-a")]
    [InlineData("llama-golden")]
    public void No_node_leaves_the_run_as_it_was_all_nodes_make_it_the_other_and_one_is_the_sweeps(string model)
    {
        using var golden = new GoldenModel(model, ScalarType.Float64);
        ModelConfig config = golden.Model.Config;
        Node head = Node.OfHead(1, 2), mlp = Node.OfMlp(0);
        PatchSet[] sets = [PatchSet.Of([]), PatchSet.Of(Node.All(config)), PatchSet.Of([head]), PatchSet.Of([mlp])];
        PatchSetRuns runs = PatchSets.Run(golden.Model, golden.Pairs, sets, Direction.Denoise, new LogitDifference(), MemoryBudget.Default);
        double[][] heads = Sweep(Patch.Z, head.Layer), mlps = Sweep(Patch.MlpOut, mlp.Layer);
        for (int pair = 0; pair < golden.Pairs.Count; pair++)
        {
            Assert.Equal(runs.Baselines[pair].Corrupted, runs.Patched[0][pair], 1e-12);
            Assert.Equal(runs.Baselines[pair].Clean, runs.Patched[1][pair], 1e-9);
            Assert.Equal(heads[pair][head.Head], runs.Patched[2][pair], 1e-9);
            Assert.Equal(mlps[pair][0], runs.Patched[3][pair], 1e-9);
        }

        double[][] Sweep(Patch patch, int layer)
        {
            SweepRuns sweep = InMemorySweep.Run(golden.Model, golden.Pairs, new PatchOptions { Patch = patch }, new LogitDifference(), MemoryBudget.Default);
            return
            [
                .. golden.Pairs.Select(pair => sweep.Layers.Where(patches => patches.Layer == layer)
                    .SelectMany(patches => patches.PairIndices.Zip(patches.PatchedMetric)).Single(one => one.First == pair.Index).Second[0]),
            ];
        }
    }

    [Fact]
    public void Every_fault_of_a_set_is_named_with_what_there_is()
    {
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        var faults = new List<Fault>();
        PatchSet set = PatchSet.Parse("L0H1, M2@-1,embed@turn,L1H2@each,H3,M-1,L99H0,M0@40", "--patch-set", faults);
        Assert.Equal(["L1H2@each", "H3", "M-1"], faults.Select(fault => fault.Message.Split('"')[1]));
        Assert.Equal("L0H1,M2@-1,embed@turn,L99H0,M0@40", set.ToString());
        string[] messages = [.. set.Faults(golden.Model.Config, golden.Pairs, "--patch-set").Select(fault => fault.Message)];
        Assert.Equal(3, messages.Length);
        Assert.Contains("names no role turn", messages[0], StringComparison.Ordinal);
        Assert.Contains("no L99H0", messages[1], StringComparison.Ordinal);
        Assert.Contains("no position 40", messages[2], StringComparison.Ordinal);
        TokenPair[] withRoles = [.. golden.Pairs.Select(pair => pair with { Roles = new Dictionary<string, int> { ["TURN"] = 1, ["END"] = -1 } })];
        Assert.Contains("names no role turn. Did you mean 'TURN'? Roles that pairs name: ", set.Faults(golden.Model.Config, withRoles, "--patch-set").First().Message, StringComparison.Ordinal);
        Assert.Throws<InvalidInputException>(() =>
            PatchSets.Run(golden.Model, golden.Pairs, [set], Direction.Denoise, new LogitDifference(), MemoryBudget.Default));
    }

    private static IEnumerable<PatchSet> RandomSets(ModelConfig config, TokenPair[] pairs, Random random, int count)
    {
        Node[] nodes = [.. Node.All(config)];
        int shortest = pairs.Min(pair => pair.Length);
        for (int set = 0; set < count; set++)
        {
            double share = random.NextDouble();
            bool everywhere = set % 3 == 0;
            PatchedNode[] some =
            [
                .. nodes.Where(_ => random.NextDouble() < share).Select(node => new PatchedNode(node, everywhere ? Positions.All : random.Next(4) switch
                {
                    0 => Positions.All,
                    1 => Positions.One(random.Next(-shortest, shortest)),
                    2 => Positions.AtRole("turn"),
                    _ => Positions.AtRole("near-end"),
                })),
            ];
            yield return new PatchSet(some);
        }
    }
}
