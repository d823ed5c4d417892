using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Edges;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Benchmarks;

/// <summary>
/// A sweep with weights held in memory and the same with weights read layer by layer, each in a process of its own, whose memory is watched: times, how
/// often the weights are read, the most anonymous memory, and whether every number is the same.
/// </summary>
internal static class StreamedBenchmark
{
    private const int Width = 2048, Heads = 32, KeyValueHeads = 4, HeadWidth = 64, MlpWidth = 5632, Vocabulary = 32000; // TinyLlama's shape
    private const int Tokens = 12, FirstDifference = 8;

    private static readonly LogitDifference Metric = new();

    // Each gives every number of its sweep: of the pairs as they are, and of each patched run.
    private static readonly (string Name, Func<Transformer, IReadOnlyList<TokenPair>, double[]> Sweep)[] Known =
    [
        ("heads", (model, pairs) => OfHeads(InMemorySweep.Run(model, pairs, new PatchOptions(), Metric, MemoryBudget.Default))),
        ("estimate", (model, pairs) => OfHeads(InMemorySweep.Estimate(model, pairs, new PatchOptions(), Metric, MemoryBudget.Default))),
        ("paths", Paths),
        ("sets", Sets),
        ("edges", Edges),
    ];

    /// <summary>
    /// What can be swept: every head; every head estimated; every head's path to the logits; as many sets of up to five heads; four times as many edges, chosen at random.
    /// </summary>
    public static string[] Kinds { get; } = [.. Known.Select(kind => kind.Name)];

    /// <summary>Makes the model, unless it is there, and measures both ways.</summary>
    /// <param name="gib">How large the model's weights shall be about, in GiB.</param>
    /// <param name="pairs">How many pairs are swept.</param>
    /// <param name="kind">What is swept: one of <see cref="Kinds"/>.</param>
    /// <param name="tied">Whether embedding and unembedding are one.</param>
    /// <param name="rounds">How often each way is run, in turn.</param>
    /// <param name="limitMiB">A limit of memory for the streamed sweep, in MiB, where the machine has control groups (version 1 or 2) that may be made; null: none.</param>
    /// <param name="kept">A folder for the model, which is kept; null: a temporary one.</param>
    public static int Run(double gib, int pairs, string kind, bool tied, int rounds, int? limitMiB, string? kept)
    {
        string folder = kept ?? Directory.CreateTempSubdirectory("headpatching-streamed-").FullName;
        string group = Path.Combine(Directory.Exists("/sys/fs/cgroup/memory") ? "/sys/fs/cgroup/memory" : "/sys/fs/cgroup", $"headpatching-{Environment.ProcessId}");
        try
        {
            long bytes = Write(folder, gib, tied);
            Warm(folder);
            if (limitMiB is int limit)
            {
                Limit(group, limit);
            }

            var all = new List<(OneRun Resident, OneRun Streamed)>();
            for (int round = 0; round < rounds; round++)
            {
                all.Add((Measure(folder, pairs, kind, streamed: false, null), Measure(folder, pairs, kind, streamed: true, limitMiB is null ? null : group)));
            }

            double difference = all.Max(round => round.Resident.Values.Zip(round.Streamed.Values, (a, b) => Math.Abs(a - b)).Max());
            double resident = all.Sum(round => round.Resident.Seconds), streamed = all.Sum(round => round.Streamed.Seconds);
            int chunks = all[0].Streamed.Chunks;
            Console.WriteLine(FormattableString.Invariant(
                $"{bytes / 1073741824.0:F2} GiB of weights, {all[0].Streamed.Values.Length} metrics over {pairs} pairs in {chunks} chunks. Peak of anonymous memory held {all.Max(round => round.Resident.PeakMiB):F0} MiB, streamed {all.Max(round => round.Streamed.PeakMiB):F0} MiB."));
            Console.WriteLine(JsonSerializer.Serialize(new
            {
                gib = Math.Round(bytes / 1073741824.0, 3),
                pairs,
                kind,
                tied,
                chunks,
                limitMiB,
                residentSeconds = Math.Round(resident / rounds, 2),
                streamedSeconds = Math.Round(streamed / rounds, 2),
                ratio = Math.Round(streamed / resident, 3),
                ratios = all.Select(round => Math.Round(round.Streamed.Seconds / round.Resident.Seconds, 3)),
                residentProcessorSeconds = Math.Round(all.Sum(round => round.Resident.ProcessorSeconds) / rounds, 2),
                streamedProcessorSeconds = Math.Round(all.Sum(round => round.Streamed.ProcessorSeconds) / rounds, 2),
                weightsReadTimes = Math.Round(all.Max(round => round.Streamed.BytesRead) / (double)bytes / chunks, 4),
                peakMiB = Math.Round(all.Max(round => round.Streamed.PeakMiB)),
                residentPeakMiB = Math.Round(all.Max(round => round.Resident.PeakMiB)),
                largestDifference = difference,
            }));
            return difference == 0 ? 0 : 1;
        }
        finally
        {
            if (kept is null)
            {
                Directory.Delete(folder, recursive: true);
            }

            if (Directory.Exists(group))
            {
                Directory.Delete(group);
            }
        }
    }

