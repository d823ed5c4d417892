using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Prompts.Datasets;
using HeadPatching.Core.Prompts.Datasets.Ioi;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Testing;
using static TorchSharp.torch;

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

    [Fact]
    public async Task A_generated_reference_has_prompts_of_each_template_of_the_pairs()
    {
        SweepResult result = await _sweeps.SweepAsync(
            new SweepRequest { Dataset = "ioi-generated", Count = 20, Ablation = Ablation.Mean, Reference = ReferencePrompts.Of("ioi-abc") });
        Assert.DoesNotContain(result.Warnings, warning => warning.Contains("template", StringComparison.Ordinal));
    }

    /// <summary>
    /// The IOI paper's knockout: z of a head, at each position, is its mean over sentences of three names of the same template, at the same position. Worked out here
    /// sentence by sentence, with a whole run for every head.
    /// </summary>
    [Fact]
    public async Task The_IOI_papers_mean_ablation_is_over_sentences_of_three_names_of_the_same_template()
    {
        var request = new SweepRequest { Dataset = "ioi-generated", Count = 6, Seed = 2, Dtype = "float64", Ablation = Ablation.Mean, Reference = ReferencePrompts.Of("ioi-abc") };
        SweepResult result = await _sweeps.SweepAsync(request);
        Assert.Equal(Direction.Noise, result.Direction);

        string folder = Path.Combine(AppContext.BaseDirectory, "models", "ioi-demo");
        using Transformer model = ModelFolder.Load(folder, ScalarType.Float64, CPU);
        TextTokenizer tokenizer = TextTokenizer.Load(folder)!;
        IReadOnlyList<TokenPair> pairs = Make("ioi-generated", count: 6, templates: null);
        IReadOnlyList<TokenPair> sentences = Make("ioi-abc", count: 100, [.. pairs.Select(pair => pair.Template!)]);
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        foreach (TokenPair pair in pairs)
        {
            TokenPair[] like = [.. sentences.Where(sentence => sentence.Template == pair.Template)];
            Assert.True(like.Length >= 10 && like.All(sentence => sentence.Length == pair.Length));
            Assert.All(like, sentence => Assert.Equal(3, Names(sentence.Corrupted).Distinct().Count()));
            Tensor[][] all = [.. like.Select(sentence => PlainRun.Z(model, sentence.Corrupted))];
            Tensor[] means = [.. Enumerable.Range(0, model.Config.Layers).Select(layer => stack(all.Select(z => z[layer])).mean([0]))]; // [heads, position, d_head]
            double[][] swept = result.Pairs.Single(of => of.Index == pair.Index).PatchedMetric!;
            for (int layer = 0; layer < model.Config.Layers; layer++)
            {
                for (int head = 0; head < model.Config.Heads; head++)
                {
                    double expected = PlainRun.LogitDifference(model, pair, pair.Clean, (at, own) =>
                    {
                        Tensor changed = own.clone();
                        _ = at == layer ? changed[head].copy_(means[layer][head]) : changed;
                        return changed;
                    });
                    Assert.Equal(expected, swept[layer][head], 1e-9);
                }
            }
        }

        IReadOnlyList<TokenPair> Make(string dataset, int count, IReadOnlyCollection<string>? templates) => PairTokenizer.Tokenize(
            BuiltInDatasets.Find(dataset)!.Make(new DatasetInput(model.Config, tokenizer, count, request.Seed, "dataset") { Templates = templates }),
            model.Config,
            tokenizer,
            null,
            PairTokenizer.PathUnder("dataset"),
            "");

        IEnumerable<string> Names(IEnumerable<int> ids) => ids.Select(id => tokenizer.TokenText(id).Trim()).Where(IoiWords.Names.Contains);
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
