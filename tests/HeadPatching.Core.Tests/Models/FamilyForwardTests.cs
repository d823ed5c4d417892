using System.Text.Json.Nodes;
using HeadPatching.Core.Models;
using HeadPatching.Core.Models.Safetensors;
using HeadPatching.Core.Native;
using HeadPatching.Testing;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Models;

/// <summary>Every family, with every choice that its config.json may make, equals <see cref="PlainTransformer"/> at every hook point.</summary>
public class FamilyForwardTests(ITestOutputHelper output)
{
    /// <summary>With a d_head of 16 and a base of 100 there are frequencies that stay, that are divided, and between the two.</summary>
    private const string Llama3Scaling =
        """{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32}""";

    private static readonly int[] Prompt = [0, 17, 4, 59, 23, 4, 31, 8, 17, 42, 11, 2];

    public static TheoryData<string, string> Models { get; } = new()
    {
        { "gpt_neox", "{}" },
        { "gpt_neox", """{"use_parallel_residual": false}""" },
        { "gpt_neox", """{"rotary_pct": 1.0, "rope_scaling": {"rope_type": "linear", "factor": 4.0}}""" },
        { "llama", "{}" },
        { "llama", """{"attention_bias": true, "mlp_bias": true, "head_dim": 6, "num_key_value_heads": 1}""" },
        { "llama", """{"num_key_value_heads": 4, "tie_word_embeddings": true}""" },
        { "llama", $$"""{"head_dim": 16, "rope_theta": 100.0, "rope_scaling": {{Llama3Scaling}}}""" },
        { "llama", """{"rope_scaling": {"rope_type": "linear", "factor": 2.5}}""" },
        { "mistral", "{}" },
        { "mistral", """{"sliding_window": 4}""" },
        { "mistral", """{"sliding_window": 1}""" },
        { "qwen2", """{"rope_theta": 1000000.0}""" },
        { "qwen2", """{"use_sliding_window": true, "sliding_window": 3, "max_window_layers": 1}""" },
        { "qwen3", "{}" },
        { "qwen3", """{"use_sliding_window": true, "sliding_window": 5, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}""" },
        { "qwen3", """{"attention_bias": true, "tie_word_embeddings": true}""" },
    };

