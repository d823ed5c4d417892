namespace HeadPatching.Core.Models.Families.Configs;

/// <summary>What a family that is read as a Llama chooses where another chooses otherwise.</summary>
/// <param name="Family">Its <c>model_type</c>.</param>
internal sealed record LlamaChoices(string Family)
{
    public bool QueryKeyValueBias { get; init; }

    public bool OutputBias { get; init; }

    public bool MlpBias { get; init; }

    public QueryKeyNorm QueryKeyNorm { get; init; }

    public NormPlace NormPlace { get; init; }

    /// <summary>The epsilon of the norms where config.json does not say.</summary>
    public double MissingNormEpsilon { get; init; } = 1e-6;

    /// <summary>The field of the activation function, and what it is where config.json does not say.</summary>
    public (string Field, Activation Missing) Activation { get; init; } = ("hidden_act", Models.Activation.Silu);

    /// <summary>Whether a config.json without head_dim means d_model / heads; else what it means, or null where it must say.</summary>
    public bool HeadWidthFollows { get; init; } = true;

    /// <summary>d_head where config.json does not say and it does not follow; null where it must say.</summary>
    public int? MissingHeadWidth { get; init; }

    /// <summary>Whether a config.json without num_key_value_heads means as many as heads; else it must say.</summary>
    public bool KeyValueHeadsMayBeMissing { get; init; }

    /// <summary>Whether only the first entries of queries and keys may be turned.</summary>
    public bool PartialRotary { get; init; }

    /// <summary>The rotary embedding, and that of the layers with a sliding window where it is another, given d_head.</summary>
    public Func<int?, (Rotary? All, Rotary? Sliding)>? Rotary { get; init; }

    /// <summary>Fields that change the arithmetic, and that the family is read with; in others they are refused.</summary>
    public IReadOnlyList<string> Known { get; init; } = [];

    /// <summary>Whether the family reads quantization_config itself; else it is refused.</summary>
    public bool MayBePacked { get; init; }

    /// <summary>How many positions a query of a sliding layer sees, itself included; null where none is.</summary>
    public int? Window { get; init; }

    /// <summary>Whether a layer is a sliding one, where config.json does not list them as <c>layer_types</c>, or the family does not read that.</summary>
    public Func<int, bool> IsSliding { get; init; } = _ => true;

    /// <summary>Whether <c>layer_types</c> says which layers are sliding ones.</summary>
    public bool ReadsLayerTypes { get; init; }

    /// <summary>Whether TransformerLens puts the BOS before texts.</summary>
    public bool BeginsWithBos { get; init; } = true;

    /// <summary>The BOS where config.json does not say; null for none.</summary>
    public int? MissingBosId { get; init; }

    /// <summary>Whether the unembedding is tied where config.json does not say.</summary>
    public bool MissingTied { get; init; }

    /// <summary>What only some families have: scales, soft caps, sinks and experts, put into the config that all else has been read into.</summary>
    public Func<ModelConfig, ModelConfig> Finish { get; init; } = config => config;
}
