namespace HeadPatching.Core.Patching;

/// <summary>One layer's activations of both runs over a chunk of pairs of one length.</summary>
/// <param name="Clean">The clean run's.</param>
/// <param name="Corrupted">The corrupted run's.</param>
public sealed record LayerActivations(HeadActivations Clean, HeadActivations Corrupted) : IDisposable
{
    /// <summary>The run whose activation is put in: clean when denoising, corrupted when noising.</summary>
    public HeadActivations Source(Direction direction) => direction == Direction.Denoise ? Clean : Corrupted;

    /// <summary>The run that is patched: corrupted when denoising, clean when noising.</summary>
    public HeadActivations Base(Direction direction) => direction == Direction.Denoise ? Corrupted : Clean;

    /// <inheritdoc/>
    public void Dispose()
    {
        Clean.Dispose();
        Corrupted.Dispose();
    }
}
