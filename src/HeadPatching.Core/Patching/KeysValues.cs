using static TorchSharp.torch;

namespace HeadPatching.Core.Patching;

/// <summary>The keys and values of one layer in the run that is patched: what positions before the patch still look at.</summary>
/// <param name="K">[pairs, key/value heads, position, d_head]</param>
/// <param name="V">[pairs, key/value heads, position, d_head]</param>
public sealed record KeysValues(Tensor K, Tensor V) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose()
    {
        K.Dispose();
        V.Dispose();
    }
}
