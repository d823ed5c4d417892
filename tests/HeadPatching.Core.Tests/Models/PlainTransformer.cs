using System.Text.Json.Nodes;
using HeadPatching.Core.Models.Safetensors;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Models;

/// <summary>
/// The families other than GPT-2 as their papers define them, in loops over doubles, straight from config.json and the weights file: slow, and
/// sharing no line with what it is compared with. One prompt, no batches, no fused matrices.
/// </summary>
internal sealed class PlainTransformer
{
    private readonly JsonObject _config;
    private readonly Dictionary<string, (double[] Values, long[] Shape)> _tensors;
    private readonly bool _neox;

    public PlainTransformer(string folder)
    {
        _config = (JsonObject)JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "config.json")))!;
        _neox = Text("model_type") == "gpt_neox";
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(folder, "model.safetensors"));
        using var scope = NewDisposeScope();
        _tensors = file.Tensors.Keys.ToDictionary(name => name, name =>
        {
            Tensor tensor = file.Read(name, ScalarType.Float64, CPU);
            return (tensor.data<double>().ToArray(), tensor.shape);
        });
    }

    /// <summary>What a run has at TransformerLens's hook points, [layer]: q, k, v and z are [head][position][d_head], pattern is [head][query][key].</summary>
    public sealed record Run(double[] LastLogits, List<double[][][]> Q, List<double[][][]> K, List<double[][][]> V, List<double[][][]> Pattern, List<double[][][]> Z);

    public Run Forward(IReadOnlyList<int> ids)
    {
        int width = Size("hidden_size"), heads = Size("num_attention_heads"), positions = ids.Count;
        int keyHeads = _config["num_key_value_heads"] is { } k ? (int)k : heads;
        int headWidth = _config["head_dim"] is { } d ? (int)d : width / heads;
        string model = _neox ? "gpt_neox." : "model.";
        double[][] resid = [.. ids.Select(id => Row(model + (_neox ? "embed_in.weight" : "embed_tokens.weight"), id))];
        var run = new Run([], [], [], [], [], []);
        for (int layer = 0; layer < Size("num_hidden_layers"); layer++)
        {
            string at = $"{model}layers.{layer}.";
            double[][] normed = [.. resid.Select(x => Norm(x, at + "input_layernorm"))];
            double[][][] q = Heads(normed, at, "q", heads, headWidth), keys = Heads(normed, at, "k", keyHeads, headWidth), v = Heads(normed, at, "v", keyHeads, headWidth);
            double[][][] turnedQ = Turned(q, at + "self_attn.q_norm"), turnedK = Turned(keys, at + "self_attn.k_norm");
            double[][][] pattern = new double[heads][][], z = new double[heads][][];
            for (int head = 0; head < heads; head++)
            {
                int shared = head / (heads / keyHeads);
                pattern[head] = [.. Enumerable.Range(0, positions).Select(query => Softmax(
                    [.. Enumerable.Range(0, positions).Select(key => key > query ? double.NegativeInfinity : Dot(turnedQ[head][query], turnedK[shared][key]) / Math.Sqrt(headWidth))]))];
                z[head] = [.. pattern[head].Select(row => Enumerable.Range(0, headWidth).Select(i => Enumerable.Range(0, positions).Sum(key => row[key] * v[shared][key][i])).ToArray())];
            }

            string output = at + (_neox ? "attention.dense" : "self_attn.o_proj");
            double[][] attention = [.. Enumerable.Range(0, positions).Select(p => Linear([.. z.SelectMany(head => head[p])], output))];
            double[][] mid = [.. resid.Zip(attention, Sum)];
            double[][] read = _neox && (bool)_config["use_parallel_residual"]! ? resid : mid;
            resid = [.. mid.Zip(read.Select(x => Mlp(Norm(x, at + "post_attention_layernorm"), at + "mlp.")), Sum)];
            run.Q.Add(q);
            run.K.Add(keys);
            run.V.Add(v);
            run.Pattern.Add(pattern);
            run.Z.Add(z);
        }

        double[] last = Norm(resid[^1], model + (_neox ? "final_layer_norm" : "norm"));
        string unembedding = (bool?)_config["tie_word_embeddings"] == true ? model + "embed_tokens" : _neox ? "embed_out" : "lm_head";
        return run with { LastLogits = Linear(last, unembedding) };
    }

    private double[][][] Heads(double[][] normed, string at, string part, int heads, int headWidth)
    {
        if (!_neox)
        {
            double[][] projected = [.. normed.Select(x => Linear(x, $"{at}self_attn.{part}_proj"))];
            return [.. Enumerable.Range(0, heads).Select(head => projected.Select(x => x[(head * headWidth)..((head + 1) * headWidth)]).ToArray())];
        }

        // For each head its q, k and v, one after another.
        double[][] all = [.. normed.Select(x => Linear(x, at + "attention.query_key_value"))];
        int offset = "qkv".IndexOf(part, StringComparison.Ordinal);
        return [.. Enumerable.Range(0, heads).Select(head => all.Select(x => x[(((3 * head) + offset) * headWidth)..(((3 * head) + offset + 1) * headWidth)]).ToArray())];
    }

    /// <summary>Normed where the model norms queries and keys, then turned by each position.</summary>
    private double[][][] Turned(double[][][] x, string norm) =>
        [.. x.Select(head => head.Select((vector, position) => Turn(_tensors.ContainsKey(norm + ".weight") ? Norm(vector, norm) : vector, position)).ToArray())];

    private double[] Turn(double[] x, int position)
    {
        int width = _neox ? (int)Math.Round(Number("rotary_pct") * x.Length) : x.Length;
        double @base = Number(_neox ? "rotary_emb_base" : "rope_theta");
        double[] turned = [.. x];
        for (int i = 0; i < width / 2; i++)
        {
            double angle = position * Scaled(Math.Pow(@base, -2.0 * i / width));
            int j = i + (width / 2);
            turned[i] = (x[i] * Math.Cos(angle)) - (x[j] * Math.Sin(angle));
            turned[j] = (x[j] * Math.Cos(angle)) + (x[i] * Math.Sin(angle));
        }

        return turned;
    }

    /// <summary>A frequency after rope_scaling; llama3 as Meta's code has it, by wavelengths.</summary>
    private double Scaled(double frequency)
    {
        if (_config["rope_scaling"] is not JsonObject scaling)
        {
            return frequency;
        }

        double factor = (double)scaling["factor"]!;
        if ((string)scaling["rope_type"]! == "linear")
        {
            return frequency / factor;
        }

        double low = (double)scaling["low_freq_factor"]!, high = (double)scaling["high_freq_factor"]!, old = (double)scaling["original_max_position_embeddings"]!;
        double wavelength = 2 * Math.PI / frequency;
        if (wavelength < old / high)
        {
            return frequency;
        }

        if (wavelength > old / low)
        {
            return frequency / factor;
        }

        double smooth = ((old / wavelength) - low) / (high - low);
        return ((1 - smooth) * frequency / factor) + (smooth * frequency);
    }

    private double[] Norm(double[] x, string name)
    {
        double[] weight = _tensors[name + ".weight"].Values;
        if (!_neox)
        {
            double rms = Math.Sqrt(x.Average(value => value * value) + Number("rms_norm_eps"));
            return [.. x.Select((value, i) => value / rms * weight[i])];
        }

        double[] bias = _tensors[name + ".bias"].Values;
        double mean = x.Average(), deviation = Math.Sqrt(x.Average(value => (value - mean) * (value - mean)) + Number("layer_norm_eps"));
        return [.. x.Select((value, i) => ((value - mean) / deviation * weight[i]) + bias[i])];
    }

    private double[] Mlp(double[] x, string at)
    {
        if (_neox)
        {
            using var scope = NewDisposeScope();
            Tensor activated = nn.functional.gelu(tensor(Linear(x, at + "dense_h_to_4h")));
            return Linear(activated.data<double>().ToArray(), at + "dense_4h_to_h");
        }

        double[] gate = Linear(x, at + "gate_proj"), up = Linear(x, at + "up_proj");
        return Linear([.. gate.Zip(up, (g, u) => g / (1 + Math.Exp(-g)) * u)], at + "down_proj");
    }

    private double[] Linear(double[] x, string name)
    {
        double[]? bias = _tensors.TryGetValue(name + ".bias", out var found) ? found.Values : null;
        return [.. Enumerable.Range(0, (int)_tensors[name + ".weight"].Shape[0]).Select(row => Dot(Row(name + ".weight", row), x) + (bias?[row] ?? 0))];
    }

    private double[] Row(string name, int row)
    {
        var (values, shape) = _tensors[name];
        return values[(row * (int)shape[1])..((row + 1) * (int)shape[1])];
    }

    private int Size(string name) => (int)_config[name]!;

    private double Number(string name) => (double)_config[name]!;

    private string Text(string name) => (string)_config[name]!;

    private static double Dot(double[] a, double[] b) => a.Zip(b, (x, y) => x * y).Sum();

    private static double[] Sum(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x + y)];

    private static double[] Softmax(double[] scores)
    {
        double max = scores.Max();
        double[] exponentials = [.. scores.Select(score => Math.Exp(score - max))];
        return [.. exponentials.Select(value => value / exponentials.Sum())];
    }
}
