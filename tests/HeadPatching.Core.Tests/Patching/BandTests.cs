using System.Collections;
using System.Runtime.InteropServices;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Tests.Golden;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Patching;

/// <summary>Layers that are run together give what each gives alone, from no more than what was said to be needed.</summary>
public class BandTests
{
    public static TheoryData<string, Patch> ModelsAndPatches { get; } =
    [
        .. from model in new[] { "gpt2-golden-b", "gpt-neox-golden", "llama-golden", "gemma2-golden", "olmo2-golden", "phi3-longrope-golden", "opt350-golden" }
           from patch in Enum.GetValues<Patch>()
           where model != "gpt-neox-golden" || patch != Patch.ResidMid // blocks are parallel: there is no such point
           select new TheoryDataRow<string, Patch>(model, patch),
    ];

    [Theory]
    [MemberData(nameof(ModelsAndPatches))]
    public void A_band_gives_each_layer_what_it_gives_alone_and_reads_only_what_it_is_said_to_need(string model, Patch patch)
    {
        using var golden = new GoldenModel(model, ScalarType.Float64);
        using var chunk = new CachedChunk(golden.Model, OneLength(golden));
        var patcher = new BandPatcher(golden.Model, new LogitDifference(), MemoryBudget.Default);
        int layers = golden.Model.Config.Layers;
        foreach (PatchOptions options in Options(patch))
        {
            double[][] together = Numbers(patcher.Patch(chunk.Band(0, layers - 1), options));
            double[][] alone =
            [
                .. Enumerable.Range(0, layers).SelectMany(layer => Numbers(patcher.Patch(
                    chunk.Band(layer, layer, chunk.Only(NeededTensors.OfBand(golden.Model.Config, options, layer, layer, chunk.Activations.Start))), options))),
            ];
            AssertSame(alone, together);
            AssertSame(
                together[1..],
                Numbers(patcher.Patch(
                    chunk.Band(1, layers - 1, chunk.Only(NeededTensors.OfBand(golden.Model.Config, options, 1, layers - 1, chunk.Activations.Start))), options)));
        }
    }

    /// <summary>An ablation may change positions before the first difference, so nothing is shared between its runs.</summary>
    [Theory]
    [InlineData("gpt2-golden-b")]
    [InlineData("llama-golden")]
    public void An_ablation_reads_from_the_first_position_on(string model)
    {
        using var golden = new GoldenModel(model, ScalarType.Float64);
        using var chunk = new CachedChunk(golden.Model, OneLength(golden), start: 0);
        var patcher = new BandPatcher(golden.Model, new LogitDifference(), MemoryBudget.Default);
        foreach (Positions positions in new[] { Positions.All, Positions.Each })
        {
            var options = new PatchOptions { Ablation = Ablation.Zero, Positions = positions, Direction = Direction.Noise };
            ChunkActivations needed = chunk.Only(NeededTensors.OfBand(golden.Model.Config, options, 0, golden.Model.Config.Layers - 1, start: 0));
            double[][] band = Numbers(patcher.Patch(chunk.Band(0, golden.Model.Config.Layers - 1, needed), options));
            SweepRuns sweep = InMemorySweep.Run(golden.Model, OneLength(golden), options, new LogitDifference(), new MemoryBudget(1));
            foreach (LayerPatches patches in sweep.Layers)
            {
                int pair = OneLength(golden).ToList().FindIndex(pair => pair.Index == patches.PairIndices[0]);
                double[] own = [.. patches.PatchedMetric[0].SelectMany(row => row)];
                Assert.All(own.Zip(band[patches.Layer].Skip(pair * own.Length)), values => Assert.Equal(values.First, values.Second, 1e-10));
            }
        }
    }

    [Fact]
    public void Heads_that_are_named_in_any_order_get_their_own_numbers()
    {
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        using var chunk = new CachedChunk(golden.Model, OneLength(golden));
        var patcher = new BandPatcher(golden.Model, new LogitDifference(), MemoryBudget.Default);
        int heads = golden.Model.Config.Heads;
        Assert.True(heads >= 4);
        double[][][] all = patcher.Patch(chunk.Band(1, 1), new PatchOptions())[0].PatchedMetric;
        foreach (int[] named in new int[][] { [0, 2, 1, 3], [3, 2, 1, 0], [2, 0] })
        {
            LayerPatches some = patcher.Patch(chunk.Band(0, 2) with { OnlyHeads = new Dictionary<int, IReadOnlyList<int>> { [1] = named } }, new PatchOptions()).Single();
            Assert.Equal(1, some.Layer);
            Assert.Equal(named.Length * chunk.Pairs.Count, some.PatchedRuns);
            for (int pair = 0; pair < chunk.Pairs.Count; pair++)
            {
                for (int head = 0; head < heads; head++)
                {
                    double expected = named.Contains(head) ? all[pair][0][head] : chunk.Baselines[pair].Corrupted;
                    Assert.Equal(expected, some.PatchedMetric[pair][0][head], 1e-10);
                }
            }
        }
    }

