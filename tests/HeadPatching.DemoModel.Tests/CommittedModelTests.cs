using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Prompts.Datasets;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;
using HeadPatching.DemoModel.Training;
using static TorchSharp.torch;

namespace HeadPatching.DemoModel.Tests;

/// <summary>The model that is in the repository, loaded as a user's model is, from the copy that travels with the build.</summary>
public sealed class CommittedModelTests : IDisposable
{
    private readonly Transformer _model = ModelFolder.Load(DemoModelFolder.Built, ScalarType.Float32, CPU);
    private readonly TextTokenizer _tokenizer = TextTokenizer.Load(DemoModelFolder.Built)!;

    [Fact]
    public void It_is_right_on_name_pairs_that_it_has_not_seen()
    {
        var accuracy = Accuracy.OnHeldOutPairs(_model, _tokenizer, sentencesPerPair: 4);
        TestContext.Current.TestOutputHelper!.WriteLine($"{accuracy}");
        Assert.True(accuracy.Correct >= 0.99, $"{accuracy}");
    }

    [Theory]
    [InlineData("ioi")]
    [InlineData("ioi-order")]
    public void It_is_right_on_every_prompt_of_the_built_in_datasets(string dataset)
    {
        using var noGradients = inference_mode();
        using var scope = NewDisposeScope();
        foreach (var pair in Pairs(dataset))
        {
            Assert.Equal(pair.Correct.Ids.Single(), Answer(pair.Clean));
            Assert.Equal((dataset == "ioi" ? pair.Incorrect : pair.Correct).Ids.Single(), Answer(pair.Corrupted));
        }
    }

    [Fact]
    public void It_is_right_on_generated_sentences_which_its_tokenizer_knows_word_for_word()
    {
        using var noGradients = inference_mode();
        using var scope = NewDisposeScope();
        var pairs = Pairs("ioi-generated", count: 400, seed: 5);
        Assert.All(pairs, pair => Assert.InRange(pair.Length, 14, 23)); // no word is in pieces
        var right = pairs.Count(pair => Answer(pair.Clean) == pair.Correct.Ids.Single() && Answer(pair.Corrupted) == pair.Incorrect.Ids.Single());
        Assert.True(right >= 0.95 * pairs.Count, $"{right} of {pairs.Count}");
    }

    [Fact]
    public void Patching_the_heads_of_ioi_shows_a_circuit_a_person_can_see()
    {
        var stop = TestContext.Current.CancellationToken;
        var runs = InMemorySweep.Run(
            _model, Pairs("ioi"), new PatchOptions(), new LogitDifference(), MemoryBudget.Default, cancellation: stop);
        var effects = Effects(runs).OrderByDescending(effect => effect.Value).ToList();
        var listed = string.Join(", ", effects.Select(effect => $"{effect.Head} {effect.Value:F3}"));
        TestContext.Current.TestOutputHelper!.WriteLine(listed);
        Assert.True(effects[0].Value > 0.5, $"{effects[0]}");
        Assert.InRange(effects.Count(effect => Math.Abs(effect.Value) > 0.1), 1, 4);
        Assert.True(effects.Count(effect => Math.Abs(effect.Value) <= 0.05) >= effects.Count - 5);
    }

    [Theory]
    [InlineData("each")]
    [InlineData("each-role")]
    [InlineData("S2")]
    public void The_values_of_the_strongest_head_matter_at_the_second_subject_wherever_that_stands(string positions)
    {
        // 100 sentences of 140 templates: at one position counted from the end it is no more than 0.416, for there stands something else in most of them.
        Assert.True(Positions.TryParse(positions, out Positions where));
        SweepResult result = Sweep(Pairs("ioi-generated", count: 100), new PatchOptions { Patch = Patch.V, Positions = where });
        HeadResult strongest = result.Heads.MaxBy(head => Math.Abs(head.PatchingEffect))!;
        Assert.Equal(("L2H6", positions == "S2" ? null : "S2"), (strongest.Name, strongest.Role));
        Assert.Equal(0.582, strongest.PatchingEffect, 1e-3);
        if (positions != "S2")
        {
            Assert.Equal(["IO", "S1", "S1+1", "S2", "END"], result.Roles!.Select(role => role.Name));
            Assert.DoesNotContain(result.Warnings, warning => warning.Contains("counted from the end", StringComparison.Ordinal));
        }
    }