    [Theory]
    [MemberData(nameof(Models))]
    public void Logits_and_activations_are_those_of_a_plain_implementation(string family, string changes)
    {
        using var folder = new TemporaryFolder();
        Write(folder, family, changes);
        using Transformer model = ModelFolder.Load(folder.Path, ScalarType.Float64, CPU);
        PlainTransformer.Run plain = new PlainTransformer(folder.Path).Forward(Prompt);
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        Tensor ids = tensor(Prompt.Select(id => (long)id).ToArray()).unsqueeze(0);
        AssertEqual(plain.LastLogits, model.Logits(ids)[0, -1]);

        Tensor resid = model.Embed(ids);
        for (int layer = 0; layer < model.Config.Layers; layer++)
        {
            var (q, k, v) = model.QueryKeyValue(layer, resid);
            AssertEqual(Flat(plain.Q[layer]), q);
            AssertEqual(Flat(plain.K[layer]), k);
            AssertEqual(Flat(plain.V[layer]), v);
            AssertEqual(Flat(plain.Pattern[layer]), model.Pattern(layer, q, k));
            Tensor z = model.Attend(layer, q, k, v);
            AssertEqual(Flat(plain.Z[layer]), z);

            // The last queries alone, and keys and values already one for each query head: what patching asks for.
            int sharing = model.Config.Heads / model.Config.KeyValueHeads;
            Tensor eachK = k.repeat_interleave(sharing, 1), eachV = v.repeat_interleave(sharing, 1);
            foreach (int first in new[] { 5, Prompt.Length - 1 })
            {
                Tensor lastQ = q.narrow(2, first, Prompt.Length - first), lastZ = z.narrow(2, first, Prompt.Length - first);
                Assert.True(model.Attend(layer, lastQ, k, v).allclose(lastZ, 1e-9, 1e-9));
                Assert.True(model.Attend(layer, lastQ, eachK, eachV).allclose(lastZ, 1e-9, 1e-9));
                Assert.True(model.Pattern(layer, lastQ, eachK).matmul(eachV).allclose(lastZ, 1e-9, 1e-9));
            }

            Tensor normed = model.AttentionNorm(layer, resid);
            var (keyAlone, valueAlone) = model.KeyValue(layer, normed);
            Assert.True(model.Query(layer, normed).allclose(q, 1e-9, 1e-9) && keyAlone.allclose(k, 1e-9, 1e-9) && valueAlone.allclose(v, 1e-9, 1e-9));
            Tensor mid = resid.Plus(model.AttentionOut(layer, z));
            resid = mid.Plus(model.MlpOut(layer, model.Config.ParallelResidual ? resid : mid));
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Lower_types_give_the_same_within_their_precision(string family, string changes)
    {
        using var folder = new TemporaryFolder();
        Write(folder, family, changes);
        double[] plain = new PlainTransformer(folder.Path).Forward(Prompt).LastLogits;
        double scale = plain.Max(Math.Abs);

        // bfloat16's weights are others: what they change by themselves a random model may do much with, and the products' rounding about as much again.
        using var rounded = new TemporaryFolder();
        WriteRounded(folder.Path, rounded.Path);
        double ofWeights = plain.Zip(new PlainTransformer(rounded.Path).Forward(Prompt).LastLogits, (one, other) => Math.Abs(one - other)).Max() / scale;
        foreach ((ScalarType dtype, double bound) in new[] { (ScalarType.Float32, 1e-5), (ScalarType.BFloat16, 0.015 + (2 * ofWeights)) })
        {
            using Transformer model = ModelFolder.Load(folder.Path, dtype, CPU);
            using var mode = inference_mode();
            using var scope = NewDisposeScope();
            Tensor logits = model.Logits(tensor(Prompt.Select(id => (long)id).ToArray()).unsqueeze(0))[0, -1];
            Assert.Equal((dtype, ScalarType.Float32), (model.Dtype, logits.dtype));
            output.WriteLine($"{dtype}: off by {plain.Zip(logits.to(ScalarType.Float64).data<double>(), (one, other) => Math.Abs(one - other)).Max() / scale:G3} of {bound:G3}");
            Assert.All(plain.Zip(logits.to(ScalarType.Float64).data<double>()), pair => Assert.InRange(Math.Abs(pair.First - pair.Second), 0, bound * scale));
        }
    }

    /// <summary>Training and attribution run the same pass with gradients.</summary>
    [Theory]
    [InlineData("gpt_neox")]
    [InlineData("qwen3")]
    public void Gradients_reach_every_weight(string family)
    {
        using var folder = new TemporaryFolder();
        Write(folder, family, "{}");
        using Transformer model = ModelFolder.Load(folder.Path, ScalarType.Float64, CPU);
        using var scope = NewDisposeScope();
        foreach (Tensor weight in model.Weights.All())
        {
            weight.requires_grad = true;
        }

        model.Logits(tensor(Prompt.Select(id => (long)id).ToArray()).unsqueeze(0)).Squared().sum().backward();
        Assert.All(model.Weights.All(), weight => Assert.True(weight.grad!.abs().sum().item<double>() > 0));
    }

    internal static void Write(TemporaryFolder folder, string family, string changes)
    {
        JsonObject config = RandomModelFolder.Config(family);
        foreach (var (name, value) in (JsonObject)JsonNode.Parse(changes)!)
        {
            config[name] = value?.DeepClone();
        }

        RandomModelFolder.Write(folder.Path, config, seed: 7);
    }

    /// <summary>The same model with matrices as bfloat16 has them.</summary>
    private static void WriteRounded(string from, string to)
    {
        File.Copy(Path.Combine(from, "config.json"), Path.Combine(to, "config.json"));
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(from, "model.safetensors"));
        using var scope = NewDisposeScope();
        using FileStream stream = File.Create(Path.Combine(to, "model.safetensors"));
        SafetensorsWriter.Write(stream, [.. file.Tensors.Keys.Select(name => (name, Rounded(file.Read(name, ScalarType.Float32, CPU))))]);

        static Tensor Rounded(Tensor weight) => weight.shape.Length > 1 ? weight.to(ScalarType.BFloat16).to(ScalarType.Float32) : weight;
    }

    private static double[] Flat(double[][][] values) => [.. values.SelectMany(head => head.SelectMany(row => row))];

    private static void AssertEqual(double[] expected, Tensor actual)
    {
        double[] values = [.. actual.contiguous().data<double>()];
        Assert.Equal(expected.Length, values.Length);
        Assert.All(expected.Zip(values), pair => Assert.InRange(Math.Abs(pair.First - pair.Second), 0, 1e-9));
    }
}
