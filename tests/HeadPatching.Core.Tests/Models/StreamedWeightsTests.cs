using HeadPatching.Core.Circuits;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Models.Safetensors;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Ablations;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Patching.Edges;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Tests.Golden;
using HeadPatching.Testing;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Models;

/// <summary>A model whose layers are read when they are used gives every number of the one that is held, to the last digit, and reads each layer once a pass.</summary>
public class StreamedWeightsTests
{
    public static TheoryData<string, ScalarType> ModelsAndTypes { get; } =
    [
        .. from model in new[]
           {
               "gpt2-golden-a", "gpt2-golden-b", "gpt-neox-golden", "llama-golden", "gemma2-golden", "gemma3-golden", "olmo2-golden", "phi3-golden",
               "phi3-longrope-golden", "gptj-golden", "opt-golden", "opt350-golden", "granite-golden", "gpt_oss-golden",
           }
           from dtype in new[] { ScalarType.Float32, ScalarType.Float64, ScalarType.BFloat16 }
           where dtype == ScalarType.Float32 || model is "gpt2-golden-a" or "llama-golden"
           select new TheoryDataRow<string, ScalarType>(model, dtype),
    ];

    [Theory]
    [MemberData(nameof(ModelsAndTypes))]
    public void Every_sweep_gives_what_the_held_model_gives(string name, ScalarType dtype)
    {
        using var held = new GoldenModel(name, dtype);
        using var streamed = new GoldenModel(name, dtype, streamed: true);
        foreach (Patch patch in Enum.GetValues<Patch>().Where(patch => !(held.Model.Config.ParallelResidual && patch == Patch.ResidMid)))
        {
            Same(new PatchOptions { Patch = patch }, new LogitDifference());
        }

        Same(new PatchOptions { Positions = Positions.Each }, new LogitDifference());
        Same(new PatchOptions { Patch = Patch.Pattern, Positions = Positions.Each, Direction = Direction.Noise }, new KlDivergence());
        Same(new PatchOptions { Direction = Direction.Noise, Ablation = Ablation.Zero }, new Rank());
        Same(new PatchOptions { Direction = Direction.Noise, Ablation = Ablation.ValueBias }, new LogitDifference());
        Same(new PatchOptions { Direction = Direction.Noise, Ablation = Ablation.Mean }, new LogProbability());
        Same(new PatchOptions { Direction = Direction.Noise, Ablation = Ablation.Resample }, new LogitDifference());

        foreach (var (patch, gradient) in new[] { (Patch.Z, Gradient.FrozenNorms), (Patch.K, Gradient.Plain), (Patch.Pattern, Gradient.FrozenNorms) })
        {
            var (one, other) = (Estimate(held.Model), Estimate(streamed.Model));
            Assert.Equal(one.Baselines, other.Baselines);
            Assert.Equal(one.Layers.Select(layer => layer.PatchedMetric), other.Layers.Select(layer => layer.PatchedMetric));

            SweepRuns Estimate(Transformer model) =>
                InMemorySweep.Estimate(model, held.BothWays, new PatchOptions { Patch = patch }, new LogProbability(), MemoryBudget.Default, gradient);
        }

        void Same(PatchOptions options, IMetric metric) => AssertSame(
            InMemorySweep.Run(held.Model, held.BothWays, options, metric, MemoryBudget.Default),
            InMemorySweep.Run(streamed.Model, held.BothWays, options, metric, MemoryBudget.Default));
    }

    /// <summary>Also where each position is patched in turn, and whatever the metric: the clean and corrupted runs, what each part adds directly, and every patched run are in one pass.</summary>
    [Theory]
    [InlineData("gpt2-golden-a")]
    [InlineData("gpt-neox-golden")]
    [InlineData("llama-golden")]
    [InlineData("gemma2-golden")]
    public void A_chunk_reads_the_weights_once(string name)
    {
        using var streamed = new GoldenModel(name, ScalarType.Float32, streamed: true);
        StreamedWeights weights = streamed.Model.Weights.Streamed!;
        long bytes = Bytes(name);
        foreach (var (positions, metric) in new (Positions, IMetric)[] { (Positions.All, new LogitDifference()), (Positions.Each, new LogProbability()) })
        {
            long before = weights.BytesRead;
            InMemorySweep.Run(streamed.Model, [streamed.Pairs[0]], new PatchOptions { Positions = positions }, metric, MemoryBudget.Default);
            Assert.InRange(weights.BytesRead - before, bytes / 2, 1.05 * bytes);
        }
    }

