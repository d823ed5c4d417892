using System.Text.RegularExpressions;
using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Models;

/// <summary>
/// The folders in which Hugging Face's libraries keep what they downloaded: <c>models--org--name</c> with a commit in <c>refs/main</c> and
/// the files of each in <c>snapshots/COMMIT</c>, which link to <c>blobs</c>.
/// </summary>
/// <remarks>The layout: https://huggingface.co/docs/huggingface_hub/guides/manage-cache.</remarks>
public static partial class HubCache
{
    private const string Prefix = "models--", Separator = "--", Snapshots = "snapshots";
    private const int LongestCommit = 100; // 40 digits, and the end of the line

    /// <summary>The folder of a model's files: the snapshot of what is a repository's folder in the cache, otherwise the path itself.</summary>
    /// <param name="path">A model folder, or a repository's folder in the cache.</param>
    /// <exception cref="InvalidInputException">It is the cache itself, or there is no telling which snapshot is meant.</exception>
    public static string Resolve(string path)
    {
        if (!Directory.Exists(path) || File.Exists(Path.Combine(path, ModelConfigReader.FileName)))
        {
            return path;
        }

        string snapshots = Path.Combine(path, Snapshots);
        if (Directory.Exists(snapshots))
        {
            return Snapshot(path, snapshots);
        }

        string[] repositories = [.. Repositories(path)];
        return repositories.Length == 0 ? path : throw new InvalidInputException(
            FaultKinds.NotFound, path, $"This is Hugging Face's cache, not a model; name the folder of a model in it. It has {Untrusted.ShowSome(repositories)}.");
    }

    /// <summary>The folder of a repository's files in the cache; null where it is not there, or the name is none of a repository.</summary>
    /// <param name="cache">The cache, which need not be there.</param>
    /// <param name="repository">Such as <c>openai-community/gpt2</c>.</param>
    /// <exception cref="InvalidInputException">It is there, and there is no telling which snapshot is meant.</exception>
    public static string? Find(string cache, string repository)
    {
        if (!RepositoryName().IsMatch(repository) || repository.Contains("..", StringComparison.Ordinal))
        {
            return null;
        }

        string folder = Path.Combine(cache, Prefix + repository.Replace("/", Separator, StringComparison.Ordinal));
        return Directory.Exists(folder) ? Resolve(folder) : null;
    }

    /// <summary>The models' repositories that a cache has; empty where there is no cache.</summary>
    public static IEnumerable<string> Repositories(string cache) => !Directory.Exists(cache) ? []
        : Directory.EnumerateDirectories(cache, Prefix + "*").Select(folder => Path.GetFileName(folder)[Prefix.Length..].Replace(Separator, "/", StringComparison.Ordinal)).Order(StringComparer.Ordinal);

    /// <summary>What a model is called: a folder's own name, and of a snapshot in the cache the repository's, <c>gpt2</c> for <c>openai-community/gpt2</c>.</summary>
    /// <param name="folder">A model folder, or any other name, which stays what it is.</param>
    public static string NameOf(string folder)
    {
        string path = Path.TrimEndingDirectorySeparator(folder);
        return Path.GetDirectoryName(path) is string parent && Path.GetFileName(parent) == Snapshots
            && Path.GetFileName(Path.GetDirectoryName(parent)) is string repository && repository.StartsWith(Prefix, StringComparison.Ordinal)
            ? repository.Split(Separator)[^1]
            : Path.GetFileName(path);
    }

    private static string Snapshot(string repository, string snapshots)
    {
        string main = Path.Combine(repository, "refs", "main");
        if (new FileInfo(main) is { Exists: true, Length: <= LongestCommit })
        {
            string commit = File.ReadAllText(main).Trim();
            string snapshot = Path.Combine(snapshots, commit);
            return Commit().IsMatch(commit) && Directory.Exists(snapshot) ? snapshot : throw new InvalidInputException(
                FaultKinds.NotFound, main, $"It names the snapshot {Untrusted.Show(commit)}, which is not there. Download the model again, or name one of {snapshots} yourself.");
        }

        string[] all = [.. Directory.EnumerateDirectories(snapshots).Select(folder => Path.GetFileName(folder)).Order(StringComparer.Ordinal)];
        return all switch
        {
            [string only] => Path.Combine(snapshots, only),
            [] => throw new InvalidInputException(FaultKinds.NotFound, snapshots, "There is no snapshot in it: the download did not get so far. Download the model again."),
            _ => throw new InvalidInputException(
                FaultKinds.NotFound, repository, $"It has {all.Length} snapshots, and no refs/main that says which one is meant. Name one yourself: {Untrusted.ShowSome(all)} in {snapshots}."),
        };
    }

    [GeneratedRegex(@"\A[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?\z")]
    private static partial Regex RepositoryName();

    [GeneratedRegex(@"\A[A-Za-z0-9]{1,64}\z")]
    private static partial Regex Commit();
}
