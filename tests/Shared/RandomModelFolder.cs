using System.Text.Json;
using System.Text.Json.Nodes;
using HeadPatching.Core.Models.Safetensors;
using HeadPatching.Core.Native;
using TorchSharp;

namespace HeadPatching.Testing;

/// <summary>
/// Writes a model folder with random weights: a GPT-2 as large as a test needs its sweep to be long, or a small model of another family. It
/// has no tokenizer, so prompts are token ids. The same seed gives the same weights.
/// </summary>
public static class RandomModelFolder
{
    /// <summary>
    /// A small config.json of a family, with what makes it differ from GPT-2: 3 layers x 4 heads, d_model 32, vocabulary 60, 40 positions;
    /// but for gpt_neox 2 key/value heads, and for mistral and qwen3 a d_head that is not d_model / heads.
    /// </summary>
    /// <param name="family">gpt_neox, llama, mistral, qwen2 or qwen3.</param>
    public static JsonObject Config(string family)
    {
        var config = new JsonObject
        {
            ["model_type"] = family,
            ["num_hidden_layers"] = 3,
            ["num_attention_heads"] = 4,
            ["hidden_size"] = 32,
            ["intermediate_size"] = 48,
            ["max_position_embeddings"] = 40,
            ["vocab_size"] = 60,
            ["bos_token_id"] = 0,
            ["eos_token_id"] = 0,
            ["tie_word_embeddings"] = false,
        };
        if (family == "gpt_neox")
        {
            config["layer_norm_eps"] = 1e-5;
            config["hidden_act"] = "gelu";
            config["rotary_pct"] = 0.25;
            config["rotary_emb_base"] = 10_000;
            config["use_parallel_residual"] = true;
            return config;
        }

        config["rms_norm_eps"] = 1e-5;
        config["hidden_act"] = "silu";
        config["rope_theta"] = 10_000;
        config["num_key_value_heads"] = 2;
        if (family is "mistral" or "qwen3")
        {
            config["head_dim"] = 12;
        }

        if (family == "mistral")
        {
            config["sliding_window"] = null;
        }

        return config;
    }

