using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Benchmarks;

/// <summary>The shape of what is measured: a model of random weights and pairs of random tokens.</summary>
internal sealed record Workload(int Layers, int Heads, int Width, int Vocabulary, int Tokens, int FirstDifference, int Pairs, bool EachPosition)
{
    /// <summary>A GPT-2-architecture model with weights as at GPT-2's initialisation, but larger, so that heads have effects to compare.</summary>
    public Transformer MakeModel(Device device, ScalarType dtype)
    {
        random.manual_seed(0);
        using var mode = no_grad();
        var config = new ModelConfig
        {
            Family = "gpt2",
            Layers = Layers,
            Heads = Heads,
            KeyValueHeads = Heads,
            HeadWidth = Width / Heads,
            Width = Width,
            MlpWidth = 4 * Width,
            Context = Math.Max(Tokens, 16),
            Vocabulary = Vocabulary,
            NormEpsilon = 1e-5,
            Activation = Activation.GeluTanh,
            TiedUnembedding = true,
        };
        Tensor embedding = Random(Vocabulary, Width);
        return new Transformer(config, new TransformerWeights
        {
            TokenEmbedding = embedding,
            PositionEmbedding = Random(config.Context, Width).to(dtype.OfStream()),
            Layers = [.. Enumerable.Range(0, Layers).Select(_ => Layer())],
            FinalNormWeight = Ones(Width),
            FinalNormBias = Zeros(Width),
            Unembedding = embedding,
        });

        LayerWeights Layer() => new()
        {
            AttentionNormWeight = Ones(Width),
            AttentionNormBias = Zeros(Width),
            QueryKeyValueWeight = Matrix(Width, 3 * Width),
            QueryKeyValueBias = Zeros(3 * Width),
            OutputWeight = Matrix(Width, Width),
            OutputBias = Zeros(Width),
            MlpNormWeight = Ones(Width),
            MlpNormBias = Zeros(Width),
            MlpInWeight = Matrix(Width, config.MlpWidth),
            MlpInBias = Zeros(config.MlpWidth),
            MlpOutWeight = Matrix(config.MlpWidth, Width),
            MlpOutBias = Zeros(Width),
        };

        // In memory as a model that is read from a folder has them.
        Tensor Matrix(long rows, long columns)
        {
            using var scope = NewDisposeScope();
            return Random(rows, columns).t().contiguous().t().MoveToOuterDisposeScope();
        }

        // Drawn on the CPU in float32 whatever the device and type: the same weights everywhere.
        Tensor Random(params long[] shape) => randn(shape).mul_(tensor(0.05)).to(dtype, device);

        Tensor Ones(long length) => ones(length, dtype: dtype.OfStream(), device: device);

        Tensor Zeros(long length) => zeros(length, dtype: dtype.OfStream(), device: device);
    }

    /// <summary>Pairs that differ in one token.</summary>
    public IReadOnlyList<TokenPair> MakePairs()
    {
        var random = new Random(0);
        return [.. Enumerable.Range(0, Pairs).Select(Pair)];

        TokenPair Pair(int index)
        {
            int[] clean = [.. Enumerable.Range(0, Tokens).Select(_ => random.Next(Vocabulary))];
            int[] corrupted = [.. clean];
            corrupted[FirstDifference] = (clean[FirstDifference] + 1) % Vocabulary;
            int correct = random.Next(Vocabulary);
            return new TokenPair(index, clean, corrupted, correct, (correct + 1) % Vocabulary);
        }
    }
}
