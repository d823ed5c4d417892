namespace HeadPatching.Infra.Tests;

/// <summary>Files of the repository that the tests run in.</summary>
internal static class RepositoryFolder
{
    public static string Root { get; } = Find();

    public static string Infra { get; } = Path.Combine(Root, "infra");

    /// <summary>The names of the sample parameter files, without their ending. What azd deploys (main) depends on the environment: it has no snapshot.</summary>
    public static string[] Samples { get; } =
        [.. Directory.GetFiles(Infra, "*.bicepparam").Select(file => Path.GetFileNameWithoutExtension(file)).Where(sample => sample != "main").Order(StringComparer.Ordinal)];

    public static string Read(string path) => File.ReadAllText(Path.Combine(Root, path));

    private static string Find()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "HeadPatching.sln")))
            {
                return folder.FullName;
            }
        }

        throw new InvalidOperationException("The tests do not run from within the repository.");
    }
}
