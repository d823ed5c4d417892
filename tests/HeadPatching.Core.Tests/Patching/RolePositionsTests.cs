using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Core.Tests.Golden;
using HeadPatching.Core.Tests.Patching.Paths;
using HeadPatching.Testing;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Patching;

/// <summary>Patches at positions that pairs name: the same place in every pair, at another position in each.</summary>
public sealed class RolePositionsTests : IDisposable
{
    private readonly GoldenModel _golden = new("gpt2-golden-b", ScalarType.Float64);
    private readonly TokenPair[] _pairs; // of two lengths, in chunks whose pairs have their roles at different positions

    public RolePositionsTests()
    {
        _pairs =
        [
            Named(Pair(0, 12), ("A", 3), ("B", 11), ("C", 5)),
            Named(Pair(1, 12), ("A", 6), ("B", 11)),
            Named(Pair(2, 9), ("A", 4), ("B", 8)),
            Named(Pair(3, 9), ("B", 8), ("A", 8), ("C", 0)),
            Named(Pair(4, 12), ("A", 4), ("B", 10), ("C", 7)),
        ];
    }

    public static TheoryData<Patch, Direction> PatchesAndDirections { get; } =
    [
        .. from patch in Enum.GetValues<Patch>() from direction in Enum.GetValues<Direction>() select new TheoryDataRow<Patch, Direction>(patch, direction),
    ];

    [Theory]
    [MemberData(nameof(PatchesAndDirections))]
    public void Each_pair_is_patched_at_its_own_position_of_the_role(Patch patch, Direction direction)
    {
        SweepResult role = Sweep(_pairs, Positions.AtRole("A")), each = Sweep(_pairs, Positions.EachRole);
        foreach (TokenPair pair in _pairs)
        {
            foreach (var (name, position) in pair.RolesInOrder())
            {
                double[][] alone = Sweep([pair], Positions.One(position)).Pairs[0].PatchedMetric!;
                AssertSame(alone, each.Pairs[pair.Index].PatchedMetricByRole![name]);
                if (name == "A")
                {
                    AssertSame(alone, role.Pairs[pair.Index].PatchedMetric!);
                }
            }
        }

        SweepResult Sweep(TokenPair[] pairs, Positions positions) =>
            ParityTests.Sweep(_golden.Model, pairs, new PatchOptions { Patch = patch, Direction = direction, Positions = positions });
    }

    [Fact]
    public void A_plain_run_with_z_replaced_at_the_role_gives_the_same()
    {
        SweepResult result = ParityTests.Sweep(_golden.Model, _pairs, new PatchOptions { Positions = Positions.AtRole("A") });
        using var scope = NewDisposeScope();
        foreach (TokenPair pair in _pairs)
        {
            Tensor[] clean = PlainRun.Z(_golden.Model, pair.Clean);
            for (int layer = 0; layer < clean.Length; layer++)
            {
                for (int head = 0; head < _golden.Model.Config.Heads; head++)
                {
                    double expected = PlainRun.LogitDifference(_golden.Model, pair, pair.Corrupted, (at, own) =>
                    {
                        Tensor changed = own.clone();
                        if (at == layer)
                        {
                            changed[head, pair.PositionOf("A")!.Value].copy_(clean[layer][head, pair.PositionOf("A")!.Value]);
                        }

                        return changed;
                    });
                    Assert.Equal(expected, result.Pairs[pair.Index].PatchedMetric![layer][head], 1e-9);
                }
            }
        }
    }

    [Theory]
    [InlineData("logits")]
    [InlineData("L2H1.v")]
    [InlineData("L2H1.q")]
    public void Paths_start_at_each_pairs_own_position(string receiver)
    {
        Assert.True(Receiver.TryParse(receiver, out Receiver to));
        SweepRuns together = PathSweep.Run(_golden.Model, _pairs, new PathOptions { Receivers = [to], Positions = Positions.EachRole });
        foreach (TokenPair pair in _pairs)
        {
            foreach (var (row, (_, position)) in pair.RolesInOrder().Index())
            {
                SweepRuns alone = PathSweep.Run(_golden.Model, [pair], new PathOptions { Receivers = [to], Positions = Positions.One(position) });
                AssertSameRow(alone, 0, together, row, pair.Index);
            }
        }
    }

    [Fact]
    public void Estimates_are_of_each_pairs_own_position()
    {
        SweepRuns together = Estimate(_pairs, Positions.EachRole);
        foreach (TokenPair pair in _pairs)
        {
            foreach (var (row, (_, position)) in pair.RolesInOrder().Index())
            {
                AssertSameRow(Estimate([pair], Positions.One(position)), 0, together, row, pair.Index);
            }
        }

        SweepRuns Estimate(TokenPair[] pairs, Positions positions) =>
            InMemorySweep.Estimate(_golden.Model, pairs, new PatchOptions { Positions = positions }, new LogitDifference(), MemoryBudget.Default);
    }

