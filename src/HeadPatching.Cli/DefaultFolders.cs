using HeadPatching.Core.Models;

namespace HeadPatching.Cli;

/// <summary>Where things are when no option says so.</summary>
internal static class DefaultFolders
{
    /// <summary>The environment variable that names a folder whose subfolders are models.</summary>
    public const string ModelsVariable = "HEADPATCHING_MODELS";

    /// <summary>The folder of models beside the demo model, or null.</summary>
    public static string? Models => Variable(ModelsVariable);

    /// <summary>Where Hugging Face's libraries keep the models that they downloaded: what their own variables say, or their default.</summary>
    public static string HuggingFace => Variable("HF_HUB_CACHE") ?? Variable("HUGGINGFACE_HUB_CACHE") ?? Path.Combine(
        Variable("HF_HOME") ?? Path.Combine(Variable("XDG_CACHE_HOME") ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache"), "huggingface"), "hub");

    /// <summary>The folder of a model that a command was given as a folder: itself, or what of Hugging Face's cache it names.</summary>
    /// <param name="given">A path, or a repository's name.</param>
    /// <exception cref="Core.Faults.InvalidInputException">It is in the cache, and there is no telling which snapshot is meant.</exception>
    public static string ModelFolder(string given) => Directory.Exists(given) ? HubCache.Resolve(given) : HubCache.Find(HuggingFace, given) ?? given;

    /// <summary>A store under the user's own data, so that an interrupted sweep goes on from wherever the command is given again.</summary>
    /// <param name="name">The host's name.</param>
    public static string Store(string name)
    {
        string data = Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
        return Path.Combine(data.Length > 0 ? data : Path.GetTempPath(), "headpatching", name);
    }

    private static string? Variable(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
}
