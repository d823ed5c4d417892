using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Models.Families.Configs;

/// <summary>
/// Reads the config.json of a Llama and of the families that differ from it in a few fields. Defaults are those of transformers' classes for
/// them, except that the sizes must be there.
/// </summary>
internal static class LlamaConfigReader
{
    private const int DefaultWindow = 4096;            // of transformers' MistralConfig, Qwen2Config and Qwen3Config
    private const int DefaultFirstSlidingLayer = 28;   // of Qwen2Config and Qwen3Config

    /// <summary>What other models' configs have and a family's arithmetic does not; read all the same, such a model would come out wrong.</summary>
    private static readonly string[] Foreign =
    [
        "attn_logit_softcapping", "final_logit_softcapping", "logit_scale", "logits_scaling", "query_pre_attn_scalar",
        "attention_multiplier", "embedding_multiplier", "residual_multiplier", "clip_qkv", "use_bidirectional_attention",
        "num_experts", "num_local_experts", "n_routed_experts", "use_mrope",
    ];

    public static ModelConfig ReadLlama(ConfigFields fields)
    {
        bool attentionBias = fields.Flag("attention_bias", missing: false);
        return Read(fields, new LlamaChoices("llama")
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
        return Read(fields, new LlamaChoices("mistral") { Window = Window(fields, DefaultWindow), MissingBosId = 1 });
    }

    public static ModelConfig ReadQwen2(ConfigFields fields) => Read(fields, Sliding(fields, new LlamaChoices("qwen2")
    {
        QueryKeyValueBias = true,
        BeginsWithBos = false,
    }));

    public static ModelConfig ReadQwen3(ConfigFields fields)
    {
        bool attentionBias = fields.Flag("attention_bias", missing: false);
        return Read(fields, Sliding(fields, new LlamaChoices("qwen3")
        {
            QueryKeyValueBias = attentionBias,
            OutputBias = attentionBias,
            QueryKeyNorm = QueryKeyNorm.EachHead,
            HeadWidthFollows = false,
            BeginsWithBos = false,
        }));
    }

    public static ModelConfig ReadOlmo2(ConfigFields fields)
    {
        bool attentionBias = fields.Flag("attention_bias", missing: false);
        return Read(fields, new LlamaChoices("olmo2")
        {
            QueryKeyValueBias = attentionBias,
            OutputBias = attentionBias,
            QueryKeyNorm = QueryKeyNorm.AllHeads,
            NormPlace = NormPlace.After,
            MissingNormEpsilon = 1e-5,
            KeyValueHeadsMayBeMissing = true,
            MissingBosId = fields.Integer("eos_token_id", 0, Limits.Vocabulary), // its tokenizer's BOS is its end of text
        });
    }

    public static ModelConfig ReadPhi3(ConfigFields fields)
    {
        fields.Refuse("attention_bias", "mlp_bias");
        return Read(fields, new LlamaChoices("phi3")
        {
            MissingNormEpsilon = 1e-5,
            KeyValueHeadsMayBeMissing = true,
            PartialRotary = true,
            Window = Window(fields, missing: null),
            MissingBosId = 1,
        });
    }

    public static ModelConfig ReadGranite(ConfigFields fields)
    {
        bool attentionBias = fields.Flag("attention_bias", missing: false);
        double scores = fields.Positive("attention_multiplier", 1), embeddings = fields.Positive("embedding_multiplier", 1);
        double written = fields.Positive("residual_multiplier", 1), logits = fields.Positive("logits_scaling", 1);
        return Read(fields, new LlamaChoices("granite")
        {
            QueryKeyValueBias = attentionBias,
            OutputBias = attentionBias,
            MlpBias = fields.Flag("mlp_bias", missing: false),
            KeyValueHeadsMayBeMissing = true,
            Known = ["attention_multiplier", "embedding_multiplier", "residual_multiplier", "logits_scaling"],
            BeginsWithBos = false,
            MissingBosId = 1,
            Finish = config => config with { ScoreScale = scores, EmbeddingScale = embeddings, WrittenScale = written, LogitDivisor = logits },
        });
    }

    /// <summary>Reads what all of them have.</summary>
    public static ModelConfig Read(ConfigFields fields, LlamaChoices choices)
    {
        fields.Refuse([.. Foreign.Except(choices.Known)]);
        if (!choices.MayBePacked)
        {
            fields.RefuseQuantised();
        }

        var layers = fields.Size("num_hidden_layers", Limits.Layers);
        var width = fields.Size("hidden_size", Limits.Width);
        var heads = fields.Size("num_attention_heads", Limits.Width);
        var headWidth = choices.HeadWidthFollows || choices.MissingHeadWidth is not null
            ? fields.Integer("head_dim", 1, Limits.Width)
            : fields.Size("head_dim", Limits.Width);
        if (!fields.Has("head_dim"))
        {
            headWidth = choices.HeadWidthFollows && width % heads == 0 ? width / heads : choices.MissingHeadWidth;
            if (choices.HeadWidthFollows && width % heads is > 0)
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

        var sliding = SlidingLayers(fields, choices, layers ?? 0);
        var context = fields.Size("max_position_embeddings", Limits.Context);
        var vocabulary = fields.Size("vocab_size", Limits.Vocabulary);
        var mlpWidth = fields.Size("intermediate_size", Limits.MlpWidth);
        var normEpsilon = fields.Fraction("rms_norm_eps", choices.MissingNormEpsilon);
        var activation = fields.Activation(choices.Activation.Field, choices.Activation.Missing);
        var (rotary, slidingRotary) = choices.Rotary is null
            ? (new RotaryReader(fields, headWidth, "rope_theta", "partial_rotary_factor", missingFraction: 1).Read(), null)
            : choices.Rotary(headWidth);
        if (rotary?.Width < headWidth && !choices.PartialRotary)
        {
            fields.AddFault(FaultKinds.UnsupportedModel, "partial_rotary_factor is below 1; this family turns whole queries and keys.");
        }

        // TransformerLens sets default_prepend_bos to false for some, though config.json names a BOS; for the others it is true.
        var bosId = fields.Mentions("bos_token_id")
            ? fields.Integer("bos_token_id", 0, choices.BeginsWithBos ? (vocabulary ?? Limits.Vocabulary) - 1 : int.MaxValue)
            : choices.MissingBosId;
        bosId = bosId < vocabulary ? bosId : null;
        var tied = fields.Flag("tie_word_embeddings", choices.MissingTied);
        fields.ThrowIfAny();

        return choices.Finish(new ModelConfig
        {
            Family = choices.Family,
            Layers = layers!.Value,
            Heads = heads!.Value,
            KeyValueHeads = keyValueHeads!.Value,
            HeadWidth = headWidth!.Value,
            Width = width!.Value,
            MlpWidth = mlpWidth!.Value,
            Context = Math.Min(context!.Value, Limits.RotaryContext),
            Vocabulary = vocabulary!.Value,
            Norm = NormKind.Rms,
            NormEpsilon = normEpsilon,
            NormPlace = choices.NormPlace,
            Activation = activation,
            GatedMlp = true,
            Rotary = rotary,
            SlidingRotary = slidingRotary,
            SlidingWindow = sliding.Contains(true) ? choices.Window : null,
            Sliding = sliding,
            QueryKeyNorm = choices.QueryKeyNorm,
            QueryKeyValueBias = choices.QueryKeyValueBias,
            OutputBias = choices.OutputBias,
            MlpBias = choices.MlpBias,
            BosId = choices.BeginsWithBos ? bosId : null,
            UnusedBosId = choices.BeginsWithBos ? null : bosId,
            TiedUnembedding = tied,
        });
    }

    /// <summary>The width of sliding-window attention; null where config.json says that there is none.</summary>
    public static int? Window(ConfigFields fields, int? missing) =>
        fields.Mentions("sliding_window") ? fields.Integer("sliding_window", 1, Limits.Context) : missing;

    /// <summary>Qwen2's and Qwen3's: off by default, and in the layers from one on.</summary>
    private static LlamaChoices Sliding(ConfigFields fields, LlamaChoices choices)
    {
        int? window = fields.Flag("use_sliding_window", missing: false) ? Window(fields, DefaultWindow) : null;
        int first = fields.Integer("max_window_layers", 0, Limits.Layers) ?? DefaultFirstSlidingLayer;
        return choices with { Window = window, ReadsLayerTypes = true, IsSliding = layer => layer >= first };
    }

    /// <summary>Whether each layer is a sliding one; empty where none is.</summary>
    private static bool[] SlidingLayers(ConfigFields fields, LlamaChoices choices, int layers)
    {
        IReadOnlyList<string> types = fields.Texts("layer_types");
        if (types.FirstOrDefault(type => type is not ("full_attention" or "sliding_attention")) is { } type)
        {
            fields.AddFault(FaultKinds.UnsupportedModel, $"layer_types has {Untrusted.Show(type)}; supported are full_attention and sliding_attention.");
        }

        if (choices.ReadsLayerTypes && types.Count > 0 && types.Count != layers)
        {
            fields.AddFault(FaultKinds.UnsupportedModel, $"layer_types has {types.Count} entries for {layers} layers.");
        }

        if (choices.Window is null)
        {
            return [];
        }

        bool[] sliding =
        [
            .. Enumerable.Range(0, layers).Select(layer =>
                choices.ReadsLayerTypes && types.Count == layers ? types[layer] == "sliding_attention" : choices.IsSliding(layer)),
        ];
        return sliding.Contains(true) ? sliding : [];
    }
}
