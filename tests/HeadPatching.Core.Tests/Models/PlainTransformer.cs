using System.Text.Json.Nodes;
using HeadPatching.Core.Models.Safetensors;
using HeadPatching.Core.Patching;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Models;

/// <summary>
/// Every family as its paper defines it, in loops over doubles, straight from config.json and the weights file: slow, and sharing no line
/// with what it is compared with. One prompt, no batches, no fused matrices. GPT-2 is read as a GPT-NeoX with serial blocks, positions that
/// are added, and another GELU.
/// </summary>
internal sealed class PlainTransformer
{
    private readonly JsonObject _config;
    private readonly Dictionary<string, (double[] Values, long[] Shape)> _tensors;
    private readonly bool _gpt2;
    private readonly bool _neox;
    private NormScales _scales = new();
    private bool _recording;

    public PlainTransformer(string folder)
    {
        _config = (JsonObject)JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "config.json")))!;
        _gpt2 = Text("model_type") == "gpt2";
        _neox = _gpt2 || Text("model_type") == "gpt_neox";
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(folder, "model.safetensors"));
        using var scope = NewDisposeScope();
        _tensors = file.Tensors.Keys.ToDictionary(name => name, name =>
        {
            Tensor tensor = file.Read(name, ScalarType.Float64, CPU);
            return (tensor.data<double>().ToArray(), tensor.shape);
        });
        if (_gpt2)
        {
            (_config, _tensors) = (NeoxConfig(_config), NeoxTensors(_tensors, heads: Size("n_head")));
        }
    }

    /// <summary>What a run has at TransformerLens's hook points, [layer]: q, k, v and z are [head][position][d_head], pattern is [head][query][key].</summary>
    public sealed record Run(double[] LastLogits, List<double[][][]> Q, List<double[][][]> K, List<double[][][]> V, List<double[][][]> Pattern, List<double[][][]> Z);

    /// <summary>What every norm divides by, in the order in which a run comes to them.</summary>
    public sealed class NormScales
    {
        public List<double> Values { get; } = [];

        public int Next { get; set; }
    }

    /// <summary>What nodes write into the stream, [position][d_model]: the embedding, each head by [layer][head], each MLP by [layer].</summary>
    public sealed record Written(double[][] Embedding, List<double[][][]> Heads, List<double[][]> Mlps);

    /// <summary>What every node writes.</summary>
    public Written WrittenBy(IReadOnlyList<int> ids)
    {
        double[][] embedding = [];
        var mlps = new List<double[][]>();
        Run run = Forward(ids, read: Reading, wrote: mlps.Add);
        return new Written(embedding, [.. run.Z.Select((z, layer) => z.Select((own, head) => own.Select(x => HeadOut(x, layer, head, z.Length)).ToArray()).ToArray())], mlps);

        double[][] Reading(int layer, string part, int head, double[][] stream)
        {
            embedding = layer == 0 && part == "q" ? stream : embedding;
            return stream;
        }
    }

    /// <summary>z W_O of one head, without b_O.</summary>
    private double[] HeadOut(double[] z, int layer, int head, int heads)
    {
        string output = _neox ? $"gpt_neox.layers.{layer}.attention.dense" : $"model.layers.{layer}.self_attn.o_proj";
        double[] all = new double[heads * z.Length], none = new double[all.Length];
        z.CopyTo(all, head * z.Length);
        return [.. Linear(all, output).Zip(Linear(none, output), (own, bias) => own - bias)];
    }

    /// <summary>A run from token ids to the last position's logits.</summary>
    /// <param name="ids">The tokens.</param>
    /// <param name="at">Given hook_q, hook_k, hook_v, the pattern and hook_z of each layer, [head][position][..], what stands in their place.</param>
    /// <param name="frozen">Where it holds scales, the norms divide by those; where it is empty, it is given this run's.</param>
    /// <param name="read">
    /// Given the layer, q, k, v, mlp or logits, the query head and the stream before the norm, [position][d_model], what is read in its place: the same
    /// array, or another. Keys and values are asked for once for each query head, also where heads share them.
    /// </param>
    /// <param name="wrote">Told what each MLP writes.</param>
    public Run Forward(
        IReadOnlyList<int> ids,
        Func<Patch, int, double[][][], double[][][]>? at = null,
        NormScales? frozen = null,
        Func<int, string, int, double[][], double[][]>? read = null,
        Action<double[][]>? wrote = null)
    {
        at ??= (_, _, x) => x;
        read ??= (_, _, _, x) => x;
        _scales = frozen ?? new NormScales();
        _recording = _scales.Values.Count == 0;
        _scales.Next = 0;
        int width = Size("hidden_size"), heads = Size("num_attention_heads"), positions = ids.Count;
        int keyHeads = _config["num_key_value_heads"] is { } k ? (int)k : heads;
        int headWidth = _config["head_dim"] is { } d ? (int)d : width / heads;
        string model = _neox ? "gpt_neox." : "model.";
        double[][] resid = [.. ids.Select((id, position) => Embedded(model + (_neox ? "embed_in.weight" : "embed_tokens.weight"), id, position))];
        var run = new Run([], [], [], [], [], []);
        for (int layer = 0; layer < Size("num_hidden_layers"); layer++)
        {
            string name = $"{model}layers.{layer}.";
            double[][] before = resid;
            double[][] normed = [.. resid.Select(x => Norm(x, name + "input_layernorm"))];
            double[][][] q = at(Patch.Q, layer, Heads(normed, name, "q", heads, headWidth));
            double[][][] keys = at(Patch.K, layer, Heads(normed, name, "k", keyHeads, headWidth)), v = at(Patch.V, layer, Heads(normed, name, "v", keyHeads, headWidth));
            double[][][] queryOf = Reading("q", q), keyOf = Reading("k", [.. q.Select((_, head) => keys[Shared(head)])]), valueOf = Reading("v", [.. q.Select((_, head) => v[Shared(head)])]);
            double[][][] turnedQ = Turned(queryOf, name + "self_attn.q_norm"), turnedK = Turned(keyOf, name + "self_attn.k_norm");
            double[][][] pattern = at(Patch.Pattern, layer, [.. Enumerable.Range(0, heads).Select(head => Enumerable.Range(0, positions).Select(query => Softmax(
                [.. Enumerable.Range(0, positions).Select(key => key > query || key <= query - Window(layer) ? double.NegativeInfinity : Dot(turnedQ[head][query], turnedK[head][key]) / Math.Sqrt(headWidth))])).ToArray())]);
            double[][][] z = at(Patch.Z, layer, [.. pattern.Select((rows, head) => rows.Select(row =>
                Enumerable.Range(0, headWidth).Select(i => Dot(row, [.. valueOf[head].Select(value => value[i])])).ToArray()).ToArray())]);
            string output = name + (_neox ? "attention.dense" : "self_attn.o_proj");
            double[][] attention = [.. Enumerable.Range(0, positions).Select(p => Linear([.. z.SelectMany(head => head[p])], output))];
            double[][] mid = [.. resid.Zip(attention, Sum)];
            double[][] mlpReads = read(layer, "mlp", 0, _neox && (bool)_config["use_parallel_residual"]! ? resid : mid);
            double[][] mlp = [.. mlpReads.Select(x => Mlp(Norm(x, name + "post_attention_layernorm"), name + "mlp."))];
            wrote?.Invoke(mlp);
            resid = [.. mid.Zip(mlp, Sum)];
            run.Q.Add(q);
            run.K.Add(keys);
            run.V.Add(v);
            run.Pattern.Add(pattern);
            run.Z.Add(z);

            // The heads that read another stream than the layer does.
            double[][][] Reading(string part, double[][][] own) =>
            [
                .. own.Select((ofHead, head) =>
                {
                    double[][] other = read(layer, part, head, before);
                    return ReferenceEquals(other, before)
                        ? ofHead
                        : Heads([.. other.Select(x => Norm(x, name + "input_layernorm"))], name, part, part == "q" ? heads : keyHeads, headWidth)[part == "q" ? head : Shared(head)];
                }),
            ];
        }

        double[] last = Norm(read(Size("num_hidden_layers"), "logits", 0, resid)[^1], model + (_neox ? "final_layer_norm" : "norm"));
        string unembedding = (bool?)_config["tie_word_embeddings"] == true ? model + "embed_tokens" : _neox ? "embed_out" : "lm_head";
        return run with { LastLogits = Linear(last, unembedding) };

        int Shared(int head) => head / (heads / keyHeads);
    }

    /// <summary>How many positions a query sees, its own included: of Mistral in every layer, of Qwen where it is switched on in some.</summary>
    private int Window(int layer)
    {
        bool mistral = Text("model_type") == "mistral", on = mistral || (bool?)_config["use_sliding_window"] == true;
        bool sliding = mistral || (_config["layer_types"] is JsonArray types ? (string)types[layer]! == "sliding_attention" : layer >= ((int?)_config["max_window_layers"] ?? 28));
        return on && sliding && _config["sliding_window"] is { } window ? (int)window : int.MaxValue;
    }

    private double[] Embedded(string table, int id, int position) => _gpt2 ? Sum([.. Row(table, id)], [.. Row("positions", position)]) : [.. Row(table, id)];

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
            double rms = Scale(Math.Sqrt(x.Average(value => value * value) + Number("rms_norm_eps")));
            return [.. x.Select((value, i) => value / rms * weight[i])];
        }

        double[] bias = _tensors[name + ".bias"].Values;
        double mean = x.Average(), deviation = Scale(Math.Sqrt(x.Average(value => (value - mean) * (value - mean)) + Number("layer_norm_eps")));
        return [.. x.Select((value, i) => ((value - mean) / deviation * weight[i]) + bias[i])];
    }

    /// <summary>What a norm divides by: what it would by itself, or what is frozen.</summary>
    private double Scale(double own)
    {
        if (_recording)
        {
            _scales.Values.Add(own);
        }

        return _scales.Values[_scales.Next++];
    }

    private double[] Mlp(double[] x, string at)
    {
        if (_neox)
        {
            using var scope = NewDisposeScope();
            Tensor activated = nn.functional.gelu(
                tensor(Linear(x, at + "dense_h_to_4h")), _gpt2 ? TorchSharp.Modules.GELU.Approximate.tanh : TorchSharp.Modules.GELU.Approximate.none);
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

    private ReadOnlySpan<double> Row(string name, int row)
    {
        var (values, shape) = _tensors[name];
        return values.AsSpan(row * (int)shape[1], (int)shape[1]);
    }

    private int Size(string name) => (int)_config[name]!;

    private double Number(string name) => (double)_config[name]!;

    private string Text(string name) => (string)_config[name]!;

    private static double Dot(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++)
        {
            sum += a[i] * b[i];
        }

        return sum;
    }

    private static double[] Sum(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x + y)];

    private static JsonObject NeoxConfig(JsonObject gpt2) => new()
    {
        ["model_type"] = "gpt_neox",
        ["num_hidden_layers"] = (int)gpt2["n_layer"]!,
        ["num_attention_heads"] = (int)gpt2["n_head"]!,
        ["hidden_size"] = (int)gpt2["n_embd"]!,
        ["layer_norm_eps"] = (double)gpt2["layer_norm_epsilon"]!,
        ["use_parallel_residual"] = false,
        ["rotary_pct"] = 0.0,
        ["rotary_emb_base"] = 10_000.0,
    };

    /// <summary>GPT-2's tensors under GPT-NeoX's names: matrices turned round, and each head's q, k and v one after another.</summary>
    private static Dictionary<string, (double[] Values, long[] Shape)> NeoxTensors(Dictionary<string, (double[] Values, long[] Shape)> gpt2, int heads)
    {
        (string From, string To)[] parts =
        [
            ("ln_1.", "input_layernorm."), ("ln_2.", "post_attention_layernorm."), ("attn.c_attn.", "attention.query_key_value."),
            ("attn.c_proj.", "attention.dense."), ("mlp.c_fc.", "mlp.dense_h_to_4h."), ("mlp.c_proj.", "mlp.dense_4h_to_h."),
        ];
        var neox = new Dictionary<string, (double[] Values, long[] Shape)>();
        foreach (var (fileName, tensor) in gpt2)
        {
            string name = fileName.StartsWith("transformer.", StringComparison.Ordinal) ? fileName["transformer.".Length..] : fileName;
            var moved = name.EndsWith(".weight", StringComparison.Ordinal) && name.Contains(".c_", StringComparison.Ordinal) ? TurnedRound(tensor) : tensor;
            moved = name.Contains("c_attn", StringComparison.Ordinal) ? HeadByHead(moved) : moved;
            (string From, string To) part = parts.FirstOrDefault(part => name.Contains('.' + part.From, StringComparison.Ordinal));
            string to = name switch
            {
                "wte.weight" => "gpt_neox.embed_in.weight",
                "wpe.weight" => "positions",
                "ln_f.weight" => "gpt_neox.final_layer_norm.weight",
                "ln_f.bias" => "gpt_neox.final_layer_norm.bias",
                _ => part.From is null ? name : "gpt_neox.layers." + name[2..].Replace(part.From, part.To, StringComparison.Ordinal),
            };
            neox.Add(to, moved);
        }

        neox.Add("embed_out.weight", neox["gpt_neox.embed_in.weight"]);
        return neox;

        static (double[] Values, long[] Shape) TurnedRound((double[] Values, long[] Shape) tensor)
        {
            int rows = (int)tensor.Shape[0], columns = (int)tensor.Shape[1];
            return ([.. Enumerable.Range(0, rows * columns).Select(i => tensor.Values[((i % rows) * columns) + (i / rows)])], [columns, rows]);
        }

        // Rows q of all heads, k of all heads, v of all heads -> q, k and v of head 0, of head 1, ...
        (double[] Values, long[] Shape) HeadByHead((double[] Values, long[] Shape) tensor)
        {
            int rows = (int)tensor.Shape[0], columns = tensor.Values.Length / rows, headWidth = rows / 3 / heads;
            return ([.. Enumerable.Range(0, rows).SelectMany(row =>
            {
                int head = row / (3 * headWidth), part = row / headWidth % 3, from = (((part * heads) + head) * headWidth) + (row % headWidth);
                return tensor.Values[(from * columns)..((from + 1) * columns)];
            })], tensor.Shape);
        }
    }

    private static double[] Softmax(double[] scores)
    {
        double max = scores.Max();
        double[] exponentials = [.. scores.Select(score => Math.Exp(score - max))];
        return [.. exponentials.Select(value => value / exponentials.Sum())];
    }
}