    /// <summary>What depends on all pairs, or on a gradient, takes passes of its own: as many as <c>--plan</c> says.</summary>
    [Theory]
    [InlineData("gpt2-golden-a")]
    [InlineData("llama-golden")]
    public void Ablations_by_other_prompts_read_the_weights_three_times_at_the_most_and_estimates_so_or_a_part_of_a_fourth(string name)
    {
        using var streamed = new GoldenModel(name, ScalarType.Float32, streamed: true);
        StreamedWeights weights = streamed.Model.Weights.Streamed!;
        IReadOnlyList<TokenPair> pairs = [.. streamed.BothWays.Where(pair => pair.Length == streamed.Pairs[0].Length && pair.FirstDifference == streamed.Pairs[0].FirstDifference)];
        Assert.True(pairs.Count > 1);
        foreach (Ablation ablation in new[] { Ablation.Mean, Ablation.Resample })
        {
            Assert.InRange(Reads(() => InMemorySweep.Run(streamed.Model, pairs, new PatchOptions { Direction = Direction.Noise, Ablation = ablation }, new LogitDifference(), MemoryBudget.Default)), 1.5, 3.1);
        }

        foreach (var (patch, most) in new[] { (Patch.Z, 3.1), (Patch.Q, 4.0), (Patch.Pattern, 4.0) })
        {
            Assert.InRange(Reads(() => InMemorySweep.Estimate(streamed.Model, pairs, new PatchOptions { Patch = patch }, new LogitDifference(), MemoryBudget.Default)), 2, most);
        }

        double Reads(Action sweep)
        {
            long before = weights.BytesRead;
            sweep();
            return (weights.BytesRead - before) / (double)Bytes(name);
        }
    }

    /// <summary>Both stages of path patching, and the chunk's own runs, are one pass over the weights.</summary>
    [Theory]
    [InlineData("gpt2-golden-a", "L1H1.v L2H0.q L2.mlp", false, "all")]
    [InlineData("gpt2-golden-a", "logits", true, "each")]
    [InlineData("llama-golden", "L1H1.k L2H0.v", false, "each")]
    [InlineData("gpt-neox-golden", "L1.mlp L2H3.k", false, "all")]
    [InlineData("gptj-golden", "L1H1.v L2.mlp", true, "all")]
    [InlineData("gemma2-golden", "L1.mlp L3H0.v", false, "-1")]
    [InlineData("olmo2-golden", "L1H4.q L2.mlp", true, "all")]
    [InlineData("opt350-golden", "logits", false, "all")]
    [InlineData("opt350-golden", "L1.mlp", true, "each")]
    public void Paths_are_those_of_the_held_model_in_one_pass(string name, string receivers, bool freezeMlps, string positions)
    {
        using var held = new GoldenModel(name, ScalarType.Float32);
        using var streamed = new GoldenModel(name, ScalarType.Float32, streamed: true);
        Assert.True(Positions.TryParse(positions, out Positions at));
        foreach (var (from, direction) in new[] { (NodeKind.Head, Direction.Denoise), (NodeKind.Mlp, Direction.Noise), (NodeKind.Embedding, Direction.Denoise) })
        {
            var options = new PathOptions { Receivers = [.. receivers.Split(' ').Select(Parsed)], FreezeMlps = freezeMlps, Positions = at, From = from, Direction = direction };
            IReadOnlyList<LayerPatches> expected = Patch(held, options);
            long before = streamed.Model.Weights.Streamed!.BytesRead;
            Assert.Equal(expected.Select(layer => layer.PatchedMetric), Patch(streamed, options).Select(layer => layer.PatchedMetric));
            Assert.Contains(expected, layer => layer.PatchedRuns > 0);
            Assert.InRange(streamed.Model.Weights.Streamed!.BytesRead - before, Bytes(name) / 2, 1.05 * Bytes(name));
        }

        static IReadOnlyList<LayerPatches> Patch(GoldenModel golden, PathOptions options)
        {
            using var caching = new ChunkCaching(golden.Model, [golden.Pairs[0]], CachingRun.StartOf([golden.Pairs[0]]), new LogitDifference(), attribute: false);
            var inputs = new BandInputs { First = 0, Last = golden.Model.Config.Layers - 1, Caching = caching };
            return new PathPatcher(golden.Model, new LogitDifference(), MemoryBudget.Default).Patch(inputs, options);
        }

        static Receiver Parsed(string text) => Receiver.TryParse(text, out Receiver receiver) ? receiver : throw new ArgumentException(text);
    }

