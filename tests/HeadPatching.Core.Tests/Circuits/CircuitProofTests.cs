using System.Text.Json;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Tests.Golden;
using HeadPatching.Testing;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Circuits;

/// <summary>What a proof sheet says, held against whole passes with the same nodes replaced, and against a circuit that is known.</summary>
public class CircuitProofTests
{
    [Theory]
    [InlineData("gpt2-golden-b")]
    [InlineData("gemma2-golden")]
    public void Every_number_is_that_of_whole_passes(string name)
    {
        using var golden = new GoldenModel(name, ScalarType.Float64);
        RankedNode[] ranking = [.. Node.All(golden.Model.Config).Where(node => node.Kind != NodeKind.Embedding).Select((node, index) => new RankedNode(node, Math.Cos(index)))];
        Node[] order = [.. ranking.OrderByDescending(one => Math.Abs(one.Effect)).Select(one => one.Node)];
        TokenPair[] pairs = [.. golden.Pairs.Take(2)];
        int[] sizes = [1, order.Length / 2, order.Length];
        ProofSheet sheet = CircuitProof.Prove(
            golden.Model, ranking, pairs, pairs, new ProofOptions { Sizes = sizes, Random = 0 }, new LogitDifference(), MemoryBudget.Default);

        double none = OnlyClean([]), all = OnlyClean(order);
        Assert.Equal(none, sheet.NoneMetric, 1e-9);
        Assert.Equal(all, sheet.CleanMetric, 1e-9);
        double[] f = [.. sizes.Select(size => (OnlyClean(order[..size]) - none) / (all - none))];
        Assert.Equal(sizes, sheet.Sizes.Select(size => size.Nodes));
        Assert.All(sheet.Sizes.Zip(f), one => Assert.Equal(one.Second, one.First.Faithfulness.Effect, 1e-9));
        Assert.All(sheet.Sizes, size => Assert.Equal((Without(order[..size.Nodes]) - none) / (all - none), size.Without.Effect, 1e-9));
        double[] shares = [0, 1.0 / order.Length, (double)sizes[1] / order.Length, 1];
        Assert.Equal(Area([0, f[0], f[1], 1]), sheet.Cpr, 1e-9);
        Assert.Equal(Area([1, Math.Abs(1 - f[0]), Math.Abs(1 - f[1]), 0]), sheet.Cmd, 1e-9);

        Node[] circuit = [.. sheet.Circuit.Nodes.Select(node => node.Node)];
        double found = OnlyClean(circuit);
        Assert.Equal((found - none) / (all - none), sheet.Circuit.Faithfulness.Effect, 1e-9);
        Assert.All(sheet.Circuit.Nodes, node => Assert.Equal((found - OnlyClean([.. circuit.Where(other => other != node.Node)])) / (all - none), node.Loss.Effect, 1e-9));
        Assert.False(sheet.IsHeldOut);
        Assert.Contains("Not shown: that it is so on other pairs.", string.Join(' ', sheet.Verdict), StringComparison.Ordinal);

        double OnlyClean(Node[] some) => Without([.. order.Except(some)]);

        double Without(Node[] some) => pairs.Average(pair => SlowSets.LogitDifference(golden.Model, pair, PatchSet.Of(some), Direction.Noise));

        double Area(double[] heights) => Enumerable.Range(1, 3).Sum(i => (shares[i] - shares[i - 1]) * (heights[i] + heights[i - 1]) / 2);
    }

    [Fact]
    [NeedsShared]
    public void The_circuit_of_a_model_that_classifies_palindromes_is_found_without_being_told()
    {
        string folder = SharedFolder.Require("models/arena-palindrome");
        using Transformer model = ModelFolder.Load(folder, ScalarType.Float64, CPU);
        TokenPair[] pairs =
        [
            .. File.ReadLines(Path.Combine(folder, "pairs.jsonl")).Select((line, index) =>
            {
                using JsonDocument pair = JsonDocument.Parse(line);
                return new TokenPair(index, Ids(pair, "clean"), Ids(pair, "corrupted"), pair.RootElement.GetProperty("correct").GetInt32(), pair.RootElement.GetProperty("incorrect").GetInt32());
            }),
        ];
        TokenPair[] lookedAt = [.. pairs.Where(pair => pair.Index % 3 != 0)], heldOut = [.. pairs.Where(pair => pair.Index % 3 == 0)];
        SweepRuns runs = InMemorySweep.Run(model, lookedAt, new PatchOptions(), new LogitDifference(), MemoryBudget.Default);
        RankedNode[] ranking =
        [
            .. runs.Layers.GroupBy(layer => layer.Layer).SelectMany(layer => Enumerable.Range(0, model.Config.Heads).Select(head =>
            {
                double effect = layer.SelectMany(chunk => chunk.PairIndices.Zip(chunk.PatchedMetric)).Average(one => one.Second[0][head] - runs.Baselines[one.First].Corrupted);
                return new RankedNode(Node.OfHead(layer.Key, head), effect);
            })),
        ];
        ProofSheet sheet = CircuitProof.Prove(model, ranking, lookedAt, heldOut, new ProofOptions(), new LogitDifference(), MemoryBudget.Default);
        Assert.Equal(["L0H0", "L1H0"], sheet.Circuit.Nodes.Select(node => node.Node.ToString()).Order(StringComparer.Ordinal));
        Assert.Equal(1, sheet.Circuit.Faithfulness.Effect, 0.02);
        Assert.True(sheet.IsHeldOut);
        Assert.Equal(heldOut.Length, sheet.HeldOut);

        static int[] Ids(JsonDocument pair, string prompt) => [.. pair.RootElement.GetProperty(prompt).EnumerateArray().Select(id => id.GetInt32())];
    }

    [Fact]
    public void A_circuit_that_is_given_is_proved_as_it_is_and_the_sheet_says_so()
    {
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        RankedNode[] ranking = [.. Node.All(golden.Model.Config).Where(node => node.Kind == NodeKind.Head).Select((node, index) => new RankedNode(node, Math.Cos(index)))];
        Node[] given = [ranking[3].Node, ranking[0].Node];
        TokenPair[] pairs = [.. golden.Pairs.Take(2)];
        ProofSheet sheet = CircuitProof.Prove(
            golden.Model, ranking, pairs, pairs, new ProofOptions { Circuit = given, Sizes = [1], Random = 0 }, new LogitDifference(), MemoryBudget.Default);

        Assert.Equal(given.ToHashSet(), sheet.Circuit.Nodes.Select(node => node.Node).ToHashSet());
        Node[] others = [.. ranking.Select(one => one.Node).Except(given)];
        double m = Without(others), none = Without([.. others, .. given]), all = Without([]);
        Assert.Equal((m - none) / (all - none), sheet.Circuit.Faithfulness.Effect, 1e-9);
        Assert.Contains("The circuit was given, not looked for", string.Join(' ', sheet.Verdict), StringComparison.Ordinal);

        double Without(Node[] some) => pairs.Average(pair => SlowSets.LogitDifference(golden.Model, pair, PatchSet.Of(some), Direction.Noise));
    }
}
