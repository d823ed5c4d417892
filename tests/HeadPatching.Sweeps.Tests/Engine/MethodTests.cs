using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Requests;

namespace HeadPatching.Sweeps.Tests.Engine;

/// <summary>Attribution, screening and path patching as sweeps: through the store, over several chunks.</summary>
public sealed class MethodTests : IDisposable
{
    private readonly SmallSweeps _sweeps = new();

    [Theory]
    [InlineData(Patch.Z, "all", Direction.Denoise)]
    [InlineData(Patch.V, "each", Direction.Noise)]
    [InlineData(Patch.Pattern, "-1", Direction.Denoise)]
    public async Task Attribution_estimates_every_head_and_runs_none(Patch patch, string positions, Direction direction)
    {
        Assert.True(Positions.TryParse(positions, out Positions where));
        SweepRequest request = SmallSweeps.Request() with { Method = Method.Attribution, Patch = patch, Positions = where, Direction = direction };
        SweepResult result = await _sweeps.SweepAsync(request);
        Assert.Equal(Method.Attribution, result.Method);
        Assert.Equal(0, result.Timings.PatchedRuns);
        Assert.All(result.Heads, head => Assert.True(head.Estimated));

        using Transformer model = _sweeps.LoadModel();
        SweepRuns expected = InMemorySweep.Estimate(model, SmallSweeps.Pairs(result), request.PatchOptions(), new LogitDifference(), MemoryBudget.Default);
        foreach (LayerPatches layer in expected.Layers)
        {
            foreach (var (index, values) in layer.PairIndices.Zip(layer.PatchedMetric))
            {
                PairResult pair = result.Pairs.Single(pair => pair.Index == index);
                double[][] ours = pair.PatchedMetricByPosition?[layer.Layer] ?? [pair.PatchedMetric![layer.Layer]];
                Assert.Equal(values.SelectMany(heads => heads), ours.SelectMany(heads => heads), (one, other) => Math.Abs(one - other) < 1e-12);
            }
        }
    }

    [Fact]
    public async Task The_gradient_is_the_one_asked_for_in_estimates_and_in_a_screen()
    {
        SweepRequest request = SmallSweeps.Request() with { Method = Method.Attribution };
        SweepResult ofDefault = await _sweeps.SweepAsync(request);
        SweepResult frozen = await _sweeps.SweepAsync(request with { Gradient = Gradient.FrozenNorms });
        SweepResult plain = await _sweeps.SweepAsync(request with { Gradient = Gradient.Plain });
        SweepResult screened = await _sweeps.SweepAsync(request with { Method = Method.Screen, ScreenTop = 2, Gradient = Gradient.Plain });
        Assert.Equal<Gradient?>([Gradient.FrozenNorms, Gradient.FrozenNorms, Gradient.Plain, Gradient.Plain], [ofDefault.Gradient, frozen.Gradient, plain.Gradient, screened.Gradient]);
        Assert.Equal(frozen.Heatmap, ofDefault.Heatmap);
        Assert.NotEqual(frozen.Heatmap, plain.Heatmap);
        Assert.Equal(plain.Heads.Select(head => head.PatchingEffect), screened.Heads.Select(head => head.EstimatedEffect!.Value));

        using Transformer model = _sweeps.LoadModel();
        SweepRuns expected = InMemorySweep.Estimate(
            model, SmallSweeps.Pairs(plain), request.PatchOptions(), new LogitDifference(), MemoryBudget.Default, Gradient.Plain);
        foreach (var (layer, index, values) in expected.Layers.SelectMany(layer => layer.PairIndices.Zip(layer.PatchedMetric, (index, metric) => (layer.Layer, index, metric[0]))))
        {
            Assert.Equal(values, plain.Pairs.Single(pair => pair.Index == index).PatchedMetric![layer], (one, other) => Math.Abs(one - other) < 1e-12);
        }
    }

    [Theory]
    [InlineData("all", 3)]
    [InlineData("each", 2)]
    [InlineData("all", 100)]
    public async Task Screening_runs_the_heads_with_the_largest_estimates_and_no_other(string positions, int top)
    {
        Assert.True(Positions.TryParse(positions, out Positions where));
        SweepRequest request = SmallSweeps.Request() with { Positions = where };
        SweepResult exact = await _sweeps.SweepAsync(request);
        SweepResult estimate = await _sweeps.SweepAsync(request with { Method = Method.Attribution });
        SweepResult screened = await _sweeps.SweepAsync(request with { Method = Method.Screen, ScreenTop = top });
        Assert.Equal(top, screened.ScreenTop);
        Assert.Equal(Math.Min(top, 8), screened.Heads.Count(head => !head.Estimated));
        HashSet<string> run = [.. estimate.Heads.OrderByDescending(head => Math.Abs(head.PatchingEffect)).Take(top).Select(head => head.Name)];
        for (int i = 0; i < exact.Heads.Count; i++)
        {
            HeadResult head = screened.Heads[i];
            Assert.Equal(run.Contains(head.Name), !head.Estimated);
            Assert.Equal(estimate.Heads[i].PatchingEffect, head.EstimatedEffect!.Value, 1e-12);
            Assert.Equal((head.Estimated ? estimate : exact).Heads[i].PatchingEffect, head.PatchingEffect, 1e-12);
        }
    }