    [Theory]
    [InlineData("llama-golden")]
    [InlineData("gemma2-golden")]
    public void All_nodes_send_as_from_the_held_model(string name)
    {
        using var held = new GoldenModel(name, ScalarType.Float32);
        using var streamed = new GoldenModel(name, ScalarType.Float32, streamed: true);
        Assert.Equal(Patched(held), Patched(streamed));

        // A kilobyte: every run is a pass.
        static double[][] Patched(GoldenModel golden) => PathSenders.Run(
            golden.Model,
            golden.BothWays,
            [.. Node.All(golden.Model.Config).SelectMany(node => (PatchedNode[])[new(node, Positions.All), new(node, Positions.One(-1))])],
            new PathOptions { Receivers = [Receiver.Of(1, 1, ReceiverInput.K), Receiver.OfMlp(2)] },
            new LogProbability(),
            new MemoryBudget(1 << 10)).Patched;
    }

    /// <summary>As many sets as can be held go through the layers together, with the chunk's own runs and what is put into heads.</summary>
    [Theory]
    [InlineData("gpt2-golden-a")]
    [InlineData("llama-golden")]
    [InlineData("gpt-neox-golden")]
    [InlineData("gemma2-golden")]
    [InlineData("olmo2-golden")]
    [InlineData("opt350-golden")]
    public void Sets_are_those_of_the_held_model_and_read_the_weights_once(string name)
    {
        using var held = new GoldenModel(name, ScalarType.Float32);
        using var streamed = new GoldenModel(name, ScalarType.Float32, streamed: true);
        ModelConfig config = held.Model.Config;
        var random = new Random(3);
        Node[] heads = [.. Node.All(config).Where(node => node.Kind == NodeKind.Head)];
        PatchSet[] ofHeads = [.. Enumerable.Range(0, 20).Select(_ => PatchSet.Of(heads.Where(_ => random.Next(3) == 0)))];
        PatchSet[] sets = [.. ofHeads, .. Node.All(config).Select(node => new PatchSet([new PatchedNode(node, Positions.One(-1))])), PatchSet.Of([.. Node.All(config)]), PatchSet.Of([])];
        Assert.Equal(Patched(held, held.BothWays, sets, null, MemoryBudget.Default), Patched(streamed, held.BothWays, sets, null, MemoryBudget.Default));
        Assert.Equal(Patched(held, held.BothWays, sets, null, new MemoryBudget(1 << 12)), Patched(streamed, held.BothWays, sets, null, new MemoryBudget(1 << 12)));

        AblationPlan? ofAll = AblationPlan.Of(held.BothWays, new PatchOptions { Direction = Direction.Noise, Ablation = Ablation.Resample });
        PutIn[] ablations = [new(Ablation.Zero), new(Ablation.ValueBias), new(Ablation.Resample) { Plan = ofAll }];
        foreach (PutIn? putIn in ablations.Prepend(null))
        {
            double[][] expected = Patched(held, [held.Pairs[0]], ofHeads, putIn, MemoryBudget.Default);
            long before = streamed.Model.Weights.Streamed!.BytesRead;
            Assert.Equal(expected, Patched(streamed, [held.Pairs[0]], ofHeads, putIn, MemoryBudget.Default));
            Assert.InRange(streamed.Model.Weights.Streamed!.BytesRead - before, Bytes(name) / 2, 1.05 * Bytes(name));
        }

        // The sums that means are taken from, of all prompts whatever their length, are a pass by themselves.
        Assert.Equal(OfMeans(held), OfMeans(streamed));
        AblationPlan plan = Means();
        long read = streamed.Model.Weights.Streamed!.BytesRead;
        Free(plan.Means(streamed.Model, MemoryBudget.Default));
        Assert.InRange(streamed.Model.Weights.Streamed!.BytesRead - read, Bytes(name) / 2, 1.05 * Bytes(name));

        static double[][] Patched(GoldenModel golden, IReadOnlyList<TokenPair> pairs, IReadOnlyList<PatchSet> sets, PutIn? putIn, MemoryBudget budget) =>
            PatchSets.Run(golden.Model, pairs, sets, Direction.Noise, new LogProbability(), budget, putIn: putIn).Patched;

        AblationPlan Means() => AblationPlan.Of(held.BothWays, new PatchOptions { Direction = Direction.Noise, Ablation = Ablation.Mean })!;

        double[][] OfMeans(GoldenModel golden)
        {
            IReadOnlyList<MeanZ> means = Means().Means(golden.Model, MemoryBudget.Default);
            double[][] patched = Patched(golden, held.BothWays, ofHeads, new PutIn(Ablation.Mean) { Plan = Means(), Sums = [.. means.Select(mean => mean.Sums)] }, MemoryBudget.Default);
            Free(means);
            return patched;
        }

        static void Free(IEnumerable<MeanZ> means)
        {
            foreach (MeanZ mean in means)
            {
                mean.Dispose();
            }
        }
    }

