using System.Text.Json.Nodes;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Testing;

namespace HeadPatching.Core.Tests.Models;

/// <summary>The config.json of the families other than GPT-2: what is read, by which default, and what is refused by its name.</summary>
public class FamilyConfigTests
{
    public static TheoryData<string> Families { get; } = ["gpt_neox", "llama", "mistral", "qwen2", "qwen3"];

    [Fact]
    public void A_Pythia_config_is_read()
    {
        Assert.Equal(
            new ModelConfig
            {
                Family = "gpt_neox",
                Layers = 12,
                Heads = 12,
                KeyValueHeads = 12,
                HeadWidth = 64,
                Width = 768,
                MlpWidth = 3072,
                Context = 2048,
                Vocabulary = 50304,
                NormEpsilon = 1e-5,
                Activation = Activation.Gelu,
                Rotary = new Rotary { Width = 16, Base = 10_000 },
                ParallelResidual = true,
                BosId = null, // as TransformerLens, though config.json has one
                UnusedBosId = 0,
                TiedUnembedding = false,
            },
            Parse(
                """
                {"architectures": ["GPTNeoXForCausalLM"], "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "gelu", "hidden_size": 768,
                "initializer_range": 0.02, "intermediate_size": 3072, "layer_norm_eps": 1e-05, "max_position_embeddings": 2048,
                "model_type": "gpt_neox", "num_attention_heads": 12, "num_hidden_layers": 12, "rotary_emb_base": 10000, "rotary_pct": 0.25,
                "tie_word_embeddings": false, "torch_dtype": "float16", "transformers_version": "4.24.0", "use_cache": true,
                "use_parallel_residual": true, "vocab_size": 50304}
                """));
    }

    [Fact]
    public void A_Llama_3_2_config_is_read()
    {
        Assert.Equal(
            new ModelConfig
            {
                Family = "llama",
                Layers = 16,
                Heads = 32,
                KeyValueHeads = 8,
                HeadWidth = 64,
                Width = 2048,
                MlpWidth = 8192,
                Context = 131072,
                Vocabulary = 128256,
                Norm = NormKind.Rms,
                NormEpsilon = 1e-5,
                Activation = Activation.Silu,
                GatedMlp = true,
                Rotary = new Rotary { Width = 64, Base = 500_000, Factor = 32, Bands = new RotaryBands(1, 4, 8192) },
                QueryKeyValueBias = false,
                OutputBias = false,
                MlpBias = false,
                BosId = 128000,
                TiedUnembedding = true,
            },
            Parse(
                """
                {"architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0, "bos_token_id": 128000,
                "eos_token_id": 128001, "head_dim": 64, "hidden_act": "silu", "hidden_size": 2048, "initializer_range": 0.02,
                "intermediate_size": 8192, "max_position_embeddings": 131072, "mlp_bias": false, "model_type": "llama",
                "num_attention_heads": 32, "num_hidden_layers": 16, "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
                "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                "original_max_position_embeddings": 8192, "rope_type": "llama3"}, "rope_theta": 500000.0, "tie_word_embeddings": true,
                "torch_dtype": "bfloat16", "transformers_version": "4.45.0.dev0", "use_cache": true, "vocab_size": 128256}
                """));
    }

    [Fact]
    public void Rotary_parameters_are_read_in_the_form_of_transformers_5()
    {
        JsonObject json = RandomModelFolder.Config("llama");
        json.Remove("rope_theta");
        json["rope_parameters"] = JsonNode.Parse("""{"rope_type": "default", "rope_theta": 500000.0}""");
        Assert.Equal(new Rotary { Width = 8, Base = 500_000 }, Read(json).Rotary);

        json = RandomModelFolder.Config("gpt_neox");
        json.Remove("rotary_pct");
        json["rope_parameters"] = JsonNode.Parse("""{"rope_type": "default", "rope_theta": 20000, "partial_rotary_factor": 0.5}""");
        Assert.Equal(new Rotary { Width = 4, Base = 20_000 }, Read(json).Rotary);
    }