    [Fact]
    public async Task Paths_end_where_the_request_says()
    {
        SweepRequest request = SmallSweeps.Request();
        SweepResult exact = await _sweeps.SweepAsync(request);
        SweepResult toLogits = await _sweeps.SweepAsync(request with { Receivers = [Receiver.Logits] });
        SweepResult frozen = await _sweeps.SweepAsync(request with { Receivers = [Receiver.Logits], FreezeMlps = true });
        SweepResult toHead = await _sweeps.SweepAsync(request with { Receivers = [Receiver.Of(1, 2, ReceiverInput.V)] });

        // From the last layer every path to the logits goes through its own MLP alone: the path is the patch.
        Assert.Equal(exact.Heatmap[1], toLogits.Heatmap[1], (one, other) => Math.Abs(one - other) < 1e-9);
        Assert.NotEqual(exact.Heatmap[0], toLogits.Heatmap[0]);
        Assert.NotEqual(toLogits.Heatmap[1], frozen.Heatmap[1]);
        Assert.All(toHead.Heatmap[1], effect => Assert.Equal(0, effect)); // no path from a layer to itself
        Assert.Contains(toHead.Heatmap[0], effect => Math.Abs(effect) > 1e-6);
        Assert.Equal((false, true), (toLogits.FreezeMlps, frozen.FreezeMlps));
        Assert.Equal("L1H2.v", Assert.Single(toHead.Receivers!).ToString());
        Assert.Null(exact.FreezeMlps);

        // The direction swapped is the prompts swapped, as with every patch.
        SweepResult noised = await _sweeps.SweepAsync(request with { Receivers = [Receiver.Of(1, 2, ReceiverInput.V)], Direction = Direction.Noise });
        SweepResult swapped = await _sweeps.SweepAsync(request with
        {
            Receivers = [Receiver.Of(1, 2, ReceiverInput.V)],
            Pairs = [.. request.Pairs!.Select(pair => pair with { Clean = pair.Corrupted, Corrupted = pair.Clean })],
        });
        Assert.Equal(swapped.Heatmap[0], noised.Heatmap[0], (one, other) => Math.Abs(one - other) < 1e-9);
    }

    /// <summary>The same numbers as of the good pairs alone; which are left out is said, and no list grows with how many there are.</summary>
    [Fact]
    public async Task Pairs_that_cannot_be_swept_change_no_number_where_they_are_left_out()
    {
        SweepRequest request = SmallSweeps.Request();
        SweepResult alone = await _sweeps.SweepAsync(request);
        var bad = new PromptPair(Prompt.Of([1, 2, 3]), Prompt.Of([1, 2]), Answer.Of(1), Answer.Of(2));
        SweepRequest mixed = request with { Pairs = [.. Enumerable.Repeat(bad, 300), .. request.Pairs!, bad with { Correct = Answer.Of(999) }], SkipInvalid = true };
        SweepResult result = await _sweeps.SweepAsync(mixed);
        Assert.Equal(Enumerable.Range(300, 15), result.Pairs.Select(pair => pair.Index));
        Assert.Equal(alone.Heatmap, result.Heatmap);
        Assert.StartsWith("301 of 316 pairs cannot be swept and were left out: 0, 1, 2, ", result.Warnings[0], StringComparison.Ordinal);
        Assert.Contains(" and 281 more. The first: pairs[0]: Clean has 3 tokens and corrupted 2; they must have equally many.", result.Warnings[0], StringComparison.Ordinal);
        Assert.InRange(result.Warnings[0].Length, 100, 1000);

        SweepStatus refused = await _sweeps.RunAsync(mixed with { SkipInvalid = false });
        Assert.Equal(SweepState.Failed, refused.Status);
        Assert.InRange(refused.Error!.Faults.Count, 2, 101);
        Assert.Equal(SweepState.Failed, (await _sweeps.RunAsync(mixed with { Pairs = [bad, bad] })).Status);
    }

    public static TheoryData<SweepRequest, string> Impossible { get; } = new()
    {
        { new SweepRequest { Method = Method.Attribution, Ablation = Ablation.Zero }, "method" },
        { new SweepRequest { Method = Method.Screen, Patch = Patch.MlpOut }, "method" },
        { new SweepRequest { Method = Method.Attribution, Receivers = [Receiver.Logits] }, "method" },
        { new SweepRequest { Method = Method.Attribution, Metric = Metric.Rank }, "metric" },
        { new SweepRequest { Method = Method.Attribution, Metric = Metric.KlDivergence, Direction = Direction.Noise }, "metric" },
        { new SweepRequest { ScreenTop = 3 }, "screenTop" },
        { new SweepRequest { Gradient = Gradient.Plain }, "gradient" },
        { new SweepRequest { Method = Method.Screen, ScreenTop = 0 }, "screenTop" },
        { new SweepRequest { Receivers = [Receiver.Logits], Patch = Patch.Q }, "receivers" },
        { new SweepRequest { Receivers = [Receiver.Logits], Ablation = Ablation.Mean }, "receivers" },
        { new SweepRequest { Receivers = [Receiver.Of(1, 9, ReceiverInput.K)] }, "receivers[0]" },
        { new SweepRequest { Receivers = [Receiver.Of(0, 0, ReceiverInput.Q)] }, "receivers[0]" },
        { new SweepRequest { FreezeMlps = true }, "freezeMlps" },
    };

    [Theory]
    [MemberData(nameof(Impossible))]
    public async Task What_does_not_go_together_is_refused_by_its_name(SweepRequest options, string where)
    {
        SweepStatus status = await _sweeps.RunAsync(options with { Model = "small", Pairs = SmallSweeps.Request().Pairs });
        Assert.Equal(SweepState.Failed, status.Status);
        Assert.Equal(where, Assert.Single(status.Error!.Faults).Where);
    }

    public void Dispose() => _sweeps.Dispose();
}
