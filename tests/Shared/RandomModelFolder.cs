using System.Text.Json;
using HeadPatching.Core.Models.Safetensors;
using TorchSharp;

namespace HeadPatching.Testing;

/// <summary>
/// Writes a GPT-2 model folder with random weights: as large as a test needs its sweep to be long. It has no tokenizer, so prompts are token
/// ids. The same seed gives the same weights.
/// </summary>
public static class RandomModelFolder
{
    /// <summary>Writes config.json and model.safetensors (float32); the folder is made.</summary>
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
        torch.Tensor Random(long rows, long columns) => torch.randn(rows, columns, generator: generator) * 0.05f;
    }
}