    [Fact]
    public void The_BOS_is_put_before_texts_as_TransformerLens_does()
    {
        Assert.Equal(0, Read(RandomModelFolder.Config("llama")).BosId);
        Assert.Equal(0, Read(RandomModelFolder.Config("mistral")).BosId);
        Assert.Null(Read(RandomModelFolder.Config("gpt_neox")).BosId);
        Assert.Null(Read(RandomModelFolder.Config("qwen2")).BosId);
        Assert.Null(Read(RandomModelFolder.Config("qwen3")).BosId);
        Assert.Null(Read("llama", "bos_token_id", "null").BosId);

        // What --bos always puts there: the one that config.json names, where it is a token.
        Assert.Null(Read(RandomModelFolder.Config("llama")).UnusedBosId);
        Assert.Equal(0, Read(RandomModelFolder.Config("gpt_neox")).UnusedBosId);
        Assert.Equal(0, Read(RandomModelFolder.Config("qwen3")).UnusedBosId);
        Assert.Null(Read("qwen2", "bos_token_id", "null").UnusedBosId);
        Assert.Null(Read("qwen2", "bos_token_id", "151643").UnusedBosId);
    }

    [Theory]
    [InlineData("mistral", """{"sliding_window": 24}""", 24, "111")]
    [InlineData("mistral", """{"sliding_window": null}""", null, "")]
    [InlineData("mistral", """{"sliding_window": 24, "layer_types": ["full_attention", "full_attention", "full_attention"]}""", 24, "111")] // transformers does not read it
    [InlineData("qwen2", """{"sliding_window": 24}""", null, "")]
    [InlineData("qwen2", """{"sliding_window": 24, "use_sliding_window": false}""", null, "")]
    [InlineData("qwen2", """{"sliding_window": 24, "use_sliding_window": true}""", null, "")] // from layer 28 on
    [InlineData("qwen2", """{"sliding_window": 24, "use_sliding_window": true, "max_window_layers": 1}""", 24, "011")]
    [InlineData("qwen3", """{"sliding_window": 24, "use_sliding_window": true, "max_window_layers": 0}""", 24, "111")]
    [InlineData("qwen3", """{"sliding_window": 24, "use_sliding_window": true, "layer_types": ["full_attention", "sliding_attention", "full_attention"]}""", 24, "010")]
    [InlineData("llama", """{"sliding_window": 24}""", null, "")]
    public void A_sliding_window_is_that_of_the_layers_which_have_it(string family, string changes, int? window, string layers)
    {
        JsonObject json = RandomModelFolder.Config(family);
        foreach (var (name, value) in (JsonObject)JsonNode.Parse(changes)!)
        {
            json[name] = value?.DeepClone();
        }

        ModelConfig config = Read(json);
        Assert.Equal((40, window, layers), (config.Context, config.SlidingWindow, string.Concat(config.Sliding.Select(sliding => sliding ? '1' : '0'))));
        Assert.Equal(layers.Select(sliding => sliding == '1' ? window : null), Enumerable.Range(0, layers.Length).Select(config.Window));
    }

