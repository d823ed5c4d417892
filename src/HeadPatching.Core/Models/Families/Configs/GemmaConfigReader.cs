using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Models.Families.Configs;

/// <summary>
/// Reads the config.json of a Gemma 2, of a Gemma 3, and of the text part of a Gemma 3 that also sees pictures. Defaults are those of
/// transformers' Gemma2Config and Gemma3TextConfig.
/// </summary>
internal static class GemmaConfigReader
{
    private const int DefaultHeadWidth = 256, DefaultWindow = 4096, DefaultScalar = 256, DefaultPattern = 6, DefaultBosId = 2;
    private const double DefaultScoreCap = 50, DefaultLogitCap = 30, DefaultBase3 = 1_000_000;

    /// <summary>Sizes that text_config leaves out where they are transformers' own.</summary>
    private static readonly Dictionary<string, int> TextSizes = new(StringComparer.Ordinal)
    {
        ["num_attention_heads"] = 8,
        ["num_key_value_heads"] = 4,
        ["max_position_embeddings"] = 131_072,
        ["vocab_size"] = 262_208,
    };

    public static ModelConfig ReadGemma2(ConfigFields fields)
    {
        double? scores = Cap(fields, "attn_logit_softcapping", DefaultScoreCap), logits = Cap(fields, "final_logit_softcapping", DefaultLogitCap);
        return Read(fields, logits, new LlamaChoices("gemma2") { IsSliding = layer => layer % 2 == 0 }, config => config with { ScoreCap = scores });
    }

    public static ModelConfig ReadGemma3Text(ConfigFields fields)
    {
        int pattern = fields.Integer("sliding_window_pattern", 1, Limits.Layers) ?? DefaultPattern;
        return Read(fields, Cap(fields, "final_logit_softcapping", missing: null), new LlamaChoices("gemma3_text")
        {
            QueryKeyNorm = QueryKeyNorm.EachHead,
            IsSliding = layer => (layer + 1) % pattern != 0,
            Rotary = headWidth => Rotary(fields, headWidth),
        });
    }

    /// <summary>Of a Gemma 3 with a vision part, which prompts of text do not come to.</summary>
    public static ModelConfig ReadGemma3(ConfigFields fields)
    {
        if (fields.Object("text_config") is not { } text)
        {
            fields.AddFault(FaultKinds.Missing, "text_config is missing; it describes the text part.");
            fields.ThrowIfAny();
            throw new InvalidOperationException("There is a fault.");
        }

        return ReadGemma3Text(text.WithMissing(TextSizes)) with { Family = "gemma3" };
    }

    private static ModelConfig Read(ConfigFields fields, double? logitCap, LlamaChoices choices, Func<ModelConfig, ModelConfig>? finish = null)
    {
        bool attentionBias = fields.Flag("attention_bias", missing: false);
        double scalar = fields.Positive("query_pre_attn_scalar", DefaultScalar);
        return LlamaConfigReader.Read(fields, choices with
        {
            QueryKeyValueBias = attentionBias,
            OutputBias = attentionBias,
            NormPlace = NormPlace.BeforeAndAfter,
            Activation = ("hidden_activation", Activation.GeluTanh),
            HeadWidthFollows = false,
            MissingHeadWidth = DefaultHeadWidth,
            Known = ["attn_logit_softcapping", "final_logit_softcapping", "query_pre_attn_scalar"],
            Window = LlamaConfigReader.Window(fields, DefaultWindow),
            ReadsLayerTypes = true,
            MissingBosId = DefaultBosId,
            MissingTied = true,
            Finish = config => (finish ?? (same => same))(config with
            {
                ScoreScale = scalar == config.HeadWidth ? null : 1 / Math.Sqrt(scalar),
                EmbeddingScale = Math.Sqrt(config.Width),
                LogitCap = logitCap,
            }),
        });
    }

    /// <summary>Gemma 3's two: layers with a sliding window have a base of their own, and are never scaled.</summary>
    private static (Rotary? All, Rotary? Sliding) Rotary(ConfigFields fields, int? headWidth)
    {
        var all = new RotaryReader(fields, headWidth, "rope_theta", "partial_rotary_factor", missingFraction: 1, DefaultBase3);
        var sliding = new RotaryReader(fields, headWidth, "rope_local_base_freq", "partial_rotary_factor", missingFraction: 1);
        ConfigFields? parameters = fields.Object("rope_parameters");
        return parameters?.Has("full_attention") == true && parameters.Has("sliding_attention")
            ? (all.Read(parameters.Object("full_attention")!), sliding.Read(parameters.Object("sliding_attention")!))
            : (all.Read(), sliding.Plain());
    }

    /// <summary>A soft cap; null where config.json says null, or nothing and there is none by default.</summary>
    private static double? Cap(ConfigFields fields, string name, double? missing) =>
        fields.Has(name) ? fields.Positive(name, missing: null) : fields.Mentions(name) ? null : missing;
}
