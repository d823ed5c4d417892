using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Models.Families.Configs;

/// <summary>
/// Reads the config.json of an OPT (<c>model_type</c> <c>opt</c>). Defaults are those of transformers' OPTConfig, except that the sizes must be
/// there.
/// </summary>
internal static class OptConfigReader
{
    private const int DefaultBosId = 2;
    private const double NormEpsilon = 1e-5; // PyTorch's; there is no field

    public static ModelConfig Read(ConfigFields fields)
    {
        var layers = fields.Size("num_hidden_layers", Limits.Layers);
        var width = fields.Size("hidden_size", Limits.Width);
        var heads = fields.Size("num_attention_heads", Limits.Width);
        if (width % heads is > 0)
        {
            fields.AddFault(FaultKinds.UnsupportedModel, $"hidden_size {width} is not a multiple of num_attention_heads {heads}.");
        }

        var context = fields.Size("max_position_embeddings", Limits.Context);
        var vocabulary = fields.Size("vocab_size", Limits.Vocabulary);
        var mlpWidth = fields.Size("ffn_dim", Limits.MlpWidth);
        var activation = fields.Activation("activation_function", missing: Activation.Relu);
        bool before = fields.Flag("do_layer_norm_before", missing: true);
        bool finalNorm = before && !fields.Flag("_remove_final_layer_norm", missing: false);
        var tied = fields.Flag("tie_word_embeddings", missing: true);
        int? embeddingWidth = fields.Integer("word_embed_proj_dim", 1, Limits.Width);
        var bosId = fields.BosId(vocabulary, DefaultBosId);
        foreach (string name in new[] { "enable_bias", "layer_norm_elementwise_affine" })
        {
            if (!fields.Flag(name, missing: true))
            {
                fields.AddFault(FaultKinds.UnsupportedModel, $"{name} is false; only OPTs whose matrices and norms have all their parameters are supported.");
            }
        }

        fields.RefuseQuantised();
        fields.ThrowIfAny();

        return new ModelConfig
        {
            Family = "opt",
            Layers = layers!.Value,
            Heads = heads!.Value,
            KeyValueHeads = heads.Value,
            HeadWidth = width!.Value / heads.Value,
            Width = width.Value,
            MlpWidth = mlpWidth!.Value,
            Context = context!.Value,
            Vocabulary = vocabulary!.Value,
            NormEpsilon = NormEpsilon,
            NormPlace = before ? NormPlace.Before : NormPlace.AfterSum,
            FinalNorm = finalNorm,
            Activation = activation,
            EmbeddingWidth = embeddingWidth is int own && own != width ? own : null,
            BosId = bosId,
            TiedUnembedding = tied,
        };
    }
}
