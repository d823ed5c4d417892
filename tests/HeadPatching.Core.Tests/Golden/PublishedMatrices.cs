using System.Text.Json;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Core.Tests.Patching;

namespace HeadPatching.Core.Tests.Golden;

/// <summary>
/// Head-patching matrices, [layer][head], as they were published: clean activations into the corrupted run at all positions, the mean logit
/// difference over the prompts first and then its share of the way from the corrupted run to the clean one. Each prompt is clean once, with
/// its neighbour (0 and 1, 2 and 3, ...) as corrupted.
/// </summary>
internal sealed record PublishedMatrices
{
    private static readonly JsonSerializerOptions SnakeCase = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    public required double CleanLogitDifference { get; init; }

    public required double CorruptedLogitDifference { get; init; }

    public required IReadOnlyList<PublishedPrompt> Prompts { get; init; }

    public required double[][] Z { get; init; }

    public required double[][] Q { get; init; }

    public required double[][] K { get; init; }

    public required double[][] V { get; init; }

    public required double[][] Pattern { get; init; }

    public static PublishedMatrices Read(string path) => JsonSerializer.Deserialize<PublishedMatrices>(File.ReadAllText(path), SnakeCase)!;

    public double[][] Of(Patch patch) => patch switch { Patch.Z => Z, Patch.Q => Q, Patch.K => K, Patch.V => V, _ => Pattern };

    public IReadOnlyList<TokenPair> Pairs(Transformer model, TextTokenizer? tokenizer) => PairTokenizer.Tokenize(
        [.. Prompts.Select((prompt, i) => new PromptPair(prompt.Text, Prompts[i ^ 1].Text, prompt.Answers[0], prompt.Answers[1]))],
        model.Config,
        tokenizer,
        pairIndices: null,
        PairTokenizer.PathUnder("prompts"),
        "");

    /// <summary>
    /// Sweeps the model and holds the heads of largest |value| of each matrix, and the two means, to a bound. The other heads are near 0,
    /// where any sweep that does next to nothing would pass.
    /// </summary>
    public void AssertReproducedBy(Transformer model, TextTokenizer? tokenizer, int strongest, double bound)
    {
        IReadOnlyList<TokenPair> pairs = Pairs(model, tokenizer);
        foreach (Patch patch in new[] { Patch.Z, Patch.Q, Patch.K, Patch.V, Patch.Pattern })
        {
            SweepResult result = ParityTests.Sweep(
                model, pairs, new PatchOptions { Patch = patch }, new LogitDifference(), aggregation: Aggregation.RatioOfMeans);
            Assert.Equal(CleanLogitDifference, result.Pairs.Average(pair => pair.CleanMetric), bound);
            Assert.Equal(CorruptedLogitDifference, result.Pairs.Average(pair => pair.CorruptedMetric), bound);
            double[][] published = Of(patch);
            Assert.Equal(published.Select(layer => layer.Length), result.Heatmap.Select(layer => layer.Length));
            var heads = published.SelectMany((layer, l) => layer.Select((value, h) => (Layer: l, Head: h, Value: value)))
                .OrderByDescending(head => Math.Abs(head.Value))
                .Take(strongest)
                .ToArray();
            double worst = heads.Max(head => Math.Abs(result.Heatmap[head.Layer][head.Head] - head.Value));
            TestContext.Current.TestOutputHelper!.WriteLine(FormattableString.Invariant(
                $"{patch.NameOf(),-8} strongest L{heads[0].Layer}H{heads[0].Head} {heads[0].Value:F4}; largest difference of {heads.Length} heads {worst:E1}"));
            Assert.All(heads, head => Assert.Equal(head.Value, result.Heatmap[head.Layer][head.Head], bound));
        }
    }
}
