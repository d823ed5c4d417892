using System.Globalization;
using HeadPatching.Core.Models;

namespace HeadPatching.Core.Patching.Caching;

/// <summary>Which of a layer's tensors is cached. The rest of the layer follows from these.</summary>
public enum CachedPart
{
    /// <summary>The clean run's residual stream before the layer, from the first difference on, [pairs, live positions, d_model].</summary>
    CleanResidPre,

    /// <summary>The clean run's z, from the first difference on, [pairs, heads, live positions, d_head].</summary>
    CleanZ,

    /// <summary>The corrupted run's residual stream, as <see cref="CleanResidPre"/>.</summary>
    CorruptedResidPre,

    /// <summary>The corrupted run's z, as <see cref="CleanZ"/>.</summary>
    CorruptedZ,

    /// <summary>hook_k of the positions before the first difference, which both runs share, [pairs, key/value heads, start, d_head].</summary>
    PrefixK,

    /// <summary>hook_v, as <see cref="PrefixK"/>.</summary>
    PrefixV,
}

/// <summary>One tensor of a chunk's cached activations.</summary>
/// <param name="Layer">The layer.</param>
/// <param name="Part">Which of the layer's tensors.</param>
public readonly record struct CachedTensor(int Layer, CachedPart Part)
{
    /// <summary>Its name in a file: the run (or what both runs share), then TransformerLens's name of the hook.</summary>
    public string Name => Part switch
    {
        CachedPart.CleanResidPre => $"clean.{Block}.hook_resid_pre",
        CachedPart.CleanZ => $"clean.{Block}.attn.hook_z",
        CachedPart.CorruptedResidPre => $"corrupted.{Block}.hook_resid_pre",
        CachedPart.CorruptedZ => $"corrupted.{Block}.attn.hook_z",
        CachedPart.PrefixK => $"prefix.{Block}.attn.hook_k",
        _ => $"prefix.{Block}.attn.hook_v",
    };

    /// <summary>Whether it is of the positions before the first difference: there is none where the runs differ from the first position on.</summary>
    public bool IsOfPrefix => Part is CachedPart.PrefixK or CachedPart.PrefixV;

    /// <summary>Every tensor that is cached of a chunk, layer by layer.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="start">Where the chunk's runs may differ first.</param>
    public static IReadOnlyList<CachedTensor> All(ModelConfig config, int start) =>
    [
        .. from layer in Enumerable.Range(0, config.Layers)
           from part in Enum.GetValues<CachedPart>()
           let tensor = new CachedTensor(layer, part)
           where start > 0 || !tensor.IsOfPrefix
           select tensor,
    ];

    /// <summary>How many numbers it has.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="pairs">The chunk's pairs.</param>
    /// <param name="length">Their length, in tokens.</param>
    /// <param name="start">Where their runs may differ first.</param>
    public long Elements(ModelConfig config, int pairs, int length, int start) => (long)pairs * Part switch
    {
        CachedPart.CleanResidPre or CachedPart.CorruptedResidPre => (length - start) * config.Width,
        CachedPart.CleanZ or CachedPart.CorruptedZ => (length - start) * config.Heads * config.HeadWidth,
        _ => start * config.KeyValueHeads * config.HeadWidth,
    };

    private string Block => string.Create(CultureInfo.InvariantCulture, $"blocks.{Layer}");
}
