using System.Text.Json.Nodes;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Models.Safetensors;
using HeadPatching.Core.Tests.Golden;
using HeadPatching.Testing;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Models;

/// <summary>What the families whose values are Hugging Face's own (<c>*-golden</c>) read out of their files, and what they refuse.</summary>
public class NewerFamiliesTests
{
    private static readonly string[] Goldens =
    [
        "gemma2-golden", "gemma3-golden", "olmo2-golden", "phi3-golden", "phi3-longrope-golden", "gptj-golden", "opt-golden", "opt350-golden",
        "granite-golden", "gpt_oss-golden",
    ];

    public static TheoryData<string> Models { get; } = [.. Goldens];

    [Fact]
    public void A_Gemma_2_config_is_read()
    {
        ModelConfig config = Read("gemma2-golden");
        Assert.Equal((NormPlace.BeforeAndAfter, NormKind.Rms, Activation.GeluTanh, true), (config.NormPlace, config.Norm, config.Activation, config.TiedUnembedding));
        Assert.Equal((2.0, 3.0, Math.Sqrt(60), 1 / Math.Sqrt(13)), (config.ScoreCap, config.LogitCap, config.EmbeddingScale, config.ScoreScale));
        Assert.Equal((5, "1010"), (config.SlidingWindow, Layers(config)));
        Assert.Null(Read("gemma2-golden", json => json["attn_logit_softcapping"] = null).ScoreCap);
        Assert.Equal(50, Read("gemma2-golden", json => json.Remove("attn_logit_softcapping")).ScoreCap);
        Assert.Null(Read("gemma2-golden", json => json["query_pre_attn_scalar"] = 20).ScoreScale);
    }

    [Fact]
    public void A_Gemma_3s_layers_are_those_of_its_pattern_where_it_lists_none()
    {
        Assert.Equal("1111101", Layers(Read("gemma3-golden")));
        Assert.Equal("1101101", Layers(Read("gemma3-golden", json =>
        {
            json.Remove("layer_types");
            json["sliding_window_pattern"] = 3;
        })));
        Assert.Equal("1111101", Layers(Read("gemma3-golden", json =>
        {
            json.Remove("layer_types");
            json["_sliding_window_pattern"] = 2; // transformers does not read it
        })));
        ModelConfig config = Read("gemma3-golden");
        Assert.Equal(new Rotary { Width = 16, Base = 1_000_000, Factor = 8 }, config.Rotary);
        Assert.Equal(new Rotary { Width = 16, Base = 10_000 }, config.SlidingRotary);
    }

    /// <summary>The text part of a model that sees pictures, by either of the prefixes that transformers has given it.</summary>
    [Theory]
    [InlineData("language_model.model.")]
    [InlineData("model.language_model.")]
    public void The_text_part_of_a_Gemma_3_is_read_out_of_the_whole(string prefix)
    {
        using var golden = new GoldenModel("gemma3-golden", ScalarType.Float64);
        using var folder = new TemporaryFolder();
        JsonObject text = Json("gemma3-golden");
        folder.Write("config.json", new JsonObject { ["model_type"] = "gemma3", ["text_config"] = text, ["vision_config"] = new JsonObject() }.ToJsonString());
        Rewrite("gemma3-golden", folder, name => prefix + name["model.".Length..], more: "vision_tower.layers.0.weight");
        using Transformer model = ModelFolder.Load(folder.Path, ScalarType.Float64, CPU);
        Assert.Equal("gemma3", model.Config.Family);
        AssertSameLogits(golden.Model, model);

        // What it leaves out are transformers' own sizes.
        foreach (string name in new[] { "num_attention_heads", "num_key_value_heads", "head_dim", "vocab_size", "max_position_embeddings" })
        {
            text.Remove(name);
        }

        folder.Write("config.json", new JsonObject { ["model_type"] = "gemma3", ["text_config"] = text.DeepClone() }.ToJsonString());
        ModelConfig config = ModelConfigReader.Read(folder.Path);
        Assert.Equal((8, 4, 256, 262_208, 131_072), (config.Heads, config.KeyValueHeads, config.HeadWidth, config.Vocabulary, config.Context));
    }

    [Fact]
    public void The_BOS_is_put_before_texts_as_TransformerLens_does()
    {
        foreach (string name in Goldens)
        {
            ModelConfig config = Read(name);
            Assert.Equal(name == "granite-golden" ? (null, 2) : (2, null), (config.BosId, config.UnusedBosId));
        }

        Assert.Equal(7, Read("olmo2-golden", json =>
        {
            json.Remove("bos_token_id");
            json["eos_token_id"] = 7;
        }).BosId);
    }

