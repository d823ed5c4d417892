using System.Text;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Prompts;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Requests;

/// <summary>Pairs files that lie in the store under a name, for requests that would be too large with their pairs in them.</summary>
public static class StoredPairs
{
    private const string Folder = "pairs";

    /// <summary>What a name must be, for messages.</summary>
    public const string NameForm = "A name of pairs has 1 to 64 of a-z, 0-9, '.', '_' and '-', the first a letter or digit, the last no '.'.";

    /// <summary>Whether a text may be a name.</summary>
    public static bool IsName(string text) =>
        text.Length <= 64 && ArtifactName.IsValidSegment(text) && text[0] != '_';

    /// <summary>Puts pairs into the store.</summary>
    /// <param name="store">The store.</param>
    /// <param name="name">Their name.</param>
    /// <param name="pairs">The pairs.</param>
    /// <param name="replace">Whether they may take the place of others; sweeps that are planned keep theirs.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <returns>Whether they were written; false where there are some of this name.</returns>
    public static async Task<bool> WriteAsync(IArtifactStore store, string name, IReadOnlyList<PromptPair> pairs, bool replace, CancellationToken cancellationToken)
    {
        if (replace)
        {
            await store.DeleteAsync(Artifact(name), cancellationToken);
        }

        return await store.WriteIfAbsentAsync(Artifact(name), WriteAsync, cancellationToken);

        async Task WriteAsync(Stream to, CancellationToken cancel)
        {
            await using var writer = new StreamWriter(to, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), leaveOpen: true) { NewLine = "\n" };
            foreach (string line in PairsFile.Lines(pairs))
            {
                await writer.WriteLineAsync(line.AsMemory(), cancel);
            }
        }
    }

    /// <summary>The names that there are.</summary>
    public static async Task<IReadOnlyList<string>> NamesAsync(IArtifactStore store, CancellationToken cancellationToken)
    {
        var names = new List<string>();
        await foreach (ArtifactInfo artifact in store.ListAsync(Folder, cancellationToken))
        {
            names.Add(Path.GetFileNameWithoutExtension(artifact.Name));
        }

        return names;
    }

    /// <summary>Sees that the pairs that a request names are there.</summary>
    /// <exception cref="InvalidInputException">There are none of this name.</exception>
    public static async Task CheckAsync(IArtifactStore store, SweepRequest request, FaultPlaces places, CancellationToken cancellationToken)
    {
        if (NameOf(request) is string name && !await store.ExistsAsync(Artifact(name), cancellationToken))
        {
            throw await UnknownAsync(store, name, places, cancellationToken);
        }
    }

    /// <summary>A request with the pairs that it names in it, and how faults name their places; itself, where it names none.</summary>
    /// <exception cref="InvalidInputException">There are none of this name.</exception>
    public static async Task<(SweepRequest Request, FaultPlaces Places)> ResolveAsync(
        IArtifactStore store, SweepRequest request, FaultPlaces places, CancellationToken cancellationToken)
    {
        if (NameOf(request) is not string name)
        {
            return (request, places);
        }

        await using Stream stored = await store.OpenReadAsync(Artifact(name), cancellationToken) ?? throw await UnknownAsync(store, name, places, cancellationToken);
        PairsFile file = PairsFile.Read(stored, name);
        return (request with { Pairs = file.Pairs, Name = request.Name ?? name }, places with { Pair = file.Where });
    }

    // What is no name is a fault of the option.
    private static string? NameOf(SweepRequest request) => request.PairsFile is string name && IsName(name) ? name : null;

    private static async Task<InvalidInputException> UnknownAsync(IArtifactStore store, string name, FaultPlaces places, CancellationToken cancellationToken)
    {
        IReadOnlyList<string> known = await NamesAsync(store, cancellationToken);
        string has = known.Count == 0 ? "It has none yet" : $"It has {string.Join(", ", known.Take(20))}{(known.Count > 20 ? $" and {known.Count - 20} more" : "")}";
        return new InvalidInputException(FaultKinds.NotFound, places.Option("pairsFile"), $"The store has no pairs \"{name}\".{Suggestion.DidYouMean(name, known)} {has}; 'headpatch dataset push' puts some there.");
    }

    private static string Artifact(string name) => $"{Folder}/{name}.jsonl";
}
