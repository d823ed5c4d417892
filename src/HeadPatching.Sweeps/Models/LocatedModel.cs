using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;

namespace HeadPatching.Sweeps.Models;

/// <summary>A model's folder on this machine. Dispose of it when the folder is no longer read.</summary>
public sealed class LocatedModel : IDisposable
{
    private readonly IDisposable? _hold;
    private readonly string? _fingerprint;

    internal LocatedModel(string name, string folder, IDisposable? hold = null, Func<string, Stream?>? weights = null, string? fingerprint = null)
    {
        Name = name;
        Folder = folder;
        Weights = weights;
        _fingerprint = fingerprint;
        _hold = hold;
    }

    /// <summary>The name under which it is found again, on another worker too unless it is a folder of the user's own.</summary>
    public string Name { get; }

    /// <summary>The folder.</summary>
    public string Folder { get; }

    /// <summary>Opens weight files that are in the store alone, not in <see cref="Folder"/>; null where all are there. Streams may be read after this is disposed of.</summary>
    public Func<string, Stream?>? Weights { get; }

    /// <summary>The model's fingerprint. Of weights in the store it is the manifest's, to whose hashes all that is read of them is held.</summary>
    /// <exception cref="InvalidInputException">The folder has no config.json or no sound weights.</exception>
    public string Fingerprint() => _fingerprint ?? ModelFingerprint.Compute(Folder);

    /// <summary>Does something with the folder.</summary>
    /// <exception cref="InvalidInputException">
    /// As the work throws it, with the model's name in place of the folder: where it lies is nobody's business who is not on this machine.
    /// </exception>
    public T Use<T>(Func<string, T> work)
    {
        try
        {
            return work(Folder);
        }
        catch (InvalidInputException e) when (Name != Folder)
        {
            throw new InvalidInputException([.. e.Faults.Select(fault => fault with { Where = Named(fault.Where), Message = Named(fault.Message) })]);
        }

        string Named(string text) => text.Replace(Folder, Name, StringComparison.Ordinal);
    }

    /// <inheritdoc/>
    public void Dispose() => _hold?.Dispose();
}