    /// <summary>One sweep in this process; what it gave goes into a file.</summary>
    public static int RunOne(string folder, int pairs, string kind, bool streamed, string output)
    {
        LibTorch.Load();
        using Transformer model = ModelFolder.Load(folder, ScalarType.Float32, CPU, streamed: streamed);
        IReadOnlyList<TokenPair> swept = MakePairs(pairs);
        TimeSpan processor = Process.GetCurrentProcess().TotalProcessorTime;
        long before = model.Weights.Streamed?.BytesRead ?? 0, started = Stopwatch.GetTimestamp();
        double[] values = Known.Single(known => known.Name == kind).Sweep(model, swept);
        double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        double processorSeconds = (Process.GetCurrentProcess().TotalProcessorTime - processor).TotalSeconds;
        long bytesRead = (model.Weights.Streamed?.BytesRead ?? 0) - before;
        int chunks = Chunks.Split(swept, model.Config, model.Dtype, MemoryBudget.Default).Count;
        File.WriteAllText(output, JsonSerializer.Serialize(new OneRun(seconds, processorSeconds, bytesRead, chunks, 0, values)));
        return 0;
    }

    private static double[] OfHeads(SweepRuns runs) =>
    [
        .. runs.Baselines.OrderBy(pair => pair.Key).SelectMany(pair => new[] { pair.Value.Clean, pair.Value.Corrupted }),
        .. runs.Attribution?.Heads.SelectMany(layer => layer) ?? [],
        .. runs.Layers.SelectMany(layer => layer.PatchedMetric).SelectMany(pair => pair).SelectMany(row => row),
    ];

    private static double[] Paths(Transformer model, IReadOnlyList<TokenPair> pairs)
    {
        PatchedNode[] senders = [.. HeadNodes(model).Select(head => new PatchedNode(head, Positions.All))];
        PatchSetRuns runs = PathSenders.Run(model, pairs, senders, new PathOptions { Receivers = [Receiver.Logits] }, Metric, MemoryBudget.Default);
        return All(runs.Baselines, runs.Patched);
    }

    private static double[] Sets(Transformer model, IReadOnlyList<TokenPair> pairs)
    {
        Node[] heads = HeadNodes(model);
        var random = new Random(1);
        PatchSet[] sets = [.. heads.Select(_ => PatchSet.Of(random.GetItems(heads, 5).Distinct()))];
        PatchSetRuns runs = PatchSets.Run(model, pairs, sets, Direction.Denoise, Metric, MemoryBudget.Default);
        return All(runs.Baselines, runs.Patched);
    }