    [Theory]
    [InlineData("gemma2-golden", "use_bidirectional_attention", "true", "use_bidirectional_attention")]
    [InlineData("gemma2-golden", "layer_types", """["full_attention"]""", "layer_types has 1 entries for 4 layers")]
    [InlineData("gemma2-golden", "query_pre_attn_scalar", "0", "query_pre_attn_scalar")]
    [InlineData("gemma3-golden", "rope_scaling", """{"rope_type": "dynamic", "factor": 2}""", "rope_scaling.rope_type is 'dynamic'")]
    [InlineData("olmo2-golden", "clip_qkv", "8.0", "clip_qkv")]
    [InlineData("phi3-golden", "partial_rotary_factor", "0.8", "partial_rotary_factor 0.8")]
    [InlineData("phi3-longrope-golden", "rope_scaling", """{"type": "longrope", "short_factor": [1, 2], "long_factor": [1, 1, 1, 1, 1, 1]}""", "rope_scaling.short_factor is")]
    [InlineData("gptj-golden", "rotary_dim", "7", "rotary_dim is 7")]
    [InlineData("gptj-golden", "tie_word_embeddings", "true", "tie_word_embeddings")]
    [InlineData("opt-golden", "enable_bias", "false", "enable_bias")]
    [InlineData("granite-golden", "residual_multiplier", "-1", "residual_multiplier")]
    [InlineData("granite-golden", "num_local_experts", "8", "num_local_experts")]
    [InlineData("gpt_oss-golden", "num_experts_per_tok", "9", "num_experts_per_tok")]
    [InlineData("gpt_oss-golden", "quantization_config", """{"quant_method": "fp8"}""", "quant_method is 'fp8'")]
    [InlineData("gemma2-golden", "quantization_config", """{"quant_method": "bitsandbytes"}""", "(quant_method 'bitsandbytes'); quantised weights are not supported")]
    public void What_would_come_out_otherwise_is_one_fault_that_names_its_field(string name, string field, string value, string message)
    {
        Fault fault = Assert.Single(Assert.Throws<InvalidInputException>(() => Read(name, json => json[field] = JsonNode.Parse(value))).Faults);
        Assert.Equal(FaultKinds.UnsupportedModel, fault.Kind);
        Assert.Contains(message, fault.Message);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void A_model_has_as_many_weights_in_memory_as_was_said_without_reading_them(string name)
    {
        using var golden = new GoldenModel(name, ScalarType.Float32);
        Assert.Equal(golden.Model.Weights.All().Sum(weight => weight.numel()), ModelFolder.Parameters(golden.Model.Config));
    }

    /// <summary>Products of 8 bits of precision; all else is in float32.</summary>
    [Theory]
    [MemberData(nameof(Models))]
    public void In_bfloat16_the_logits_are_near(string name)
    {
        using var exact = new GoldenModel(name, ScalarType.Float64);
        using var rough = new GoldenModel(name, ScalarType.BFloat16);
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        Tensor ids = tensor(exact.Pairs[0].Clean.Select(id => (long)id).ToArray()).unsqueeze(0);
        Tensor expected = exact.Model.Logits(ids), actual = rough.Model.Logits(ids);
        Assert.Equal((ScalarType.BFloat16, ScalarType.Float32), (rough.Model.Dtype, actual.dtype));
        Assert.InRange((expected - actual.to(ScalarType.Float64)).abs().mean().item<double>(), 0, 0.03 * expected.abs().max().item<double>());
    }

    /// <summary>The same model twice: once with its experts packed, and once with the numbers that the format's specification makes of each byte.</summary>
    [Fact]
    public void Experts_that_are_packed_in_MXFP4_are_unpacked_when_they_are_read()
    {
        using var packed = new TemporaryFolder();
        using var plain = new TemporaryFolder();
        JsonObject json = Json("gpt_oss-golden");
        json["intermediate_size"] = 96;
        plain.Write("config.json", json.ToJsonString());
        json["quantization_config"] = JsonNode.Parse("""{"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]}""");
        packed.Write("config.json", json.ToJsonString());
        ModelConfig config = ModelConfigReader.Read(packed.Path);
        Assert.True(config.Experts!.Packed);

        // All but the experts are the golden model's; those are [experts, out, in / 32, 16] bytes of random numbers.
        using var scope = NewDisposeScope();
        using var generator = new Generator(5);
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(GoldenModel.Folder("gpt_oss-golden"), "model.safetensors"));
        Dictionary<string, Tensor> tensors = file.Tensors.Keys.Where(name => !name.Contains("experts", StringComparison.Ordinal)).ToDictionary(name => name, file.Read);
        for (int layer = 0; layer < config.Layers; layer++)
        {
            foreach (var (matrix, outputs, inputs) in new[] { ("gate_up_proj", 2 * 96, 64), ("down_proj", 64, 96) })
            {
                string name = $"model.layers.{layer}.mlp.experts.{matrix}";
                tensors[name + "_blocks"] = randint(0, 256, [5, outputs, inputs / 32, 16], dtype: ScalarType.Byte, generator: generator);
                tensors[name + "_scales"] = randint(118, 127, [5, outputs, inputs / 32], dtype: ScalarType.Byte, generator: generator);
                tensors[name + "_bias"] = randn([5, outputs], generator: generator);
            }
        }

        Write(packed, tensors);
        foreach (string name in tensors.Keys.Where(name => name.EndsWith("_blocks", StringComparison.Ordinal)).ToArray())
        {
            string matrix = name[..^"_blocks".Length];
            tensors[matrix] = Unpacked(tensors[name], tensors[matrix + "_scales"]);
            tensors.Remove(name);
            tensors.Remove(matrix + "_scales");
        }

        Write(plain, tensors);
        foreach (ScalarType dtype in new[] { ScalarType.Float64, ScalarType.BFloat16 })
        {
            using Transformer one = ModelFolder.Load(packed.Path, dtype, CPU), other = ModelFolder.Load(plain.Path, dtype, CPU);
            Assert.Equal(other.Weights.All().Sum(weight => weight.numel()), one.Weights.All().Sum(weight => weight.numel()));
            Assert.All(one.Weights.All().Zip(other.Weights.All()), weight => Assert.True(weight.First.equal(weight.Second).all().item<bool>()));
            AssertSameLogits(one, other);
        }

        Assert.Equal(ModelFolder.Parameters(ModelConfigReader.Read(plain.Path)), ModelFolder.Parameters(config));

        // [experts, out, blocks, 16] bytes and [experts, out, blocks] exponents -> [experts, in, out]
        static Tensor Unpacked(Tensor blocks, Tensor scales)
        {
            float[] numbers = [0, 0.5f, 1, 1.5f, 2, 3, 4, 6];
            byte[] bytes = [.. blocks.data<byte>()], exponents = [.. scales.data<byte>()];
            var values = new float[bytes.Length * 2];
            for (int i = 0; i < values.Length; i++)
            {
                int half = i % 2 == 0 ? bytes[i / 2] & 15 : bytes[i / 2] >> 4;
                values[i] = (half >= 8 ? -1 : 1) * numbers[half & 7] * MathF.Pow(2, exponents[i / 32] - 127);
            }

            return tensor(values).reshape(blocks.shape[0], blocks.shape[1], -1).transpose(1, 2).contiguous();
        }
    }