    [Theory]
    [InlineData(20)]
    [InlineData(100)]
    public void Generated_sentences_of_all_lengths_can_be_ablated(int count)
    {
        foreach (Ablation ablation in new[] { Ablation.Mean, Ablation.Resample })
        {
            SweepResult result = Sweep(Pairs("ioi-generated", count), new PatchOptions { Ablation = ablation, Direction = Direction.Noise });
            Assert.Equal("L2H6", result.Heads.MaxBy(head => Math.Abs(head.PatchingEffect))!.Name);
            Assert.All(result.Pairs, pair => Assert.True(Math.Abs(pair.PatchingEffect![2][6]) > 1e-6)); // none is given its own z
        }
    }

    [Fact]
    public void The_mean_of_five_sentences_is_without_the_sentence_itself()
    {
        SweepResult result = Sweep(Pairs("ioi"), new PatchOptions { Ablation = Ablation.Mean, Direction = Direction.Noise });
        Assert.Equal(0.384, result.Heads.Single(head => head.Name == "L2H6").PatchingEffect, 1e-3);
        Assert.Contains(result.Warnings, warning => warning.Contains("fewer than 5 other pairs, at the least 4", StringComparison.Ordinal));
    }

    [Fact]
    public void Its_files_are_small() =>
        Assert.InRange(new DirectoryInfo(DemoModelFolder.Built).EnumerateFiles().Sum(file => file.Length), 1, 5_000_000);

    public void Dispose() => _model.Dispose();

    private IReadOnlyList<TokenPair> Pairs(string dataset, int count = 0, int seed = 0) => PairTokenizer.Tokenize(
        BuiltInDatasets.Find(dataset)!.Make(new DatasetInput(_model.Config, _tokenizer, count, seed, "dataset")),
        _model.Config,
        _tokenizer,
        pairIndices: null,
        PairTokenizer.PathUnder("dataset"),
        pairIndicesWhere: "pairIndices");

    private SweepResult Sweep(IReadOnlyList<TokenPair> pairs, PatchOptions options) => SweepAssembler.Assemble(
        new SweepDescription
        {
            SweepId = "test",
            Model = new ModelSummary("ioi-demo", "", _model.Config.Layers, _model.Config.Heads, "float32", "cpu"),
            Dataset = "test",
            Options = options,
            Metric = new LogitDifference(),
            StartedAt = default,
            FinishedAt = default,
            SoftwareVersion = "test",
        },
        pairs,
        InMemorySweep.Run(_model, pairs, options, new LogitDifference(), MemoryBudget.Default),
        tokenText: null);

    /// <summary>Each head's effect, the mean over the pairs.</summary>
    private static IEnumerable<(string Head, double Value)> Effects(SweepRuns runs) =>
        from layer in runs.Layers
        from head in Enumerable.Range(0, layer.PatchedMetric[0][0].Length)
        let ofPairs = layer.PairIndices.Select((pair, row) =>
            Effect.Of(layer.PatchedMetric[row][0][head], runs.Baselines[pair].Corrupted, runs.Baselines[pair].Clean))
        select ($"L{layer.Layer}H{head}", ofPairs.Average());

    private long Answer(IReadOnlyList<int> prompt)
    {
        var ids = tensor(prompt.Select(id => (long)id).ToArray()).unsqueeze(0); // [1, position]
        return _model.Logits(ids)[0, -1].argmax().item<long>();
    }
}
