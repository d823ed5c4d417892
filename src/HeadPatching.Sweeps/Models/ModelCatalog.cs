using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;

namespace HeadPatching.Sweeps.Models;

/// <summary>
/// The demo model that travels with the program, every folder with a config.json in the models folder, and the models in the store. Names
/// are compared with what was found, so a name can never lead out of there. A folder hides the store's model of the same name.
/// </summary>
public sealed class ModelCatalog : IModelCatalog
{
    private readonly SortedDictionary<string, string> _folders = new(StringComparer.Ordinal);
    private readonly bool _foldersToo;
    private readonly string? _hubCache;
    private readonly StoredModels? _stored;

    /// <summary>Looks at what models there are.</summary>
    /// <param name="modelsFolder">A folder whose subfolders are models; null: none.</param>
    /// <param name="foldersToo">Whether a name may also be a folder's path: on the command line, never over HTTP.</param>
    /// <param name="stored">The models in the store; null: none.</param>
    /// <param name="hubCache">Hugging Face's cache on this machine, whose repositories are models by their names: on the command line, never over HTTP; null: none.</param>
    public ModelCatalog(string? modelsFolder = null, bool foldersToo = false, StoredModels? stored = null, string? hubCache = null)
    {
        _foldersToo = foldersToo;
        _hubCache = hubCache;
        _stored = stored;
        foreach (string root in new[] { Path.Combine(AppContext.BaseDirectory, "models"), modelsFolder }.OfType<string>().Where(Directory.Exists))
        {
            foreach (string folder in Directory.EnumerateDirectories(root).Where(folder => File.Exists(Path.Combine(folder, "config.json"))))
            {
                _folders[Path.GetFileName(folder)] = folder;
            }
        }
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<ListedModel>> ListAsync(CancellationToken cancellationToken = default)
    {
        List<ListedModel> models = [.. _folders.Select(named => Look(named.Key, named.Value))];
        if (_stored is not null)
        {
            models.AddRange((await _stored.ListAsync(cancellationToken)).Where(model => !_folders.ContainsKey(model.Name)));
        }

        return [.. models.OrderBy(model => model.Name, StringComparer.Ordinal)];
    }

    /// <inheritdoc/>
    public async Task CheckAsync(string name, string where, CancellationToken cancellationToken = default)
    {
        if (LocalFolder(name) is null && (_stored is null || await _stored.FindAsync(name, cancellationToken) is null) && CachedFolder(name) is null)
        {
            throw await UnknownAsync(name, where, cancellationToken);
        }
    }

    /// <inheritdoc/>
    public async Task<LocatedModel> LocateAsync(string name, string where, CancellationToken cancellationToken = default)
    {
        if (LocalFolder(name) is string folder)
        {
            return new LocatedModel(_folders.ContainsKey(name) ? name : folder, folder);
        }

        if (_stored is not null && await _stored.FindAsync(name, cancellationToken) is NamedModel model)
        {
            return await _stored.FetchAsync(model, cancellationToken);
        }

        return CachedFolder(name) is string snapshot ? new LocatedModel(snapshot, snapshot) : throw await UnknownAsync(name, where, cancellationToken);
    }

    private static ListedModel Look(string name, string folder)
    {
        try
        {
            using var model = new LocatedModel(name, folder);
            return new ListedModel(name, model.Use(inside => ModelShape.Of(ModelFolder.Inspect(inside))));
        }
        catch (InvalidInputException e)
        {
            return new ListedModel(name, Shape: null, e.Faults[0].ToString());
        }
    }

    private string? LocalFolder(string name) =>
        _folders.TryGetValue(name, out string? folder) ? folder : _foldersToo && Directory.Exists(name) ? HubCache.Resolve(Path.GetFullPath(name)) : null;

    private string? CachedFolder(string name) => _hubCache is null ? null : HubCache.Find(Path.GetFullPath(_hubCache), name);

    private async Task<InvalidInputException> UnknownAsync(string name, string where, CancellationToken cancellationToken)
    {
        string[] names = [.. _folders.Keys.Concat(_stored is null ? [] : await _stored.NamesAsync(cancellationToken)).Distinct().Order(StringComparer.Ordinal)];

        string[] cached = _hubCache is null ? [] : [.. HubCache.Repositories(_hubCache)];
        return new InvalidInputException(
            FaultKinds.UnknownModel,
            where,
            $"There is no model {Untrusted.Show(name)}.{(_foldersToo && File.Exists(name) ? " That is a file; name the folder that it is in." : "")}{Suggestion.DidYouMean(name, names.Concat(cached))} Known: {string.Join(", ", names)}"
            + $"{(cached.Length > 0 ? $"; in Hugging Face's cache {Untrusted.ShowSome(cached)}" : "")}{(_foldersToo ? "; or give the path of a model folder" : "")}.");
    }
}
