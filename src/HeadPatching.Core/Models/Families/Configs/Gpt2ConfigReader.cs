using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Models.Families.Configs;

/// <summary>
/// Reads the config.json of a GPT-2 (<c>model_type</c> <c>gpt2</c>). Defaults are those of transformers' GPT2Config, except that
/// the sizes must be there: a folder without them is far more likely broken than GPT-2 small.
/// </summary>
internal static class Gpt2ConfigReader
{
    /// <summary>GPT-2's own <c>&lt;|endoftext|&gt;</c>, which begins texts as well.</summary>
    private const int DefaultBosId = 50256;

    public static ModelConfig Read(ConfigFields fields)
    {
        var layers = fields.Size("n_layer", Limits.Layers);
        var width = fields.Size("n_embd", Limits.Width);
        var heads = fields.Size("n_head", Limits.Width);
        if (width % heads is > 0)
        {
            fields.AddFault(FaultKinds.UnsupportedModel, $"n_embd {width} is not a multiple of n_head {heads}.");
        }

        // n_ctx is what the oldest files call it.
        var context = fields.Size(fields.Has("n_positions") || !fields.Has("n_ctx") ? "n_positions" : "n_ctx", Limits.Context);
        var vocabulary = fields.Size("vocab_size", Limits.Vocabulary);
        var mlpWidth = fields.Integer("n_inner", 1, Limits.MlpWidth);
        var normEpsilon = fields.Fraction("layer_norm_epsilon", missing: 1e-5);
        var activation = fields.Activation("activation_function", missing: Activation.GeluTanh);
        var tied = fields.Flag("tie_word_embeddings", missing: true);
        var bosId = fields.BosId(vocabulary, DefaultBosId);
        CheckAttentionFlags(fields);
        fields.RefuseQuantised();
        fields.ThrowIfAny();

        return new ModelConfig
        {
            Family = "gpt2",
            Layers = layers!.Value,
            Heads = heads!.Value,
            KeyValueHeads = heads.Value,
            HeadWidth = width!.Value / heads.Value,
            Width = width.Value,
            MlpWidth = mlpWidth ?? 4 * width.Value,
            Context = context!.Value,
            Vocabulary = vocabulary!.Value,
            NormEpsilon = normEpsilon,
            Activation = activation,
            BosId = bosId,
            TiedUnembedding = tied,
        };
    }

    /// <summary>
    /// Refuses what would change the attention's arithmetic. <c>reorder_and_upcast_attn</c> only changes its order, and passes.
    /// </summary>
    private static void CheckAttentionFlags(ConfigFields fields)
    {
        if (!fields.Flag("scale_attn_weights", missing: true))
        {
            fields.AddFault(
                FaultKinds.UnsupportedModel,
                "scale_attn_weights is false; only attention scaled by 1/sqrt(d_head) is supported.");
        }

        if (fields.Flag("scale_attn_by_inverse_layer_idx", missing: false))
        {
            fields.AddFault(
                FaultKinds.UnsupportedModel,
                "scale_attn_by_inverse_layer_idx is true; attention scaled by the layer's index is not supported.");
        }
    }
}
