using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching.Bands;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching;

/// <summary>
/// How much memory a sweep may take beside the model's weights: half for a chunk's cached activations, half for one batch of patched
/// runs. Both are sized from it by counting tensors, so memory does not grow with the number of pairs; and from nothing else, so the
/// same sweep is cut the same way on every run. On a GPU a batch is sized from the card's free memory instead, and only the chunks from
/// the budget: a plan is made where there may be no GPU. The least that is possible (one pair, one head) is done even where it does not fit.
/// </summary>
/// <param name="Bytes">The budget in bytes.</param>
public sealed record MemoryBudget(long Bytes)
{
    /// <summary>
    /// On a CPU the MLP's hidden layer of what a thread computes at a time takes no more than this: it is to lie in the cache between two steps,
    /// and above 32 MiB the C library asks the system for every tensor anew.
    /// </summary>
    private const long HiddenBytesOnCpu = 12L << 20;

    /// <summary>Matrix products of fewer rows (positions of patched runs) than this are not at full speed on a CPU.</summary>
    private const long LeastRowsOnCpu = 512;

    /// <summary>A batch of more tiles than this gains nothing on a CPU, and is longer in coming.</summary>
    private const long TilesPerBatchOnCpu = 8;

    /// <summary>More pairs than this in a chunk gain nothing: all heads of some layers over so many fill any device.</summary>
    private const int PairsPerChunkAtMost = 64;

    /// <summary>1 GiB.</summary>
    public static MemoryBudget Default { get; } = new(1L << 30);

    /// <summary>How many pairs of a length go into one chunk, at least 1.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="dtype">The model's type.</param>
    /// <param name="length">The pairs' length, in tokens.</param>
    public int PairsPerChunk(ModelConfig config, ScalarType dtype, int length) =>
        (int)Math.Min(PairsCached(config, dtype, length), PairsPerChunkAtMost);

    /// <summary>Of how many pairs of a length the activations fit into half of the budget, at least 1.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="dtype">The model's type.</param>
    /// <param name="length">The pairs' length, in tokens.</param>
    public long PairsCached(ModelConfig config, ScalarType dtype, int length)
    {
        // Both runs of every layer: resid_pre and z, and q, k and v where a patch makes them.
        long perPair = 2L * config.Layers * length * (config.Width + (2L * (config.Heads + config.KeyValueHeads) * config.HeadWidth)) * dtype.OfStream().Bytes();
        return Math.Max(Bytes / 2 / perPair, 1);
    }

    /// <summary>What the streams may take that go through the layers together, in bytes: a quarter of the budget, on a CPU.</summary>
    public long Streams => Batch(null).Held;

    /// <summary>What a batch may take: half of the budget, or of the card's free memory.</summary>
    /// <param name="model">The model; null for one on a CPU.</param>
    internal BatchMemory Batch(Transformer? model)
    {
        long half = (model?.FreeDeviceMemory ?? Bytes) / 2;
        return new BatchMemory(half / 2, half / 2);
    }

    /// <summary>Cuts a batch of patched runs: their streams are held, and a step of the layers goes through some of them at a time.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="dtype">The model's type.</param>
    /// <param name="onCpu">Whether it computes on a CPU.</param>
    /// <param name="runs">Runs to do, each over all pairs.</param>
    /// <param name="pairs">Pairs in the chunk.</param>
    /// <param name="positions">Positions that are recomputed.</param>
    /// <param name="length">Positions of the prompt.</param>
    /// <param name="memory">What the batch may take.</param>
    internal static BatchCut Cut(ModelConfig config, ScalarType dtype, bool onCpu, int runs, int pairs, int positions, int length, BatchMemory memory)
    {
        long held = (long)positions * config.Width * dtype.OfStream().Bytes(), step = StepBytes(config, dtype, positions, length); // of one patched prompt
        int atOnce = onCpu ? ComputeThreads.AtOnce : 1;
        long tile = Math.Max(1, memory.Step / step / atOnce), count = memory.Held / held / pairs;
        if (onCpu)
        {
            long hidden = (config.GatedMlp ? 2L : 1L) * config.MlpWidth * dtype.OfStream().Bytes();
            tile = Math.Min(tile, Math.Max(1, Math.Max(LeastRowsOnCpu, HiddenBytesOnCpu / hidden) / positions));
            count = Math.Min(count, TilesPerBatchOnCpu * tile / pairs);
        }

        count = Math.Clamp(count, 1, runs);
        tile = Math.Clamp(tile, 1, count * pairs);
        return new BatchCut((int)count, (int)tile, new BatchMemory(count * pairs * held, atOnce * tile * step));
    }

    /// <summary>Cuts a batch of pairs that run forwards and backwards.</summary>
    internal static BatchCut CutBackward(Transformer model, int pairs, int length, BatchMemory memory)
    {
        // What every layer keeps until its backward: resid_pre and resid_mid; q, k, v, z and a gradient; the hidden layer (three times,
        // where it is gated; five times of each expert that is chosen); the pattern and its gradient, where attention is not fused.
        ModelConfig config = model.Config;
        long hidden = (config.Experts is { } experts ? 5L * experts.Chosen : 3L) * config.MlpWidth;
        long perPosition = (2L * config.Width) + (5L * config.Heads * config.HeadWidth) + hidden + (2L * config.Heads * length);
        long perPair = config.Layers * length * perPosition * model.StreamDtype.Bytes();
        int count = (int)Math.Clamp((memory.Held + memory.Step) / perPair, 1, pairs);
        return new BatchCut(count, 1, new BatchMemory(count * perPair / 2, count * perPair / 2));
    }

    /// <summary>What a layer makes of one patched prompt, in bytes.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="dtype">The model's type.</param>
    /// <param name="positions">Positions that are recomputed.</param>
    /// <param name="length">Positions of the prompt.</param>
    private static long StepBytes(ModelConfig config, ScalarType dtype, int positions, int length)
    {
        long headWidths = (long)config.Heads * config.HeadWidth;
        long attention = (4L * (config.Width + headWidths) * positions) + (2L * headWidths * length); // norm, q, k, v, z and out; then all keys and values
        attention += config.ScoreCap is not null || config.Sinks ? 3L * config.Heads * positions * length : 0; // scores, capped or with sinks, and the pattern
        long hidden = config.Experts is not null ? 5L : config.GatedMlp ? 3L : 2L; // before and after the activation; an expert at a time
        long mlp = ((hidden * config.MlpWidth) + (3L * config.Width)) * positions;
        return Math.Max(attention, mlp) * dtype.OfStream().Bytes();
    }
}