    [Fact]
    public void A_Mistral_that_says_nothing_of_a_window_has_the_one_of_transformers()
    {
        JsonObject json = RandomModelFolder.Config("mistral");
        json.Remove("sliding_window");
        json["max_position_embeddings"] = 32768;
        Assert.Equal((32768, 4096), (Read(json).Context, Read(json).SlidingWindow));
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void A_missing_size_is_one_fault_that_names_it(string family)
    {
        string[] sizes = ["num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size", "max_position_embeddings", "vocab_size"];
        if (family is "mistral" or "qwen2" or "qwen3")
        {
            sizes = [.. sizes, "num_key_value_heads"];
        }

        if (family == "qwen3")
        {
            sizes = [.. sizes, "head_dim"];
        }

        foreach (string size in sizes)
        {
            JsonObject json = RandomModelFolder.Config(family);
            json.Remove(size);
            Fault fault = Assert.Single(Assert.Throws<InvalidInputException>(() => Read(json)).Faults);
            Assert.Equal((FaultKinds.Missing, $"{size} is missing."), (fault.Kind, fault.Message));
        }
    }

    [Theory]
    [InlineData("llama", "rope_scaling", """{"rope_type": "proportional", "factor": 4.0}""", "rope_scaling.rope_type is 'proportional'")]
    [InlineData("llama", "rope_scaling", """{"rope_type": "yarn"}""", "rope_scaling.factor is missing")]
    [InlineData("llama", "rope_scaling", """{"rope_type": "yarn", "factor": 4.0, "finetuned": true}""", "rope_scaling.finetuned")]
    [InlineData("llama", "rope_scaling", """{"type": "dynamic", "factor": 4.0}""", "rope_scaling.rope_type is 'dynamic'")]
    [InlineData("llama", "rope_scaling", """{"rope_type": "longrope", "short_factor": [1, 1, 1, 1]}""", "rope_scaling.long_factor is missing")]
    [InlineData("llama", "rope_scaling", """{"rope_type": "longrope", "short_factor": [1, 1, 1, 1], "long_factor": [1, 0, 1, 1]}""", "rope_scaling.long_factor is")]
    [InlineData("qwen2", "rope_scaling", """{"rope_type": "default", "mrope_section": [1, 2]}""", "rope_scaling.mrope_section")]
    [InlineData("llama", "rope_scaling", """{"rope_type": "linear"}""", "rope_scaling.factor is missing")]
    [InlineData("llama", "rope_scaling", """{"rope_type": "linear", "factor": -1}""", "rope_scaling.factor is '-1'")]
    [InlineData("llama", "rope_scaling", """{"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4}""", "rope_scaling.original_max_position_embeddings is missing")]
    [InlineData("llama", "rope_scaling", """{"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 4, "original_max_position_embeddings": 9}""", "high_freq_factor must be above")]
    [InlineData("llama", "rope_scaling", "\"linear\"", "rope_scaling is")]
    [InlineData("llama", "rope_theta", "0", "rope_theta is '0'")]
    [InlineData("llama", "partial_rotary_factor", "0.5", "partial_rotary_factor")]
    [InlineData("gpt_neox", "rotary_pct", "0.3", "rotary_pct 0.3")]
    [InlineData("gpt_neox", "rotary_pct", "2", "rotary_pct 2")]
    [InlineData("gpt_neox", "use_parallel_residual", "1", "use_parallel_residual")]
    [InlineData("gpt_neox", "num_attention_heads", "5", "hidden_size 32 is not a multiple of num_attention_heads 5")]
    [InlineData("llama", "num_attention_heads", "6", "hidden_size 32 is not a multiple of num_attention_heads 6")]
    [InlineData("llama", "num_key_value_heads", "3", "num_attention_heads 4 is not a multiple of num_key_value_heads 3")]
    [InlineData("llama", "head_dim", "7", "must be an even number")]
    [InlineData("llama", "final_logit_softcapping", "30.0", "final_logit_softcapping")]
    [InlineData("llama", "attn_logit_softcapping", "50.0", "attn_logit_softcapping")]
    [InlineData("llama", "num_local_experts", "8", "num_local_experts")]
    [InlineData("llama", "quantization_config", """{"quant_method": "gptq"}""", "quantization_config")]
    [InlineData("qwen2", "layer_types", """["full_attention", "linear_attention", "full_attention"]""", "linear_attention")]
    [InlineData("qwen2", "use_sliding_window", "\"yes\"", "use_sliding_window")]
    [InlineData("mistral", "sliding_window", "0", "sliding_window")]
    [InlineData("mistral", "hidden_act", "\"gelu_fast\"", "hidden_act")]
    [InlineData("mistral", "attention_bias", "true", "attention_bias")]
    public void What_would_come_out_otherwise_is_one_fault_that_names_its_field(string family, string field, string value, string message)
    {
        Fault fault = Assert.Single(Assert.Throws<InvalidInputException>(() => Read(family, field, value)).Faults);
        Assert.Contains(message, fault.Message);
        Assert.EndsWith("config.json", fault.Where);
    }

    [Fact]
    public void A_rope_scaling_and_rope_parameters_that_disagree_are_refused()
    {
        JsonObject json = RandomModelFolder.Config("llama");
        json["rope_scaling"] = JsonNode.Parse("""{"rope_type": "linear", "factor": 2.0}""");
        json["rope_parameters"] = JsonNode.Parse("""{"rope_type": "linear", "factor": 4.0, "rope_theta": 10000}""");
        Assert.Contains("rope_parameters", Assert.Single(Assert.Throws<InvalidInputException>(() => Read(json)).Faults).Message);
    }

    private static ModelConfig Read(string family, string field, string value)
    {
        JsonObject json = RandomModelFolder.Config(family);
        json[field] = JsonNode.Parse(value);
        return Read(json);
    }

    private static ModelConfig Parse(string json) => Read((JsonObject)JsonNode.Parse(json)!);

    private static ModelConfig Read(JsonObject json)
    {
        using var folder = new TemporaryFolder();
        folder.Write("config.json", json.ToJsonString());
        return ModelConfigReader.Read(folder.Path);
    }
}
