using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Models.Families.Configs;

/// <summary>
/// Reads the config.json of a GPT-J (<c>model_type</c> <c>gptj</c>). Defaults are those of transformers' GPTJConfig, except that the sizes
/// must be there.
/// </summary>
internal static class GptjConfigReader
{
    private const int DefaultBosId = 50256, DefaultRotaryWidth = 64;

    public static ModelConfig Read(ConfigFields fields)
    {
        var layers = fields.Size("n_layer", Limits.Layers);
        var width = fields.Size("n_embd", Limits.Width);
        var heads = fields.Size("n_head", Limits.Width);
        if (width % heads is > 0)
        {
            fields.AddFault(FaultKinds.UnsupportedModel, $"n_embd {width} is not a multiple of n_head {heads}.");
        }

        var context = fields.Size("n_positions", Limits.Context);
        var vocabulary = fields.Size("vocab_size", Limits.Vocabulary);
        var mlpWidth = fields.Integer("n_inner", 1, Limits.MlpWidth);
        var normEpsilon = fields.Fraction("layer_norm_epsilon", missing: 1e-5);
        var activation = fields.Activation("activation_function", missing: Activation.GeluTanh);
        var rotaryWidth = fields.Mentions("rotary_dim") && !fields.Has("rotary_dim")
            ? width / heads // null: all of a head
            : fields.Integer("rotary_dim", 2, Limits.Width) ?? DefaultRotaryWidth;
        if (rotaryWidth > width / heads || rotaryWidth % 2 is > 0)
        {
            fields.AddFault(FaultKinds.UnsupportedModel, $"rotary_dim is {rotaryWidth}; it must be an even number, at most the {width / heads} entries of a head.");
        }

        var tied = fields.Flag("tie_word_embeddings", missing: false);
        if (tied)
        {
            fields.AddFault(FaultKinds.UnsupportedModel, "tie_word_embeddings is true; GPT-J's unembedding is one of its own, with a bias.");
        }

        var bosId = fields.BosId(vocabulary, DefaultBosId);
        fields.Refuse("rope_scaling", "rope_parameters");
        fields.RefuseQuantised();
        fields.ThrowIfAny();

        return new ModelConfig
        {
            Family = "gptj",
            Layers = layers!.Value,
            Heads = heads!.Value,
            KeyValueHeads = heads.Value,
            HeadWidth = width!.Value / heads.Value,
            Width = width.Value,
            MlpWidth = mlpWidth ?? 4 * width.Value,
            Context = Math.Min(context!.Value, Limits.RotaryContext),
            Vocabulary = vocabulary!.Value,
            NormEpsilon = normEpsilon,
            Activation = activation,
            Rotary = new Rotary { Width = rotaryWidth!.Value, Base = RotaryReader.DefaultBase, Interleaved = true },
            ParallelResidual = true,
            QueryKeyValueBias = false,
            OutputBias = false,
            UnembeddingBias = true,
            BosId = bosId,
            TiedUnembedding = false,
        };
    }
}
