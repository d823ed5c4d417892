using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Requests;

namespace HeadPatching.Sweeps.Tests.Engine;

/// <summary>
/// Ablations of z and patches by role as a sweep, over several chunks and prompts of two lengths, held against the same in memory (which Core's
/// tests hold against plain runs of the whole model).
/// </summary>
public sealed class AblationTests : IDisposable
{
    private readonly SmallSweeps _sweeps = new();

    public static TheoryData<Ablation, Direction?, bool> Kinds { get; } =
    [
        .. from ablation in Enum.GetValues<Ablation>()
           from direction in new Direction?[] { null, Direction.Denoise }
           from reference in new[] { false, true }
           where !reference || ablation is Ablation.Mean or Ablation.Resample
           select new TheoryDataRow<Ablation, Direction?, bool>(ablation, direction, reference),
    ];

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Every_head_is_ablated_as_it_is_in_memory(Ablation ablation, Direction? direction, bool reference)
    {
        var request = SmallSweeps.Request() with { Ablation = ablation, Direction = direction, Seed = 3 };
        PromptPair[] references = [.. request.Pairs!.Take(13).Select(pair => pair with { Corrupted = Prompt.Of([.. pair.Corrupted.Ids!.Reverse()]), Clean = Prompt.Of([.. pair.Clean.Ids!.Reverse()]) })];
        SweepResult result = await _sweeps.SweepAsync(reference ? request with { Reference = ReferencePrompts.Of(references) } : request);
        Assert.Equal(direction ?? Direction.Noise, result.Direction); // the clean run is what is ablated, unless told otherwise
        Assert.Equal(ablation, result.Ablation);
        Assert.Equal(reference ? new DatasetSummary("reference pairs", 13) : null, result.Reference);
        Assert.Equal(AblationDetails.Of(ablation, reference ? "reference pairs" : null), result.AblationDetails);

        using Transformer model = _sweeps.LoadModel();
        PatchOptions options = request.PatchOptions() with { References = reference ? PairTokenizer.Tokenize(references, model.Config, null, null, PairTokenizer.PathUnder("reference"), "") : null };
        AssertSame(InMemorySweep.Run(model, SmallSweeps.Pairs(result), options, new LogitDifference(), MemoryBudget.Default), result);
    }

    [Theory]
    [InlineData("MID", "z")]
    [InlineData("MID", "resid_pre")]
    [InlineData("each-role", "k")]
    public async Task Roles_are_patched_at_each_pairs_own_position(string positions, string patch)
    {
        SweepRequest request = SmallSweeps.Request();
        request = request with
        {
            Pairs = [.. request.Pairs!.Select((pair, i) => pair with { Roles = new Dictionary<string, int> { ["MID"] = 2 + (i % 3), ["END"] = -1 } })],
            Positions = Positions.TryParse(positions, out Positions where) ? where : default,
            Patch = Enum.GetValues<Patch>().Single(one => one.NameOf() == patch),
        };
        SweepResult result = await _sweeps.SweepAsync(request);
        using Transformer model = _sweeps.LoadModel();
        IReadOnlyList<TokenPair> pairs = PairTokenizer.Tokenize(request.Pairs, model.Config, null, null, PairTokenizer.PathUnder("pairs"), "");
        AssertSame(InMemorySweep.Run(model, pairs, request.PatchOptions(), new LogitDifference(), MemoryBudget.Default), result);
    }

    [Fact]
    public async Task The_seed_draws_who_gives_to_whom()
    {
        SweepRequest request = SmallSweeps.Request() with { Ablation = Ablation.Resample, Seed = 1 };
        SweepResult one = await _sweeps.SweepAsync(request), again = await _sweeps.SweepAsync(request), other = await _sweeps.SweepAsync(request with { Seed = 2 });
        Assert.Equal(one.Heatmap, again.Heatmap);
        Assert.NotEqual(one.Heatmap, other.Heatmap);
    }

    [Fact]
    public async Task What_cannot_be_ablated_is_refused_before_anything_runs()
    {
        SweepRequest request = SmallSweeps.Request();
        await Refused(request with { Ablation = Ablation.Zero, Patch = Patch.V }, "ablation", "patch is v");
        foreach (Ablation ablation in new[] { Ablation.Mean, Ablation.Resample })
        {
            await Refused(request with { Ablation = ablation, PairIndices = [12] }, "ablation", "pair 12");
        }

        await Refused(request with { Ablation = Ablation.ValueBias, Reference = ReferencePrompts.Of("induction") }, "reference", "mean and resample");
        await Refused(request with { Ablation = Ablation.Mean, Reference = ReferencePrompts.Of("none") }, "reference", "no built-in dataset");
        await Refused(
            request with { Ablation = Ablation.Mean, Reference = ReferencePrompts.Of([request.Pairs![0] with { Corrupted = Prompt.Of([99]) }]) }, "reference[0].corrupted", "vocabulary");
        await Refused(request with { Positions = Positions.AtRole("S2") }, "positions", "No pair names the role \"S2\".");
        await Refused(
            request with { Positions = Positions.AtRole("S2"), Pairs = [request.Pairs![0], request.Pairs[1] with { Roles = new Dictionary<string, int> { ["S2"] = 1 } }] },
            "positions",
            "these do not: 0");
        await Refused(request with { Positions = Positions.EachRole }, "positions", "No pair names a role.");
        await Refused(request with { Pairs = [request.Pairs![0] with { Roles = new Dictionary<string, int> { ["S2"] = 9 } }] }, "pairs[0].roles.S2", "0 to 8");

        async Task Refused(SweepRequest refused, string where, string message)
        {
            SweepStatus status = await _sweeps.RunAsync(refused);
            var fault = status.Error!.Faults[0];
            Assert.StartsWith(where, fault.Where, StringComparison.Ordinal);
            Assert.Contains(message, fault.Message, StringComparison.Ordinal);
        }
    }

    public void Dispose() => _sweeps.Dispose();

    private static void AssertSame(SweepRuns expected, SweepResult result)
    {
        foreach (LayerPatches layer in expected.Layers)
        {
            foreach (var (index, values) in layer.PairIndices.Zip(layer.PatchedMetric))
            {
                PairResult pair = result.Pairs.Single(pair => pair.Index == index);
                double[][] ours = pair.PatchedMetric is { } metric
                    ? [metric[layer.Layer]]
                    : [.. pair.Roles!.OrderBy(role => role.Value).ThenBy(role => role.Key, StringComparer.Ordinal).Select(role => pair.PatchedMetricByRole![role.Key][layer.Layer])];
                Assert.Equal(values.SelectMany(heads => heads), ours.SelectMany(heads => heads), (one, other) => Math.Abs(one - other) < 1e-9);
            }
        }
    }
}
