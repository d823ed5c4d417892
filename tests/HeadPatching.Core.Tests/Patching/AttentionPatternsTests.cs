using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Patterns;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Tests.Golden;
using HeadPatching.Core.Tests.Models;
using HeadPatching.Testing;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Patching;

public class AttentionPatternsTests
{
    private static readonly TokenPair Pair = new(0, [0, 17, 4, 59, 23, 4, 31, 8, 17, 42, 11, 2], [0, 17, 33, 59, 23, 4, 31, 8, 17, 42, 11, 2], 7, 21);

    /// <summary>Held against a model in loops over doubles, at every layer, head, query and key of both runs.</summary>
    [Theory]
    [InlineData("gpt2", "{}")]
    [InlineData("gpt_neox", "{}")]
    [InlineData("llama", "{}")]
    [InlineData("mistral", """{"sliding_window": 4}""")]
    [InlineData("qwen3", """{"use_sliding_window": true, "sliding_window": 5, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}""")]
    public void Every_pattern_is_the_one_of_a_plain_implementation(string family, string changes)
    {
        using var folder = new TemporaryFolder();
        string path = family == "gpt2" ? GoldenModel.Folder("gpt2-golden-a") : folder.Path;
        if (family != "gpt2")
        {
            FamilyForwardTests.Write(folder, family, changes);
        }

        var plain = new PlainTransformer(path);
        List<double[][][]> clean = plain.Forward(Pair.Clean).Pattern, corrupted = plain.Forward(Pair.Corrupted).Pattern;
        foreach (var (dtype, bound) in new[] { (ScalarType.Float64, 1e-8), (ScalarType.Float32, 1e-5) })
        {
            using Transformer model = ModelFolder.Load(path, dtype, CPU);
            foreach (HeadPattern pattern in AttentionPatterns.Of(model, Pair, Heads(model)))
            {
                Compare(clean[pattern.Layer][pattern.Head], pattern.Clean, bound);
                Compare(corrupted[pattern.Layer][pattern.Head], pattern.Corrupted, bound);
            }
        }

        static void Compare(double[][] expected, double[][] actual, double bound)
        {
            Assert.Equal(expected.Length, actual.Length);
            for (int query = 0; query < expected.Length; query++)
            {
                for (int key = 0; key < actual[query].Length; key++)
                {
                    Assert.Equal(key < expected[query].Length ? expected[query][key] : 0, actual[query][key], bound);
                }
            }
        }
    }

    /// <summary>Times v they are the z that is held against every family's own modeling code: with windows, score caps and sinks.</summary>
    [Theory]
    [MemberData(nameof(FamilyParityTests.Models), MemberType = typeof(FamilyParityTests))]
    public void A_pattern_times_v_is_z(string name)
    {
        using var golden = new GoldenModel(name, ScalarType.Float64);
        Transformer model = golden.Model;
        TokenPair pair = golden.Pairs[0];
        IReadOnlyList<HeadPattern> patterns = AttentionPatterns.Of(model, pair, Heads(model));
        using var chunk = new CachedChunk(model, [pair], start: 0);
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        Assert.Equal(model.Config.Sinks, patterns.Any(pattern => pattern.Clean.Any(row => row.Sum() < 0.9)));
        foreach (HeadPattern pattern in patterns)
        {
            var (run, rows) = pattern.Head % 2 == 0
                ? (chunk.Activations.Layers[pattern.Layer].Clean, pattern.Clean)
                : (chunk.Activations.Layers[pattern.Layer].Corrupted, pattern.Corrupted);
            var (_, _, v) = model.QueryKeyValue(pattern.Layer, run.ResidPre!); // [1, kv_heads, position, d_head]
            Tensor z = tensor(rows.SelectMany(row => row).ToArray()).reshape(pair.Length, pair.Length)
                .matmul(v[0, pattern.Head / (model.Config.Heads / model.Config.KeyValueHeads)]);
            Assert.True(z.allclose(run.Z![0, pattern.Head], rtol: 0, atol: 1e-7), pattern.Name());
            Assert.All(rows, row => Assert.InRange(row.Sum(), model.Config.Sinks ? 0 : 0.999999, 1.000001));
            Assert.All(rows.Index(), row => Assert.All(row.Item.Skip(row.Index + 1), later => Assert.Equal(0, later)));
        }
    }

    [Fact]
    public void Only_the_heads_that_are_asked_for_are_given_in_their_order()
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.Float64);
        IReadOnlyList<HeadPattern> patterns = AttentionPatterns.Of(golden.Model, golden.Pairs[0], [(1, 2), (0, 1), (1, 0)]);
        Assert.Equal(["L1H2", "L0H1", "L1H0"], patterns.Select(pattern => pattern.Name()));
        Assert.Throws<OperationCanceledException>(() => AttentionPatterns.Of(golden.Model, golden.Pairs[0], [(0, 0)], new CancellationToken(canceled: true)));
    }

    [Fact]
    public void Where_it_looks_from_the_last_position_is_said_in_words()
    {
        double[] none = [0, 0, 0, 0];
        string[] clean = [" Mary", " John", " Mary", " to"], corrupted = [" Mary", " John", " John", " to"];

        Assert.Equal(
            "from ' to' it looks at ' John' (0.71) in the clean run and at ' Mary' (0.64) in the corrupted",
            PatternWords.Of(new HeadPattern(2, 6, [none, none, none, [0.1, 0.714, 0.1, 0.1]], [none, none, none, [0.636, 0, 0.3, 0]]), clean, corrupted));
        Assert.Equal(
            "from ' to' it looks at ' Mary' at position 2 (0.50) in the clean run and at ' John' at position 1 (1.00) in the corrupted",
            PatternWords.Of(new HeadPattern(2, 6, [none, none, none, [0.1, 0.1, 0.5, 0.3]], [none, none, none, [0, 1, 0, 0]]), clean, corrupted));
        Assert.StartsWith(
            "from ' to' (corrupted: ' by') it looks",
            PatternWords.Of(new HeadPattern(0, 0, [none, none, none, none], [none, none, none, none]), clean, [.. corrupted[..3], " by"]), StringComparison.Ordinal);
    }

    private static IReadOnlyList<(int Layer, int Head)> Heads(Transformer model) =>
    [
        .. from layer in Enumerable.Range(0, model.Config.Layers)
           from head in Enumerable.Range(0, model.Config.Heads)
           select (layer, head),
    ];
}
