using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Caching;

/// <summary>What is cached of one run in one layer, from the chunk's first difference on. Null is what was not read, because nothing asks for it.</summary>
/// <param name="ResidPre">The residual stream before the layer, [pairs, live positions, d_model].</param>
/// <param name="Z">hook_z, [pairs, heads, live positions, d_head] (heads before positions, which TransformerLens has the other way round).</param>
public sealed record RunActivations(Tensor? ResidPre, Tensor? Z);

/// <summary>Keys and values of one layer at some positions.</summary>
/// <param name="K">hook_k, [pairs, key/value heads, position, d_head]</param>
/// <param name="V">hook_v, [pairs, key/value heads, position, d_head]</param>
public sealed record KeysValues(Tensor K, Tensor V);

/// <summary>What is cached of one layer over a chunk of pairs of one length.</summary>
/// <param name="Clean">The clean run's.</param>
/// <param name="Corrupted">The corrupted run's.</param>
/// <param name="Prefix">Keys and values of the positions before the first difference, once for both runs; null where there are none, or they were not read.</param>
public sealed record LayerActivations(RunActivations Clean, RunActivations Corrupted, KeysValues? Prefix) : IDisposable
{
    /// <summary>The run whose activation is put in: clean when denoising, corrupted when noising.</summary>
    public RunActivations Source(Direction direction) => direction == Direction.Denoise ? Clean : Corrupted;

    /// <summary>The run that is patched: corrupted when denoising, clean when noising.</summary>
    public RunActivations Base(Direction direction) => direction == Direction.Denoise ? Corrupted : Clean;

    /// <summary>The tensors that there are.</summary>
    public IEnumerable<(CachedPart Part, Tensor Tensor)> Tensors() =>
        new (CachedPart Part, Tensor? Tensor)[]
        {
            (CachedPart.CleanResidPre, Clean.ResidPre),
            (CachedPart.CleanZ, Clean.Z),
            (CachedPart.CorruptedResidPre, Corrupted.ResidPre),
            (CachedPart.CorruptedZ, Corrupted.Z),
            (CachedPart.PrefixK, Prefix?.K),
            (CachedPart.PrefixV, Prefix?.V),
        }
        .Where(one => one.Tensor is not null)
        .Select(one => (one.Part, one.Tensor!));

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var (_, tensor) in Tensors())
        {
            tensor.Dispose();
        }
    }
}