    [Fact]
    public void Memory_that_runs_out_while_a_patch_is_worked_out_halves_the_batch_too()
    {
        using var golden = new GoldenModel("gpt2-golden-b", ScalarType.Float64);
        using var chunk = new CachedChunk(golden.Model, OneLength(golden), start: 0);
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        int layers = golden.Model.Config.Layers;
        var patcher = new BandPatcher(golden.Model, new LogitDifference(), MemoryBudget.Default);
        var options = new PatchOptions { Ablation = Ablation.Mean };
        var z = new FailsFirst(Enumerable.Range(0, layers).ToDictionary(layer => layer, layer => chunk.Activations.Layers[layer].Clean.Z!));
        double[][] halved = Numbers(patcher.Patch(chunk.Band(0, layers - 1) with { AblatedZ = z }, options));
        Assert.Equal(0, z.FailuresLeft);
        AssertSame(Numbers(patcher.Patch(chunk.Band(0, layers - 1), new PatchOptions())), halved);
    }

    [Fact]
    public void What_is_cached_is_what_the_runs_have_and_half_of_what_it_was()
    {
        using var golden = new GoldenModel("gpt2-golden-a", ScalarType.Float64);
        int layers = golden.Model.Config.Layers;
        using var whole = new CachedChunk(golden.Model, golden.Pairs, start: 0);
        using var chunk = new CachedChunk(golden.Model, golden.Pairs);
        int start = chunk.Activations.Start, length = golden.Pairs[0].Length;
        Assert.Equal(golden.Pairs.Min(pair => pair.FirstDifference), start);
        Assert.True(start > 0);
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        using var runs = new PatchedAndSource(golden.Model, chunk.Activations, Direction.Denoise);
        using var wholeRuns = new PatchedAndSource(golden.Model, whole.Activations, Direction.Denoise);
        for (int layer = 0; layer < layers; layer++)
        {
            foreach (var (own, other) in new[] { (runs.Patched(layer), wholeRuns.Patched(layer)), (runs.Source(layer), wholeRuns.Source(layer)) })
            {
                AssertNear(other.ResidPre(start), own.ResidPre(start));
                AssertNear(other.Z(start), own.Z(start));
                AssertNear(other.Q(start), own.Q(start));
                AssertNear(other.KeysValues.K, own.KeysValues.K);
                AssertNear(other.KeysValues.V, own.KeysValues.V);
            }
        }

        long bytes = chunk.Activations.Layers.Values.SelectMany(layer => layer.Tensors()).Sum(one => one.Tensor.numel() * 8);
        Assert.Equal(bytes, Cost.Bytes(golden.Model.Config, ScalarType.Float64, CachedTensor.All(golden.Model.Config, start), golden.Pairs.Count, length, start));
        Assert.Equal(CachedTensor.All(golden.Model.Config, start).Count, chunk.Activations.Layers.Values.Sum(layer => layer.Tensors().Count()));

        static void AssertNear(Tensor expected, Tensor actual) => Assert.InRange((expected - actual).abs().max().item<double>(), 0, 1e-12);
    }

    [Fact]
    public void A_pair_of_GPT_2_smalls_shape_takes_at_most_half_of_5_MB_and_one_that_differs_late_a_quarter()
    {
        ModelConfig config = Gpt2Small;
        const long Before = 5_500_000;                                        // of a pair, with both runs whole
        long Cached(int start) => Cost.Bytes(config, ScalarType.Float32, CachedTensor.All(config, start), pairs: 1, length: 15, start);
        Assert.InRange(Cached(2), 0, Before / 2);
        Assert.InRange(Cached(13), 0, Before / 4);                            // nearly all of it keys and values, which later layers look at

        // Each layer's patch of z reads its own stream and both z, and of later layers the shared keys and values alone.
        long Read(int first, int last) =>
            Cost.Bytes(config, ScalarType.Float32, NeededTensors.OfBand(config, new PatchOptions(), first, last, 2), 1, 15, 2);
        Assert.Equal(4L * ((3 * 13 * 768) + (11 * 2 * 2 * 768)), Read(0, 0));
        Assert.InRange(Read(0, 11), 0, Cached(2));
    }

