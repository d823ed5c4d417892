using HeadPatching.Core.Models;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace HeadPatching.DemoModel.Training;

/// <summary>The weights that training starts from, as GPT-2's authors chose them (Radford et al. 2019, section 2.3).</summary>
public static class InitialWeights
{
    /// <summary>
    /// Random matrices with a standard deviation of 0.02, those that write to the residual stream smaller by the square root of how many
    /// do; norms that change nothing; biases of 0; a tied unembedding. Drawn from torch's generator (<c>manual_seed</c>).
    /// </summary>
    /// <param name="config">The shape; only GPT-2's family is made.</param>
    /// <returns>float32 parameters that require gradients</returns>
    public static TransformerWeights Draw(ModelConfig config)
    {
        const double Deviation = 0.02;
        var writerDeviation = Deviation / Math.Sqrt(2 * config.Layers);
        var embedding = Matrix(config.Vocabulary, config.Width, Deviation);
        return new TransformerWeights
        {
            TokenEmbedding = embedding,
            PositionEmbedding = Matrix(config.Context, config.Width, Deviation),
            Layers = [.. Enumerable.Range(0, config.Layers).Select(_ => DrawLayer())],
            FinalNormWeight = Vector(config.Width, 1),
            FinalNormBias = Vector(config.Width, 0),
            Unembedding = embedding,
        };

        LayerWeights DrawLayer() => new()
        {
            AttentionNormWeight = Vector(config.Width, 1),
            AttentionNormBias = Vector(config.Width, 0),
            QueryKeyValueWeight = Matrix(config.Width, 3 * config.Heads * config.HeadWidth, Deviation),
            QueryKeyValueBias = Vector(3 * config.Heads * config.HeadWidth, 0),
            OutputWeight = Matrix(config.Heads * config.HeadWidth, config.Width, writerDeviation),
            OutputBias = Vector(config.Width, 0),
            MlpNormWeight = Vector(config.Width, 1),
            MlpNormBias = Vector(config.Width, 0),
            MlpInWeight = Matrix(config.Width, config.MlpWidth, Deviation),
            MlpInBias = Vector(config.MlpWidth, 0),
            MlpOutWeight = Matrix(config.MlpWidth, config.Width, writerDeviation),
            MlpOutBias = Vector(config.Width, 0),
        };
    }

    private static Parameter Matrix(long rows, long columns, double deviation) => Kept(() => randn(rows, columns) * tensor(deviation));

    private static Parameter Vector(long length, double value) =>
        Kept(() => tensor([.. Enumerable.Repeat(value, (int)length)], dtype: ScalarType.Float32));

    private static Parameter Kept(Func<Tensor> make)
    {
        using var scope = NewDisposeScope();
        return scope.Detach(new Parameter(make()));
    }
}
