using HeadPatching.Core.Faults;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Models;

/// <summary>The models in an artifact store, and the cache on this machine that they are brought to.</summary>
public sealed class StoredModels
{
    private readonly IArtifactStore _store;
    private readonly ModelCache _cache;

    /// <summary>Makes the view of a store's models; nothing is asked of it yet.</summary>
    public StoredModels(IArtifactStore store, ModelCache cache)
    {
        _store = store;
        _cache = cache;
    }

    /// <summary>The names of the models, whole uploads only.</summary>
    public async Task<IReadOnlyList<string>> NamesAsync(CancellationToken cancellationToken = default)
    {
        var names = new List<string>();
        await foreach (ArtifactInfo artifact in _store.ListAsync(StoredModel.Models, cancellationToken))
        {
            if (artifact.Name.Split('/') is [_, var name, StoredModel.ManifestFile])
            {
                names.Add(name);
            }
        }

        return names;
    }

    /// <summary>The models; one whose manifest cannot be read is listed with its problem.</summary>
    public async Task<IReadOnlyList<ListedModel>> ListAsync(CancellationToken cancellationToken = default)
    {
        var models = new List<ListedModel>();
        foreach (string name in await NamesAsync(cancellationToken))
        {
            try
            {
                if (await FindAsync(name, cancellationToken) is (_, var model))
                {
                    models.Add(new ListedModel(name, model.Shape));
                }
            }
            catch (InvalidInputException e)
            {
                models.Add(new ListedModel(name, Shape: null, e.Faults[0].ToString()));
            }
        }

        return models;
    }

    /// <summary>A model by its name; null where there is none.</summary>
    /// <exception cref="InvalidInputException">Its manifest cannot be read.</exception>
    public async Task<NamedModel?> FindAsync(string name, CancellationToken cancellationToken = default)
    {
        if (!ArtifactName.IsValidSegment(name))
        {
            return null;
        }

        string manifest = StoredModel.Manifest(name);
        try
        {
            StoredModel? model = await _store.ReadJsonAsync<StoredModel>(manifest, cancellationToken);
            return model is null ? null : model.IsSound ? new NamedModel(name, model) : throw Unreadable();
        }
        catch (DamagedArtifactException)
        {
            throw Unreadable();
        }

        InvalidInputException Unreadable() => new(
            FaultKinds.Malformed, manifest, "The model's manifest in the store cannot be read. Upload the model again: headpatch model push FOLDER NAME --replace.");
    }

    /// <summary>The model's folder on this machine, downloaded where it is not here yet.</summary>
    public Task<LocatedModel> FetchAsync(NamedModel model, CancellationToken cancellationToken = default) => _cache.FetchAsync(_store, model, cancellationToken);
}
