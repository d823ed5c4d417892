namespace HeadPatching.Cli;

/// <summary>Where things are when no option says so.</summary>
internal static class DefaultFolders
{
    /// <summary>The environment variable that names a folder whose subfolders are models.</summary>
    public const string ModelsVariable = "HEADPATCHING_MODELS";

    /// <summary>The folder of models beside the demo model, or null.</summary>
    public static string? Models => Environment.GetEnvironmentVariable(ModelsVariable) is { Length: > 0 } folder ? folder : null;

    /// <summary>A store under the user's own data, so that an interrupted sweep goes on from wherever the command is given again.</summary>
    /// <param name="name">The host's name.</param>
    public static string Store(string name)
    {
        string data = Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
        return Path.Combine(data.Length > 0 ? data : Path.GetTempPath(), "headpatching", name);
    }
}
