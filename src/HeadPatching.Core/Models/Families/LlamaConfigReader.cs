using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Models.Families;

/// <summary>
/// Reads the config.json of a Llama and of the families that differ from it in a few fields: Mistral, Qwen2 and Qwen3. Defaults are
/// those of transformers' classes for them, except that the sizes must be there.
/// </summary>
internal static class LlamaConfigReader
{
    private const int DefaultWindow = 4096; // of transformers' MistralConfig, Qwen2Config and Qwen3Config

    /// <summary>What other models' configs have and these families' arithmetic does not; read as Llama, such a model would come out wrong.</summary>
    private static readonly string[] Foreign =
    [
        "attn_logit_softcapping", "final_logit_softcapping", "logit_scale", "logits_scaling", "query_pre_attn_scalar",
        "attention_multiplier", "embedding_multiplier", "residual_multiplier", "clip_qkv",
        "num_experts", "num_local_experts", "n_routed_experts", "use_mrope", "quantization_config",
    ];

    /// <summary>What a family chooses where another chooses otherwise.</summary>
    private sealed record Choices(string Family)
    {
        public bool QueryKeyValueBias { get; init; }

        public bool OutputBias { get; init; }

        public bool MlpBias { get; init; }

        public bool QueryKeyNorm { get; init; }

        /// <summary>Whether a config.json without head_dim means d_model / heads; else it must say.</summary>
        public bool HeadWidthMayBeMissing { get; init; } = true;

        /// <summary>Whether a config.json without num_key_value_heads means as many as heads; else it must say.</summary>
        public bool KeyValueHeadsMayBeMissing { get; init; }

        /// <summary>How many positions a query sees, itself included; null for all before it.</summary>
        public int? Window { get; init; }

        /// <summary>Whether TransformerLens puts the BOS before texts; its token where config.json does not say.</summary>
        public int? MissingBosId { get; init; }
    }

    public static ModelConfig ReadLlama(ConfigFields fields)
    {
        bool attentionBias = fields.Flag("attention_bias", missing: false);
        return Read(fields, new Choices("llama")
        {
            QueryKeyValueBias = attentionBias,
            OutputBias = attentionBias,
            MlpBias = fields.Flag("mlp_bias", missing: false),
            KeyValueHeadsMayBeMissing = true,
            MissingBosId = 1,
        });
    }

    public static ModelConfig ReadMistral(ConfigFields fields)
    {
        fields.Refuse("attention_bias", "mlp_bias");
        return Read(fields, new Choices("mistral") { Window = Window(fields), MissingBosId = 1 });
    }

    public static ModelConfig ReadQwen2(ConfigFields fields) => Read(fields, new Choices("qwen2")
    {
        QueryKeyValueBias = true,
        Window = fields.Flag("use_sliding_window", missing: false) ? Window(fields) : null,
    });

    public static ModelConfig ReadQwen3(ConfigFields fields)
    {
        bool attentionBias = fields.Flag("attention_bias", missing: false);
        return Read(fields, new Choices("qwen3")
        {
            QueryKeyValueBias = attentionBias,
            OutputBias = attentionBias,
            QueryKeyNorm = true,
            HeadWidthMayBeMissing = false,
            Window = fields.Flag("use_sliding_window", missing: false) ? Window(fields) : null,
        });
    }

