using HeadPatching.Core.Faults;

namespace HeadPatching.Sweeps.Models;

/// <summary>The models that a host can sweep, by name. Names may come from outside: none is used as a path unless the catalog says so.</summary>
public interface IModelCatalog
{
    /// <summary>The models there are, by name in ordinal order. Nothing is downloaded for it.</summary>
    Task<IReadOnlyList<ListedModel>> ListAsync(CancellationToken cancellationToken = default);

    /// <summary>Sees that there is a model of this name; cheap enough for before the answer to a call.</summary>
    /// <param name="name">The name.</param>
    /// <param name="where">Where the name stands, for the fault: <c>model</c>, <c>--model</c>.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <exception cref="InvalidInputException">There is none; the message lists those that there are.</exception>
    Task CheckAsync(string name, string where, CancellationToken cancellationToken = default);

    /// <summary>Finds the model's folder on this machine; brings it here first where it is not, which may take minutes.</summary>
    /// <param name="name">The name.</param>
    /// <param name="where">Where the name stands, for the fault: <c>model</c>, <c>--model</c>.</param>
    /// <param name="cancellationToken">Ends the call; the next one goes on with what was half brought here.</param>
    /// <returns>The folder, which stays while this is not disposed of.</returns>
    /// <exception cref="InvalidInputException">There is no such model.</exception>
    Task<LocatedModel> LocateAsync(string name, string where, CancellationToken cancellationToken = default);
}
