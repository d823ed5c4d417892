using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Ablations;

/// <summary>The means for one prompt.</summary>
/// <param name="Same">How many of the prompts that the sums are over are this one, whose z is left out of its own mean.</param>
/// <param name="Sums">For each position, the sum that its mean is taken from.</param>
/// <param name="Others">For each position, over how many other prompts it is.</param>
/// <param name="Into">Where the means are over the pairs' own runs, what its own z goes into (<see cref="SummedPrompt.Into"/>).</param>
public sealed record PromptMeans(int Same, IReadOnlyList<int> Sums, IReadOnlyList<int> Others, IReadOnlyList<int> Into);

/// <summary>A prompt that gives its z to another.</summary>
/// <param name="Ids">Its token ids.</param>
/// <param name="Positions">For each position of the prompt that is given to, the one that gives.</param>
public sealed record Donor(IReadOnlyList<int> Ids, IReadOnlyList<int> Positions);

/// <summary>
/// What some pairs of one length are given in mean or resample ablation. It is worked out from all pairs of a sweep (<see cref="AblationPlan"/>), and is
/// all that is needed of the others to run these: it can be stored beside them.
/// </summary>
/// <param name="Means">Of mean ablation, the means for each pair; null otherwise.</param>
/// <param name="Donors">Of resample ablation, the donor of each pair; null otherwise.</param>
public sealed record ChunkAblation(IReadOnlyList<PromptMeans>? Means, IReadOnlyList<Donor>? Donors)
{
    /// <summary>The means that the pairs are given in a layer, each without its own z.</summary>
    /// <param name="sums">The layer's sums over all prompts (<see cref="MeanZ.Sums"/>), [heads, place, d_head] float64.</param>
    /// <param name="own">z of the layer in the run that is patched, [pairs, heads, position, d_head].</param>
    /// <returns>Of the shape, type and device of <paramref name="own"/>; the caller's.</returns>
    /// <exception cref="InvalidOperationException">It is no mean ablation.</exception>
    public Tensor Mean(Tensor sums, Tensor own)
    {
        IReadOnlyList<PromptMeans> means = Means ?? throw new InvalidOperationException("This ablation takes no means.");
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        long length = own.shape[2];
        Tensor ofAll = sums.index_select(1, tensor([.. means.SelectMany(mean => mean.Sums).Select(sum => (long)sum)])).unflatten(1, [means.Count, length]).transpose(0, 1); // [pairs, heads, position, d_head]
        Tensor same = tensor([.. means.Select(mean => (double)mean.Same)]).reshape(-1, 1, 1, 1);
        Tensor others = tensor([.. means.SelectMany(mean => mean.Others).Select(count => (double)count)]).reshape(means.Count, 1, length, 1);
        Tensor mean = (ofAll - (same * own.to(ScalarType.Float64).cpu())) / others;
        return mean.to(own.dtype).to(own.device).DetachFromDisposeScope();
    }

    /// <summary>The pairs' prompts as they go into the sums, where the means are over the pairs' own runs.</summary>
    /// <param name="pairs">The pairs.</param>
    /// <param name="direction">Which run is patched.</param>
    /// <exception cref="InvalidOperationException">It is no mean ablation.</exception>
    public IEnumerable<SummedPrompt> Summed(IReadOnlyList<TokenPair> pairs, Direction direction) => pairs.Zip(
        Means ?? throw new InvalidOperationException("This ablation takes no means."), (pair, means) => new SummedPrompt(AblationPrompt.Patched(pair, direction).Ids, means.Into));

    /// <summary>What the donors give, of some layers that stand together; the caller disposes of it.</summary>
    /// <param name="model">The model.</param>
    /// <param name="firstLayer">The first of the layers.</param>
    /// <param name="layers">How many.</param>
    /// <returns>By layer, [pairs, heads, position, d_head].</returns>
    /// <exception cref="InvalidOperationException">It is no resample ablation.</exception>
    public IReadOnlyList<Tensor> Resampled(Transformer model, int firstLayer, int layers)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        var z = new Tensor[layers];
        LayerPass.Run(Resampling(model, firstLayer, layers, (layer, given) => z[layer - firstLayer] = given));
        return [.. z.Select(given => given.DetachFromDisposeScope())];
    }

    /// <summary>Runs the donors, in a pass over the layers that others may share (<see cref="LayerPass"/>).</summary>
    /// <param name="model">The model.</param>
    /// <param name="firstLayer">The first of the layers.</param>
    /// <param name="layers">How many.</param>
    /// <param name="take">Given each layer and what the donors give there, [pairs, heads, position, d_head], in the caller's dispose scope.</param>
    /// <exception cref="InvalidOperationException">It is no resample ablation.</exception>
    internal IReadOnlyList<IEnumerable<int>> Resampling(Transformer model, int firstLayer, int layers, Action<int, Tensor> take)
    {
        IReadOnlyList<Donor> donors = Donors ?? throw new InvalidOperationException("This ablation draws no donors.");
        var ofLayer = new Tensor[donors.Count];                               // by pair, [heads, position, d_head]
        return [.. Enumerable.Range(0, donors.Count).GroupBy(pair => donors[pair].Ids.Count).Select(OfOneLength), Together()];

        IEnumerable<int> OfOneLength(IEnumerable<int> ofOneLength)
        {
            int[] pairs = [.. ofOneLength];
            return PromptRun.Steps(model, [.. pairs.Select(pair => donors[pair].Ids)], firstLayer, layers, (_, ofBatch) =>
            {
                foreach (var (row, pair) in pairs.Index())
                {
                    Tensor positions = tensor([.. donors[pair].Positions.Select(position => (long)position)], device: ofBatch.device);
                    ofLayer[pair] = ofBatch[row].index_select(1, positions).MoveToOuterDisposeScope();
                }
            });
        }

        // After those of all lengths.
        IEnumerable<int> Together()
        {
            for (int layer = firstLayer; layer < firstLayer + layers; layer++)
            {
                yield return layer;
                take(layer, stack(ofLayer));
                Array.ForEach(ofLayer, z => z.Dispose());
            }
        }
    }
}
