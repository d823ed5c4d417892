using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Models.Families.Configs;

/// <summary>Reads the config.json of a gpt-oss (<c>model_type</c> <c>gpt_oss</c>). Defaults are those of transformers' GptOssConfig.</summary>
internal static class GptOssConfigReader
{
    private const int DefaultHeadWidth = 64, DefaultWindow = 128, DefaultBosId = 199998, DefaultChosen = 4;
    private const double DefaultBase = 150_000, DefaultLimit = 7;

    public static ModelConfig Read(ConfigFields fields)
    {
        int count = fields.Size("num_local_experts", Limits.Experts) ?? 1;
        int chosen = fields.Integer("num_experts_per_tok", 1, count) ?? Math.Min(DefaultChosen, count);
        double limit = fields.Positive("swiglu_limit", DefaultLimit);
        bool packed = fields.Object("quantization_config") is { } quantization && IsPacked(quantization);
        bool attentionBias = fields.Flag("attention_bias", missing: true);
        return LlamaConfigReader.Read(fields, new LlamaChoices("gpt_oss")
        {
            QueryKeyValueBias = attentionBias,
            OutputBias = attentionBias,
            MlpBias = true,
            MissingNormEpsilon = 1e-5,
            HeadWidthFollows = false,
            MissingHeadWidth = DefaultHeadWidth,
            Rotary = headWidth => (new RotaryReader(fields, headWidth, "rope_theta", "partial_rotary_factor", missingFraction: 1, DefaultBase).Read(), null),
            Known = ["num_local_experts"],
            MayBePacked = true,
            Window = LlamaConfigReader.Window(fields, DefaultWindow),
            ReadsLayerTypes = true,
            IsSliding = layer => layer % 2 == 0,
            MissingBosId = DefaultBosId,
            Finish = config => config with { Sinks = true, Experts = new Experts(count, chosen, limit) { Packed = packed } },
        });
    }

    private static bool IsPacked(ConfigFields quantization)
    {
        string? method = quantization.Text("quant_method");
        if (method != "mxfp4")
        {
            quantization.AddFault(FaultKinds.UnsupportedModel, $"quant_method is {Untrusted.Show(method ?? "missing")}; supported is mxfp4, the published form of gpt-oss.");
        }

        return method == "mxfp4";
    }
}