    private static double[] Edges(Transformer model, IReadOnlyList<TokenPair> pairs)
    {
        Edge[] edges = [.. new Random(1).GetItems([.. Edge.All(model.Config)], 4 * HeadNodes(model).Length).Distinct()];
        EdgeRuns runs = EdgeSweep.Run(model, pairs, new EdgeOptions(), Metric, MemoryBudget.Default, edges);
        return All(runs.Baselines, runs.Patched);
    }

    private static Node[] HeadNodes(Transformer model) => [.. Node.All(model.Config).Where(node => node.Kind == NodeKind.Head)];

    private static double[] All(IReadOnlyList<Baseline> baselines, double[][] patched) =>
        [.. baselines.SelectMany(pair => new[] { pair.Clean, pair.Corrupted }), .. patched.SelectMany(runs => runs)];

    /// <summary>Runs one way in a process of its own, and watches how much anonymous memory it has.</summary>
    private static OneRun Measure(string folder, int pairs, string kind, bool streamed, string? group)
    {
        string output = Path.Combine(folder, "run.json");
        string[] command =
        [
            Environment.ProcessPath!, typeof(StreamedBenchmark).Assembly.Location, "streamed", "--one", streamed ? "streamed" : "resident", "--folder", folder,
            "--pairs", pairs.ToString(CultureInfo.InvariantCulture), "--of", kind, "--output", output,
        ];
        if (Path.GetFileNameWithoutExtension(command[0]) != "dotnet")
        {
            command = [command[0], .. command[2..]];
        }

        // A shell puts itself into the group, and then is the benchmark.
        using Process child = group is null ? Process.Start(command[0], command[1..])
            : Process.Start("sh", ["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\"", group, .. command]);
        double peak = 0;
        while (!child.WaitForExit(10))
        {
            peak = Math.Max(peak, AnonymousMiB(child.Id));
        }

        if (child.ExitCode != 0)
        {
            throw new InvalidOperationException($"The {(streamed ? "streamed" : "resident")} sweep ended with {child.ExitCode}.");
        }

        OneRun run = JsonSerializer.Deserialize<OneRun>(File.ReadAllText(output))! with { PeakMiB = peak };
        Console.WriteLine(FormattableString.Invariant(
            $"{(streamed ? "Streamed" : "Resident")}: {run.Seconds:F1} s, {run.ProcessorSeconds:F1} s of processors, {run.BytesRead / 1048576.0:F0} MiB read, at most {peak:F0} MiB of anonymous memory."));
        return run;
    }

    private static double AnonymousMiB(int process)
    {
        try
        {
            string? line = File.ReadLines($"/proc/{process}/status").FirstOrDefault(line => line.StartsWith("RssAnon:", StringComparison.Ordinal));
            return line is null ? 0 : double.Parse(line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) / 1024;
        }
        catch (IOException)
        {
            return 0; // it has ended
        }
    }