    private static ModelConfig Read(ConfigFields fields, Choices choices)
    {
        fields.Refuse(Foreign);
        var layers = fields.Size("num_hidden_layers", Limits.Layers);
        var width = fields.Size("hidden_size", Limits.Width);
        var heads = fields.Size("num_attention_heads", Limits.Width);
        var headWidth = choices.HeadWidthMayBeMissing ? fields.Integer("head_dim", 1, Limits.Width) : fields.Size("head_dim", Limits.Width);
        if (choices.HeadWidthMayBeMissing && !fields.Has("head_dim"))
        {
            headWidth = width % heads == 0 ? width / heads : null;
            if (width % heads is > 0)
            {
                fields.AddFault(FaultKinds.UnsupportedModel, $"hidden_size {width} is not a multiple of num_attention_heads {heads}, and there is no head_dim.");
            }
        }

        // Null means as many as heads in every family.
        bool likeHeads = !fields.Has("num_key_value_heads") && (choices.KeyValueHeadsMayBeMissing || fields.Mentions("num_key_value_heads"));
        var keyValueHeads = likeHeads ? heads : fields.Size("num_key_value_heads", Limits.Width);
        if (heads % keyValueHeads is > 0)
        {
            fields.AddFault(FaultKinds.UnsupportedModel, $"num_attention_heads {heads} is not a multiple of num_key_value_heads {keyValueHeads}.");
        }

        if (fields.Texts("layer_types").FirstOrDefault(type => type is not ("full_attention" or "sliding_attention")) is { } type)
        {
            fields.AddFault(FaultKinds.UnsupportedModel, $"layer_types has {Untrusted.Show(type)}; supported are full_attention and sliding_attention.");
        }

        var context = fields.Size("max_position_embeddings", Limits.Context);
        var vocabulary = fields.Size("vocab_size", Limits.Vocabulary);
        var mlpWidth = fields.Size("intermediate_size", Limits.MlpWidth);
        var normEpsilon = fields.Fraction("rms_norm_eps", missing: 1e-6);
        var activation = fields.Activation("hidden_act", missing: Activation.Silu);
        var rotary = RotaryReader.Read(fields, headWidth, "rope_theta", "partial_rotary_factor", missingFraction: 1);
        if (rotary?.Width < headWidth)
        {
            fields.AddFault(FaultKinds.UnsupportedModel, "partial_rotary_factor is below 1; these families turn whole queries and keys.");
        }

        // TransformerLens sets default_prepend_bos to false for Qwen, though config.json names a BOS; for the others it is true.
        bool beginsWithBos = choices.MissingBosId is not null;
        var bosId = fields.Mentions("bos_token_id")
            ? fields.Integer("bos_token_id", 0, beginsWithBos ? (vocabulary ?? Limits.Vocabulary) - 1 : int.MaxValue)
            : choices.MissingBosId;
        bosId = bosId < vocabulary ? bosId : null;
        var tied = fields.Flag("tie_word_embeddings", missing: false);
        fields.ThrowIfAny();

        int positions = Math.Min(context!.Value, Limits.RotaryContext);
        return new ModelConfig
        {
            Family = choices.Family,
            Layers = layers!.Value,
            Heads = heads!.Value,
            KeyValueHeads = keyValueHeads!.Value,
            HeadWidth = headWidth!.Value,
            Width = width!.Value,
            MlpWidth = mlpWidth!.Value,
            // Attention here sees every position before. A window of N gives the same up to N positions, so that is how far prompts may go.
            Context = Math.Min(positions, choices.Window ?? int.MaxValue),
            ContextIsSlidingWindow = choices.Window < positions,
            Vocabulary = vocabulary!.Value,
            Norm = NormKind.Rms,
            NormEpsilon = normEpsilon,
            Activation = activation,
            GatedMlp = true,
            Rotary = rotary,
            QueryKeyNorm = choices.QueryKeyNorm,
            QueryKeyValueBias = choices.QueryKeyValueBias,
            OutputBias = choices.OutputBias,
            MlpBias = choices.MlpBias,
            BosId = beginsWithBos ? bosId : null,
            UnusedBosId = beginsWithBos ? null : bosId,
            TiedUnembedding = tied,
        };
    }

    /// <summary>The width of sliding-window attention; null where config.json says that there is none.</summary>
    private static int? Window(ConfigFields fields) =>
        fields.Mentions("sliding_window") ? fields.Integer("sliding_window", 1, Limits.Context) : DefaultWindow;
}
