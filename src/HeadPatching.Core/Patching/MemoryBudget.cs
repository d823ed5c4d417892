using HeadPatching.Core.Models;
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
    /// More rows (positions of patched runs) than this in one batch gain nothing on a CPU: the matrix products are long since at full
    /// speed, and the MLP's hidden layer no longer stays in the cache between two steps.
    /// </summary>
    private const long RowsPerBatchOnCpu = 1024;

    /// <summary>More pairs than this in a chunk gain nothing, and a chunk is what is lost when a host dies.</summary>
    private const int PairsPerChunkAtMost = 8;

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
        // Both runs of every layer: resid_pre, q and z, k and v.
        long perPair = 2L * config.Layers * length * (config.Width + (2L * (config.Heads + config.KeyValueHeads) * config.HeadWidth)) * dtype.Bytes();
        return Math.Max(Bytes / 2 / perPair, 1);
    }

    /// <summary>How many patched runs (heads) go into one batch, at least 1.</summary>
    /// <param name="model">The model.</param>
    /// <param name="pairs">Pairs in the chunk: a batch holds each head's run on all of them.</param>
    /// <param name="positions">Positions that are recomputed.</param>
    /// <param name="length">Positions of the prompt.</param>
    public int RunsPerBatch(Transformer model, int pairs, int positions, int length)
    {
        ModelConfig config = model.Config;
        long rows = (long)pairs * positions;
        long headWidths = (long)config.Heads * config.HeadWidth;
        long attention = (4L * (config.Width + headWidths) * rows) + (2L * headWidths * pairs * length); // norm, q, k, v, z and out; then all keys and values
        long mlp = (((config.GatedMlp ? 3L : 2L) * config.MlpWidth) + (3L * config.Width)) * rows; // the hidden layer before and after the activation
        long perRun = (Math.Max(attention, mlp) + (2L * config.Width * rows)) * model.Dtype.Bytes(); // and the residual stream
        long fit = (model.FreeDeviceMemory ?? Bytes) / 2 / perRun;
        return (int)Math.Clamp(model.Device.type == TorchSharp.DeviceType.CPU ? Math.Min(fit, RowsPerBatchOnCpu / rows) : fit, 1, config.Heads);
    }

    /// <summary>How many pairs run forwards and backwards as one batch, at least 1.</summary>
    /// <param name="model">The model.</param>
    /// <param name="length">The pairs' length, in tokens.</param>
    public int PairsPerBackward(Transformer model, int length)
    {
        // What every layer keeps until its backward: resid_pre and resid_mid; q, k, v, z and a gradient; the hidden layer (three times,
        // where it is gated); the pattern and its gradient, where attention is not fused.
        ModelConfig config = model.Config;
        long perPosition = (2L * config.Width) + (5L * config.Heads * config.HeadWidth) + (3L * config.MlpWidth) + (2L * config.Heads * length);
        long perPair = config.Layers * length * perPosition * model.Dtype.Bytes();
        return (int)Math.Clamp((model.FreeDeviceMemory ?? Bytes) / 2 / perPair, 1, int.MaxValue);
    }
}