    /// <summary>Exact edges are one pass with the chunk's own runs; estimates are two: forwards with them, and backwards, whatever the number of steps.</summary>
    [Theory]
    [InlineData("gpt2-golden-a", false)]
    [InlineData("llama-golden", false)]
    [InlineData("llama-golden", true)]
    [InlineData("gpt-neox-golden", false)]
    [InlineData("gptj-golden", false)]
    [InlineData("gemma2-golden", true)]
    [InlineData("olmo2-golden", false)]
    [InlineData("opt350-golden", false)]
    public void Edges_are_those_of_the_held_model_and_read_the_weights_once_or_estimated_twice(string name, bool ungrouped)
    {
        using var held = new GoldenModel(name, ScalarType.Float32);
        using var streamed = new GoldenModel(name, ScalarType.Float32, streamed: true);
        Edge[] all = [.. Edge.All(held.Model.Config, ungrouped)];
        Edge[] edges = [.. all.Where((edge, index) => index % Math.Max(1, all.Length / 200) == 0 || edge.Receiver.IsLogits)];
        var options = new EdgeOptions { Ungrouped = ungrouped };
        foreach (MemoryBudget budget in new[] { MemoryBudget.Default, new MemoryBudget(1 << 16) })
        {
            Assert.Equal(Exact(held, held.BothWays, budget), Exact(streamed, held.BothWays, budget));
            Assert.Equal(Estimated(held, held.BothWays, budget, 3), Estimated(streamed, held.BothWays, budget, 3));
        }

        long before = streamed.Model.Weights.Streamed!.BytesRead;
        Assert.Equal(Exact(held, [held.Pairs[0]], MemoryBudget.Default), Exact(streamed, [held.Pairs[0]], MemoryBudget.Default));
        Assert.InRange(streamed.Model.Weights.Streamed!.BytesRead - before, Bytes(name) / 2, 1.05 * Bytes(name));
        before = streamed.Model.Weights.Streamed!.BytesRead;
        Assert.Equal(Estimated(held, [held.Pairs[0]], MemoryBudget.Default, 5), Estimated(streamed, [held.Pairs[0]], MemoryBudget.Default, 5));
        Assert.InRange(streamed.Model.Weights.Streamed!.BytesRead - before, Bytes(name) / 2, 2.1 * Bytes(name));

        double[][] Exact(GoldenModel golden, IReadOnlyList<TokenPair> pairs, MemoryBudget budget) =>
            EdgeSweep.Run(golden.Model, pairs, options, new LogitDifference(), budget, edges).Patched;

        double[][] Estimated(GoldenModel golden, IReadOnlyList<TokenPair> pairs, MemoryBudget budget, int steps) =>
            EdgeSweep.Estimate(golden.Model, pairs, options with { Direction = Direction.Noise }, new LogProbability(), budget, steps, edges: edges).Patched;
    }