    [Fact]
    public void Results_by_role_are_means_over_the_pairs_that_name_it_and_say_over_how_many()
    {
        var options = new PatchOptions { Patch = Patch.V, Positions = Positions.Each };
        SweepResult each = ParityTests.Sweep(_golden.Model, _pairs, options), roles = ParityTests.Sweep(_golden.Model, _pairs, options with { Positions = Positions.EachRole });
        Assert.Equal([new RoleSummary("A", 5), new RoleSummary("C", 3), new RoleSummary("B", 5)], roles.Roles!);
        foreach (SweepResult result in new[] { each, roles })
        {
            Assert.Equal(roles.Roles!, result.Roles!);
            foreach (HeadResult head in result.Heads)
            {
                double[] byRole = [.. result.Roles!.Select(role => _pairs
                    .Where(pair => pair.PositionOf(role.Name) is not null)
                    .Average(pair => each.Pairs[pair.Index].PatchingEffectByPosition![head.Layer][pair.PositionOf(role.Name)!.Value][head.Head!.Value]))];
                AssertSame([byRole], [[.. result.HeatmapByRole![head.Layer].Select(role => role[head.Head!.Value])]]);

                // C is of three pairs and not asked, however large it is there.
                int strongest = Math.Abs(byRole[0]) > Math.Abs(byRole[2]) ? 0 : 2;
                Assert.Equal((result.Roles![strongest].Name, 5, (int?)null), (head.Role, head.Pairs, head.Position));
                Assert.Equal(byRole[strongest], head.PatchingEffect, 1e-10);
            }

            string warning = Assert.Single(result.Warnings, warning => warning.Contains("Fewer than 5", StringComparison.Ordinal));
            Assert.Contains("C (3)", warning, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Positions_of_mixed_pairs_without_roles_are_warned_of_and_few_pairs_rule_no_head()
    {
        TokenPair[] pairs = [.. Enumerable.Range(0, 6).Select(i => Pair(i, i == 0 ? 12 : 9))];
        SweepResult result = ParityTests.Sweep(_golden.Model, pairs, new PatchOptions { Patch = Patch.ResidPre, Positions = Positions.Each });
        Assert.Null(result.Roles);
        Assert.All(result.Heads, head => Assert.True(head.Pairs == 6 && head.Position >= -9, $"{head.Position} {head.Pairs}"));
        Assert.Contains(result.Warnings, warning => warning.Contains("9 to 12 tokens", StringComparison.Ordinal));
        Assert.Contains(result.Warnings, warning => warning.Contains("-10 (1)", StringComparison.Ordinal));

        // Pairs of one length whose prompts differ at one place give nothing to warn of.
        Assert.Null(PairShapes.Of([Pair(0, 9), Pair(3, 9)]).Misalignment());
        Assert.NotNull(PairShapes.Of([Pair(0, 9), Pair(1, 9)]).Misalignment());
        Assert.Null(PairShapes.Of([Pair(0, 9) with { Template = "one" }, Pair(1, 9) with { Template = "one" }]).Misalignment());
        Assert.NotNull(PairShapes.Of([Pair(0, 9) with { Template = "one" }, Pair(3, 9) with { Template = "other" }]).Misalignment());
        Assert.NotNull(PairShapes.Of([Named(Pair(0, 9), ("A", 3)), Named(Pair(3, 9), ("A", 4))]).Misalignment());
        Assert.Null(PairShapes.Of([Named(Pair(0, 9), ("A", 3)), Named(Pair(1, 9), ("A", 3))]).Misalignment());
    }

    public void Dispose() => _golden.Dispose();

    private static TokenPair Named(TokenPair pair, params (string Name, int Position)[] roles) =>
        pair with { Roles = roles.ToDictionary(role => role.Name, role => role.Position) };

    private static TokenPair Pair(int i, int length)
    {
        int[] clean = [.. Enumerable.Range(0, length).Select(p => ((i * 37) + (p * 11) + (i * p)) % 250)];
        int[] corrupted = [.. clean];
        corrupted[2 + (i % 3)] += 1;
        return new TokenPair(i, clean, corrupted, 1, 2);
    }

    private static void AssertSame(double[][] left, double[][] right) =>
        Assert.All(left.Zip(right).SelectMany(rows => rows.First.Zip(rows.Second)), values => Assert.Equal(values.First, values.Second, 1e-10));

    private static void AssertSameRow(SweepRuns left, int leftRow, SweepRuns right, int rightRow, int pair)
    {
        foreach (LayerPatches expected in left.Layers)
        {
            LayerPatches actual = right.Layers.Single(layer => layer.Layer == expected.Layer && layer.PairIndices.Contains(pair));
            int at = actual.PairIndices.Index().First(index => index.Item == pair).Index;
            AssertSame([expected.PatchedMetric[0][leftRow]], [actual.PatchedMetric[at][rightRow]]);
        }
    }
}