    /// <summary>Writes a config.json as <see cref="Config"/> makes them, and model.safetensors (float32) for it; the folder is made.</summary>
    public static void Write(string folder, JsonObject config, int seed)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "config.json"), config.ToJsonString());
        using var scope = torch.NewDisposeScope();
        using var generator = new torch.Generator((ulong)seed);
        using FileStream stream = File.Create(Path.Combine(folder, "model.safetensors"));
        SafetensorsWriter.Write(stream, [.. Shapes(config).Select(tensor => (tensor.Name, Draw(tensor.Name, tensor.Shape)))], new Dictionary<string, string> { ["format"] = "pt" });

        // Norms near 1, all else large enough that attention is not uniform and heads differ.
        torch.Tensor Draw(string name, long[] shape)
        {
            torch.Tensor normal = torch.randn(shape, generator: generator);
            return name.Contains("norm", StringComparison.Ordinal) && name.EndsWith("weight", StringComparison.Ordinal) ? torch.ones(shape).Plus(normal * torch.tensor(0.2f)) : normal * torch.tensor(0.3f);
        }
    }

    /// <summary>Writes a GPT-2's config.json and model.safetensors (float32); the folder is made.</summary>
    public static void Write(string folder, int layers, int heads, int width, int vocabulary, int context, int seed)
    {
        Directory.CreateDirectory(folder);
        var config = new Dictionary<string, object>
        {
            ["architectures"] = new[] { "GPT2LMHeadModel" },
            ["model_type"] = "gpt2",
            ["vocab_size"] = vocabulary,
            ["n_positions"] = context,
            ["n_embd"] = width,
            ["n_layer"] = layers,
            ["n_head"] = heads,
            ["n_inner"] = 4 * width,
            ["activation_function"] = "gelu_new",
            ["layer_norm_epsilon"] = 1e-5,
            ["tie_word_embeddings"] = true,
            ["bos_token_id"] = 0,
            ["eos_token_id"] = 0,
        };
        File.WriteAllText(Path.Combine(folder, "config.json"), JsonSerializer.Serialize(config));

        using var scope = torch.NewDisposeScope();
        using var generator = new torch.Generator((ulong)seed);
        var tensors = new List<(string, torch.Tensor)>
        {
            ("wte.weight", Random(vocabulary, width)),
            ("wpe.weight", Random(context, width)),
            ("ln_f.weight", torch.ones(width)),
            ("ln_f.bias", torch.zeros(width)),
        };
        for (int layer = 0; layer < layers; layer++)
        {
            tensors.AddRange(
            [
                ($"h.{layer}.ln_1.weight", torch.ones(width)),
                ($"h.{layer}.ln_1.bias", torch.zeros(width)),
                ($"h.{layer}.attn.c_attn.weight", Random(width, 3 * width)),
                ($"h.{layer}.attn.c_attn.bias", torch.zeros(3 * width)),
                ($"h.{layer}.attn.c_proj.weight", Random(width, width)),
                ($"h.{layer}.attn.c_proj.bias", torch.zeros(width)),
                ($"h.{layer}.ln_2.weight", torch.ones(width)),
                ($"h.{layer}.ln_2.bias", torch.zeros(width)),
                ($"h.{layer}.mlp.c_fc.weight", Random(width, 4 * width)),
                ($"h.{layer}.mlp.c_fc.bias", torch.zeros(4 * width)),
                ($"h.{layer}.mlp.c_proj.weight", Random(4 * width, width)),
                ($"h.{layer}.mlp.c_proj.bias", torch.zeros(width)),
            ]);
        }

        using FileStream stream = File.Create(Path.Combine(folder, "model.safetensors"));
        SafetensorsWriter.Write(stream, tensors, new Dictionary<string, string> { ["format"] = "pt" });

        // Large enough that attention is not uniform and heads differ.
        torch.Tensor Random(long rows, long columns) => torch.randn(rows, columns, generator: generator) * torch.tensor(0.05f);
    }

    private static IEnumerable<(string Name, long[] Shape)> Shapes(JsonObject config)
    {
        long width = Size("hidden_size"), mlp = Size("intermediate_size"), heads = Size("num_attention_heads"), vocabulary = Size("vocab_size");
        bool neox = (string?)config["model_type"] == "gpt_neox";
        string model = neox ? "gpt_neox." : "model.";
        yield return (model + (neox ? "embed_in.weight" : "embed_tokens.weight"), [vocabulary, width]);
        for (int layer = 0; layer < Size("num_hidden_layers"); layer++)
        {
            foreach ((string name, long[] shape) in neox ? NeoxLayer() : LlamaLayer())
            {
                yield return ($"{model}layers.{layer}.{name}", shape);
            }
        }

        yield return (model + (neox ? "final_layer_norm.weight" : "norm.weight"), [width]);
        if (neox)
        {
            yield return (model + "final_layer_norm.bias", [width]);
        }

        if (!Flag("tie_word_embeddings"))
        {
            yield return (neox ? "embed_out.weight" : "lm_head.weight", [vocabulary, width]);
        }

        int Size(string name) => (int)config[name]!;

        bool Flag(string name) => (bool?)config[name] ?? false;

        IEnumerable<(string Name, long[] Shape)> NeoxLayer() =>
        [
            ("input_layernorm.weight", [width]),
            ("input_layernorm.bias", [width]),
            ("post_attention_layernorm.weight", [width]),
            ("post_attention_layernorm.bias", [width]),
            .. Linear("attention.query_key_value", width, 3 * width, true),
            .. Linear("attention.dense", width, width, true),
            .. Linear("mlp.dense_h_to_4h", width, mlp, true),
            .. Linear("mlp.dense_4h_to_h", mlp, width, true),
        ];

        IEnumerable<(string Name, long[] Shape)> LlamaLayer()
        {
            string family = (string)config["model_type"]!;
            long headWidth = (int?)config["head_dim"] ?? (width / heads), keyHeads = Size("num_key_value_heads");
            bool bias = Flag("attention_bias"), mlpBias = Flag("mlp_bias");
            (string, long[])[] norms = family == "qwen3" ? [("self_attn.q_norm.weight", [headWidth]), ("self_attn.k_norm.weight", [headWidth])] : [];
            return
            [
                ("input_layernorm.weight", [width]),
                ("post_attention_layernorm.weight", [width]),
                .. Linear("self_attn.q_proj", width, heads * headWidth, bias || family == "qwen2"),
                .. Linear("self_attn.k_proj", width, keyHeads * headWidth, bias || family == "qwen2"),
                .. Linear("self_attn.v_proj", width, keyHeads * headWidth, bias || family == "qwen2"),
                .. Linear("self_attn.o_proj", heads * headWidth, width, bias),
                .. norms,
                .. Linear("mlp.gate_proj", width, mlp, mlpBias),
                .. Linear("mlp.up_proj", width, mlp, mlpBias),
                .. Linear("mlp.down_proj", mlp, width, mlpBias),
            ];
        }

        static (string, long[])[] Linear(string name, long inputs, long outputs, bool bias) =>
            bias ? [(name + ".weight", [outputs, inputs]), (name + ".bias", [outputs])] : [(name + ".weight", [outputs, inputs])];
    }
}