    [Fact]
    public void A_weight_that_is_no_number_is_said_when_its_layer_is_read()
    {
        using var folder = new TemporaryFolder();
        foreach (string file in Directory.EnumerateFiles(GoldenModel.Folder("llama-golden")))
        {
            File.Copy(file, Path.Combine(folder.Path, Path.GetFileName(file)));
        }

        string path = Path.Combine(folder.Path, "model.safetensors");
        long at;
        using (SafetensorsFile file = SafetensorsFile.Open(path))
        {
            at = file.DataStart + file.Tensors["model.layers.1.mlp.down_proj.weight"].Begin;
        }

        using (FileStream stream = File.OpenWrite(path))
        {
            stream.Position = at;
            stream.Write(BitConverter.GetBytes(float.NaN));
        }

        using Transformer model = ModelFolder.Load(folder.Path, ScalarType.Float32, CPU, streamed: true);
        InvalidInputException fault = Assert.Throws<InvalidInputException>(() => model.Weights.Layers[1]);
        Assert.Contains("layers.1.mlp.down_proj.weight", Assert.Single(fault.Faults).Message, StringComparison.Ordinal);
        Assert.NotNull(model.Weights.Layers[0]);
    }

    /// <summary>What is planned with is what they take: vectors are of the stream's type, whatever that of the matrices is.</summary>
    [Theory]
    [MemberData(nameof(ModelsAndTypes))]
    public void Weights_take_as_many_bytes_as_their_shapes_say(string name, ScalarType dtype)
    {
        using var held = new GoldenModel(name, dtype);
        WeightBytes bytes = ModelFolder.Bytes(held.Model.Config, dtype);
        Assert.Equal(Of(held.Model.Weights.All()), bytes.All);
        Assert.Equal(held.Model.Weights.Layers.Max(layer => Of(layer.All())), bytes.LargestLayer);

        static long Of(IEnumerable<Tensor> weights) => weights.Sum(weight => weight.numel() * weight.dtype.Bytes());
    }

    /// <summary>Two layers at a time: what of a third is still held by someone can no longer be used.</summary>
    [Fact]
    public void A_layer_is_freed_when_another_is_asked_for()
    {
        using var streamed = new GoldenModel("llama-golden", ScalarType.Float32, streamed: true);
        LayerWeights first = streamed.Model.Weights.Layers[0];
        Assert.Same(first, streamed.Model.Weights.Layers[0]);
        _ = streamed.Model.Weights.Layers[1];
        Assert.All(first.All(), weight => Assert.True(weight.IsInvalid));
    }

    private static long Bytes(string name) => Directory.EnumerateFiles(GoldenModel.Folder(name), "*.safetensors").Sum(file => new FileInfo(file).Length);

    private static void AssertSame(SweepRuns held, SweepRuns streamed)
    {
        Assert.Equal(held.Baselines, streamed.Baselines);
        Assert.Equal(held.Attribution?.Heads, streamed.Attribution?.Heads);
        Assert.Equal(held.Attribution?.Mlps, streamed.Attribution?.Mlps);
        Assert.Equal(held.Layers.Select(layer => layer.PatchedMetric), streamed.Layers.Select(layer => layer.PatchedMetric));
        Assert.Contains(held.Layers, layer => layer.PatchedRuns > 0);
    }
}
