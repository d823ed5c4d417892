using HeadPatching.Core.Models;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Ablations;

/// <summary>
/// The sums that means of a layer's z over prompts are taken from (<see cref="ChunkAblation.Mean"/>), in float64; the prompts come in chunks, and the
/// sums do not grow with their number. Those over some prompts and over others make those over all.
/// </summary>
public sealed class MeanZ : IDisposable
{
    private MeanZ(int count, int heads, int headWidth)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        Sums = zeros(heads, count, headWidth, dtype: ScalarType.Float64).DetachFromDisposeScope();
    }

    /// <summary>The sums over the prompts, [heads, place, d_head] float64 on the CPU.</summary>
    public Tensor Sums { get; }

    /// <summary>The sums of all layers, by layer; the caller disposes of them.</summary>
    /// <param name="model">The model.</param>
    /// <param name="prompts">The prompts, of any lengths.</param>
    /// <param name="count">How many sums there are (<see cref="AblationPlan.SumCount"/>).</param>
    /// <param name="budget">How much memory the runs may take.</param>
    /// <param name="cancellation">Looked at before each batch.</param>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static IReadOnlyList<MeanZ> Over(
        Transformer model, IEnumerable<SummedPrompt> prompts, int count, MemoryBudget budget, CancellationToken cancellation = default)
    {
        int layers = model.Config.Layers;
        MeanZ[] means = [.. Enumerable.Range(0, layers).Select(_ => new MeanZ(count, model.Config.Heads, model.Config.HeadWidth))];
        try
        {
            // As many batches as can be held go through the layers together; each layer takes them in in the same order, however many they are.
            (SummedPrompt[] Prompts, long Bytes)[] batches =
            [
                .. prompts.GroupBy(prompt => prompt.Ids.Count).OrderBy(group => group.Key).SelectMany(ofOneLength => ofOneLength
                    .Chunk(budget.PairsPerChunk(model.Config, model.Dtype, ofOneLength.Key))
                    .Select(batch => (batch, (long)batch.Length * ofOneLength.Key * model.Config.Width * model.StreamDtype.Bytes()))),
            ];
            for (int done = 0, together; done < batches.Length; done += together)
            {
                cancellation.ThrowIfCancellationRequested();
                long held = 0;
                together = model.Weights.Streamed is null ? 1 : Math.Max(1, batches.Skip(done).TakeWhile(batch => (held += batch.Bytes) <= budget.Streams).Count());
                using var mode = inference_mode();
                using var scope = NewDisposeScope();
                LayerPass.Run([.. batches[done..(done + together)].Select(batch =>
                    PromptRun.Steps(model, [.. batch.Prompts.Select(prompt => prompt.Ids)], 0, layers, (layer, z) => means[layer].Add(batch.Prompts, z)))]);
            }

            return means;
        }
        catch
        {
            Array.ForEach(means, mean => mean.Dispose());
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Sums.Dispose();

    // z of prompts of one length, [prompts, heads, position, d_head]
    private void Add(SummedPrompt[] prompts, Tensor z)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        int length = prompts[0].Ids.Count;
        (long From, long Sum)[] parts = [.. prompts.SelectMany((prompt, i) => prompt.Into.Chunk(2).Select(into => ((long)(i * length) + into[0], (long)into[1])))];
        if (parts.Length > 0)
        {
            Tensor rows = z.to(ScalarType.Float64).cpu().transpose(0, 1).flatten(1, 2); // [heads, prompts * position, d_head]
            Sums.index_add_(1, tensor([.. parts.Select(part => part.Sum)]), rows.index_select(1, tensor([.. parts.Select(part => part.From)])), Native.Sums.One);
        }
    }
}