    [Fact]
    public void The_counted_operations_of_a_whole_sweep_are_those_of_its_layers()
    {
        ModelConfig config = Gpt2Small;
        int[] ids = [.. Enumerable.Range(0, 15)];
        TokenPair[] pairs = [.. Enumerable.Range(0, 5).Select(index => new TokenPair(index, ids, [.. ids.Select((id, at) => at == 2 ? 99 : id)], 1, 2))];
        foreach (PatchOptions options in new[] { new PatchOptions(), new PatchOptions { Positions = Positions.Each }, new PatchOptions { Patch = Patch.ResidPre } })
        {
            double layers = Enumerable.Range(0, 12).Sum(layer => Cost.OfBand(config, options, pairs, layer, layer));
            Assert.Equal(1, Cost.OfBand(config, options, pairs, 0, 11) / layers, 1e-12);
        }

        // By hand, for one head of the layer before the last, at all 13 positions that can differ: its write, the MLP, and the last layer's part.
        double d = 768, perHead = (13 * ((2 * 64 * d) + (16 * d * d))) + (13 * 4 * d * d) + (2 * d * d) + (2 * d * d) + (16 * d * d) + (4 * 15 * d);
        Assert.Equal(12 * 5 * perHead, Cost.OfBand(config, new PatchOptions(), pairs, 10, 10), perHead * 1e-9);
        double caching = 5 * (Enumerable.Range(0, 11).Sum(_ => ((2 + 26) * 24 * d * d) + (4 * 2 * 2 * d) + (2 * 4 * 13 * 15 * d))
            + ((2 + 26) * 6 * d * d) + (2 * ((4 * 13 * 15 * d) + (18 * d * d))));
        Assert.Equal(1, Cost.OfCaching(config, 5, 15, 2) / caching, 1e-9);
    }

    [Fact]
    public void A_chunk_that_has_enough_pairs_ends_where_the_first_difference_changes()
    {
        int[] ids = [.. Enumerable.Range(0, 10)];
        TokenPair[] pairs =
        [
            .. Enumerable.Range(0, 40).Select(index => new TokenPair(index, ids, [.. ids.Select((id, at) => at == (index < 20 ? 2 : index < 23 ? 4 : 6) ? 99 : id)], 1, 2)),
        ];
        var chunks = Chunks.Split(pairs, most: _ => 16);
        Assert.Equal([16, 4 + 3 + 1, 16], chunks.Select(chunk => chunk.Count));
        Assert.Equal(pairs.Select(pair => pair.Index), chunks.SelectMany(chunk => chunk).Select(pair => pair.Index).Order());
    }

    private static ModelConfig Gpt2Small { get; } = new()
    {
        Family = "gpt2",
        Layers = 12,
        Heads = 12,
        KeyValueHeads = 12,
        HeadWidth = 64,
        Width = 768,
        MlpWidth = 3072,
        Context = 1024,
        Vocabulary = 50257,
        NormEpsilon = 1e-5,
        Activation = Activation.GeluTanh,
        TiedUnembedding = true,
    };

    /// <summary>Those of a model's pairs, either way round, that are as long as the first.</summary>
    private static TokenPair[] OneLength(GoldenModel golden) =>
        [.. golden.BothWays.Where(pair => pair.Length == golden.Pairs[0].Length).Select((pair, index) => pair with { Index = index })];

    private static IEnumerable<PatchOptions> Options(Patch patch) =>
        from positions in new[] { Positions.All, Positions.Each, Positions.One(-1) }
        from direction in Enum.GetValues<Direction>()
        select new PatchOptions { Patch = patch, Positions = positions, Direction = direction };

    /// <summary>Some of a chunk's tensors; still the chunk's.</summary>
    private static double[][] Numbers(IEnumerable<LayerPatches> layers) =>
        [.. layers.Select(layer => layer.PatchedMetric.SelectMany(pair => pair).SelectMany(row => row).ToArray())];

    private static void AssertSame(double[][] expected, double[][] actual)
    {
        Assert.Equal(expected.Select(layer => layer.Length), actual.Select(layer => layer.Length));
        Assert.All(expected.SelectMany(layer => layer).Zip(actual.SelectMany(layer => layer)), values => Assert.Equal(values.First, values.Second, 1e-10));
    }

#pragma warning disable CA1710 // A stand-in for a dictionary, not a collection of its own.
    /// <summary>z by layer, on a device that has no memory for it the first two times.</summary>
    private sealed class FailsFirst(Dictionary<int, Tensor> z) : IReadOnlyDictionary<int, Tensor>
#pragma warning restore CA1710
    {
        public int FailuresLeft { get; private set; } = 2;

        public IEnumerable<int> Keys => z.Keys;

        public IEnumerable<Tensor> Values => z.Values;

        public int Count => z.Count;

        public Tensor this[int key] => z[key];

        public bool ContainsKey(int key) => z.ContainsKey(key);

        public bool TryGetValue(int key, out Tensor value)
        {
            if (FailuresLeft > 0)
            {
                FailuresLeft--;
#pragma warning disable CA2201 // The type is the one that TorchSharp throws.
                throw new ExternalException("CUDA out of memory. Tried to allocate 2.00 GiB.");
#pragma warning restore CA2201
            }

            return z.TryGetValue(key, out value!);
        }

        public IEnumerator<KeyValuePair<int, Tensor>> GetEnumerator() => z.GetEnumerator();

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