    private static void AssertSameLogits(Transformer one, Transformer other)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        Tensor ids = tensor(new long[] { 2, 30, 21, 14, 29, 35, 107, 98, 124 }).unsqueeze(0);
        Assert.True(one.Logits(ids).equal(other.Logits(ids)).all().item<bool>());
    }

    private static string Layers(ModelConfig config) => string.Concat(config.Sliding.Select(sliding => sliding ? '1' : '0'));

    private static JsonObject Json(string name) => (JsonObject)JsonNode.Parse(File.ReadAllText(Path.Combine(GoldenModel.Folder(name), "config.json")))!;

    private static ModelConfig Read(string name, Action<JsonObject>? change = null)
    {
        JsonObject json = Json(name);
        change?.Invoke(json);
        using var folder = new TemporaryFolder();
        folder.Write("config.json", json.ToJsonString());
        return ModelConfigReader.Read(folder.Path);
    }

    private static void Rewrite(string name, TemporaryFolder folder, Func<string, string> rename, string more)
    {
        using var scope = NewDisposeScope();
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(GoldenModel.Folder(name), "model.safetensors"));
        Dictionary<string, Tensor> tensors = file.Tensors.Keys.ToDictionary(rename, file.Read);
        tensors[more] = zeros(4);
        Write(folder, tensors);
    }

    private static void Write(TemporaryFolder folder, Dictionary<string, Tensor> tensors)
    {
        using FileStream stream = File.Create(folder["model.safetensors"]);
        SafetensorsWriter.Write(stream, [.. tensors.Select(tensor => (tensor.Key, tensor.Value))]);
    }
}