    private static void Limit(string group, int limitMiB)
    {
        Directory.CreateDirectory(group);
        string file = Path.Combine(group, group.StartsWith("/sys/fs/cgroup/memory", StringComparison.Ordinal) ? "memory.limit_in_bytes" : "memory.max");
        File.WriteAllText(file, (limitMiB * 1048576L).ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>Pairs that differ in one token.</summary>
    private static IReadOnlyList<TokenPair> MakePairs(int count) =>
        new Workload(0, Heads, Width, Vocabulary, Tokens, FirstDifference, count, EachPosition: false).MakePairs();

    /// <summary>Writes a model of random weights, a piece of a tensor at a time: its memory does not depend on its size. The bytes of its weights.</summary>
    private static long Write(string folder, double gib, bool tied)
    {
        long width = Width, key = KeyValueHeads * HeadWidth;
        (string Name, long[] Shape)[] ofLayer =
        [
            ("input_layernorm.weight", [width]), ("self_attn.q_proj.weight", [width, width]), ("self_attn.k_proj.weight", [key, width]), ("self_attn.v_proj.weight", [key, width]),
            ("self_attn.o_proj.weight", [width, width]), ("post_attention_layernorm.weight", [width]), ("mlp.gate_proj.weight", [MlpWidth, width]),
            ("mlp.up_proj.weight", [MlpWidth, width]), ("mlp.down_proj.weight", [width, MlpWidth]),
        ];
        (string Name, long[] Shape)[] outside =
        [
            ("model.embed_tokens.weight", [Vocabulary, width]), ("model.norm.weight", [width]), .. tied ? [] : new[] { ("lm_head.weight", new long[] { Vocabulary, width }) },
        ];
        long perLayer = ofLayer.Sum(Elements), layers = Math.Max(1, (long)Math.Ceiling(((gib * (1L << 30) / sizeof(float)) - outside.Sum(Elements)) / perLayer));
        (string Name, long[] Shape)[] all =
        [
            .. Enumerable.Range(0, (int)layers).SelectMany(layer => ofLayer.Select(one => ($"model.layers.{layer}.{one.Name}", one.Shape))), .. outside,
        ];
        long bytes = all.Sum(Elements) * sizeof(float);
        string config = JsonSerializer.Serialize(new Dictionary<string, object>
        {
            ["model_type"] = "llama",
            ["hidden_size"] = Width,
            ["intermediate_size"] = MlpWidth,
            ["num_hidden_layers"] = layers,
            ["num_attention_heads"] = Heads,
            ["num_key_value_heads"] = KeyValueHeads,
            ["vocab_size"] = Vocabulary,
            ["max_position_embeddings"] = 2048,
            ["rms_norm_eps"] = 1e-5,
            ["hidden_act"] = "silu",
            ["tie_word_embeddings"] = tied,
            ["rope_theta"] = 10000.0,
        });
        string configFile = Path.Combine(folder, "config.json"), weights = Path.Combine(folder, "model.safetensors");
        Directory.CreateDirectory(folder);
        if (File.Exists(configFile) && File.ReadAllText(configFile) == config)
        {
            return bytes;
        }

        LibTorch.Load();
        random.manual_seed(0);
        long begin = 0;
        string header = JsonSerializer.Serialize(all.ToDictionary(one => one.Name, one => new { dtype = "F32", shape = one.Shape, data_offsets = new[] { begin, begin += Elements(one) * sizeof(float) } }));
        byte[] text = Encoding.UTF8.GetBytes(header.PadRight((header.Length + 7) / 8 * 8)); // as the format's own library pads it
        using (FileStream file = File.Create(weights))
        {
            file.Write(BitConverter.GetBytes((long)text.Length));
            file.Write(text);
            foreach (var one in all)
            {
                for (long left = Elements(one), piece; left > 0; left -= piece)
                {
                    piece = Math.Min(left, 1 << 20);
                    using var scope = NewDisposeScope();

                    // Heads large enough that they have effects to compare.
                    Tensor values = one.Shape.Length == 1 ? ones(piece) : randn(piece).mul_(tensor(1 / Math.Sqrt(Width)));
                    file.Write(MemoryMarshal.AsBytes(values.data<float>().ToArray().AsSpan()));
                }
            }
        }

        File.WriteAllText(configFile, config);
        return bytes;

        static long Elements((string Name, long[] Shape) tensor) => tensor.Shape.Aggregate(1L, (product, extent) => product * extent);
    }

    /// <summary>Reads the files once, so that both ways find them in the system's cache.</summary>
    private static void Warm(string folder)
    {
        byte[] buffer = new byte[1 << 20];
        using FileStream file = File.OpenRead(Path.Combine(folder, "model.safetensors"));
        while (file.Read(buffer) > 0)
        {
        }
    }

    private sealed record OneRun(double Seconds, double ProcessorSeconds, long BytesRead, int Chunks, double PeakMiB, double[] Values);
}
