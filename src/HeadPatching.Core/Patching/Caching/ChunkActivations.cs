using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Caching;

/// <summary>
/// What is cached of a chunk of pairs, or as much of it as a sweep needs (<see cref="NeededTensors"/>). Before <see cref="Start"/> the two
/// runs are the same, so of those positions only the keys and values are kept, once, which later positions look at; from it on, of each run,
/// the residual stream before each layer and z. Everything else (q, k, v and pattern; resid_mid, attn_out and mlp_out) follows from these
/// with a product or two, and is made where a patch asks for it (<see cref="HeadActivations"/>).
/// </summary>
/// <param name="start">The first position that is held of each run.</param>
/// <param name="layers">The layers that there are, by number.</param>
public sealed class ChunkActivations(int start, IReadOnlyDictionary<int, LayerActivations> layers) : IDisposable
{
    /// <summary>The first position that is held of each run: at or before the chunk's first difference.</summary>
    public int Start { get; } = start;

    /// <summary>The layers that there are, by number.</summary>
    public IReadOnlyDictionary<int, LayerActivations> Layers { get; } = layers;

    /// <summary>Reads what is needed.</summary>
    /// <param name="start">The first position that is held of each run.</param>
    /// <param name="needed">The tensors to read.</param>
    /// <param name="read">Reads one of them.</param>
    /// <returns>The activations, which the caller disposes of.</returns>
    public static ChunkActivations Read(int start, IEnumerable<CachedTensor> needed, Func<CachedTensor, Tensor> read)
    {
        var layers = new Dictionary<int, LayerActivations>();
        var all = new List<Tensor>();
        try
        {
            foreach (var layer in needed.GroupBy(tensor => tensor.Layer))
            {
                var parts = new Dictionary<CachedPart, Tensor>();
                foreach (CachedTensor tensor in layer)
                {
                    parts[tensor.Part] = read(tensor);
                    all.Add(parts[tensor.Part]);
                }

                Tensor? Part(CachedPart part) => parts.GetValueOrDefault(part);
                layers[layer.Key] = new LayerActivations(
                    new RunActivations(Part(CachedPart.CleanResidPre), Part(CachedPart.CleanZ)),
                    new RunActivations(Part(CachedPart.CorruptedResidPre), Part(CachedPart.CorruptedZ)),
                    Part(CachedPart.PrefixK) is Tensor k && Part(CachedPart.PrefixV) is Tensor v ? new KeysValues(k, v) : null);
            }
        }
        catch
        {
            all.ForEach(tensor => tensor.Dispose());
            throw;
        }

        return new ChunkActivations(start, layers);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (LayerActivations layer in Layers.Values)
        {
            layer.Dispose();
        }
    }
}
