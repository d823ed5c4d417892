using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Patterns;

/// <summary>Where a head looks: its softmaxed attention in both runs of a pair.</summary>
/// <param name="Layer">Layer, from 0.</param>
/// <param name="Head">Head, from 0 (of queries).</param>
/// <param name="Clean">The clean run's, [query][key]; 0 where the model lets it not look. With attention sinks a row sums to less than 1.</param>
/// <param name="Corrupted">The corrupted run's.</param>
public sealed record HeadPattern(int Layer, int Head, double[][] Clean, double[][] Corrupted)
{
    /// <summary>Such as <c>L9H6</c>.</summary>
    public string Name() => HeadNames.Of(Layer, Head);
}

/// <summary>Some heads' patterns on a pair.</summary>
/// <param name="Pair">The pair.</param>
/// <param name="Heads">The heads.</param>
public sealed record PairPatterns(TokenPair Pair, IReadOnlyList<HeadPattern> Heads);

/// <summary>
/// Reads <c>hook_pattern</c> of some heads in one batch of two prompts, clean and corrupted, run as far as the deepest of them. It is the model's own
/// (<see cref="Transformer.Pattern"/>): windows, score caps and sinks as the family has them.
/// </summary>
public static class AttentionPatterns
{
    /// <summary>Patterns are given with so many digits: they are numbers from 0 to 1.</summary>
    private const int Digits = 9;

    /// <summary>Reads the patterns of some heads on a pair.</summary>
    /// <param name="model">The model.</param>
    /// <param name="pair">The pair.</param>
    /// <param name="heads">The heads, in any order.</param>
    /// <param name="cancellation">Looked at before each layer.</param>
    /// <returns>Theirs, in the same order.</returns>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static IReadOnlyList<HeadPattern> Of(
        Transformer model, TokenPair pair, IReadOnlyList<(int Layer, int Head)> heads, CancellationToken cancellation = default)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        var found = new Dictionary<(int Layer, int Head), HeadPattern>();
        Tensor resid = model.Embed(tensor(pair.Clean.Concat(pair.Corrupted).Select(id => (long)id).ToArray(), device: model.Device).reshape(2, -1)); // [2, position, d_model]
        int last = heads.Max(head => head.Layer);
        for (int layer = 0; layer <= last; layer++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var layerScope = NewDisposeScope();
            var (q, k, v) = model.QueryKeyValue(layer, resid);                // [2, heads or kv_heads, position, d_head]
            int[] wanted = [.. heads.Where(head => head.Layer == layer).Select(head => head.Head).Distinct()];
            if (wanted.Length > 0)
            {
                Tensor pattern = model.Pattern(layer, q, k);                  // [2, heads, query, key]
                foreach (int head in wanted)
                {
                    found[(layer, head)] = new HeadPattern(layer, head, Rows(pattern[0, head]), Rows(pattern[1, head]));
                }
            }

            if (layer < last)
            {
                resid = model.ResidPost(layer, resid, model.Attend(layer, q, k, v)).MoveToOuterDisposeScope();
            }
        }

        return [.. heads.Select(head => found[head])];
    }

    private static double[][] Rows(Tensor pattern) =>
    [
        .. pattern.to(ScalarType.Float64).cpu().contiguous().data<double>().Select(value => Math.Round(value, Digits)).Chunk((int)pattern.shape[1]),
    ];
}
