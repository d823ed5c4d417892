using HeadPatching.Core.Faults;

namespace HeadPatching.Sweeps.Models;

/// <summary>A model's folder on this machine. Dispose of it when the folder is no longer read.</summary>
public sealed class LocatedModel : IDisposable
{
    private readonly IDisposable? _hold;

    internal LocatedModel(string name, string folder, IDisposable? hold = null)
    {
        Name = name;
        Folder = folder;
        _hold = hold;
    }

    /// <summary>The name under which it is found again, on another worker too unless it is a folder of the user's own.</summary>
    public string Name { get; }

    /// <summary>The folder.</summary>
    public string Folder { get; }

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
