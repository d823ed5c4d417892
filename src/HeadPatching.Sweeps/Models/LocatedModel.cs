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

    /// <inheritdoc/>
    public void Dispose() => _hold?.Dispose();
}
