using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Models.Families.Configs;

/// <summary>
/// Reads the config.json of a GPT-NeoX or Pythia (<c>model_type</c> <c>gpt_neox</c>). Defaults are those of transformers' GPTNeoXConfig,
/// except that the sizes must be there.
/// </summary>
internal static class GptNeoxConfigReader
{
    public static ModelConfig Read(ConfigFields fields)
    {
        var layers = fields.Size("num_hidden_layers", Limits.Layers);
        var width = fields.Size("hidden_size", Limits.Width);
        var heads = fields.Size("num_attention_heads", Limits.Width);
        int? headWidth = width % heads == 0 ? width / heads : null;
        if (width % heads is > 0)
        {
            fields.AddFault(FaultKinds.UnsupportedModel, $"hidden_size {width} is not a multiple of num_attention_heads {heads}.");
        }

        var context = fields.Size("max_position_embeddings", Limits.Context);
        var vocabulary = fields.Size("vocab_size", Limits.Vocabulary);
        var mlpWidth = fields.Size("intermediate_size", Limits.MlpWidth);
        var normEpsilon = fields.Fraction("layer_norm_eps", missing: 1e-5);
        var activation = fields.Activation("hidden_act", missing: Activation.Gelu);
        var rotary = new RotaryReader(fields, headWidth, "rotary_emb_base", "rotary_pct", missingFraction: 0.25).Read();
        var parallel = fields.Flag("use_parallel_residual", missing: true);
        var attentionBias = fields.Flag("attention_bias", missing: true);
        var tied = fields.Flag("tie_word_embeddings", missing: false);
        var bosId = fields.Mentions("bos_token_id") ? fields.Integer("bos_token_id", 0, int.MaxValue) : 0;
        fields.RefuseQuantised();
        fields.ThrowIfAny();

        return new ModelConfig
        {
            Family = "gpt_neox",
            Layers = layers!.Value,
            Heads = heads!.Value,
            KeyValueHeads = heads.Value,
            HeadWidth = headWidth!.Value,
            Width = width!.Value,
            MlpWidth = mlpWidth!.Value,
            Context = Math.Min(context!.Value, Limits.RotaryContext),
            Vocabulary = vocabulary!.Value,
            NormEpsilon = normEpsilon,
            Activation = activation,
            Rotary = rotary,
            ParallelResidual = parallel,
            QueryKeyValueBias = attentionBias,
            OutputBias = attentionBias,
            // TransformerLens (from 3.0 on) sets default_prepend_bos to false for GPT-NeoX, though config.json names a BOS: Pythia was not
            // trained with one before its texts, and its tokenizer adds none.
            BosId = null,
            UnusedBosId = bosId < vocabulary ? bosId : null,
            TiedUnembedding = tied,
        };
    }
}
