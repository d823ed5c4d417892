using System.Text.RegularExpressions;

namespace HeadPatching.Infra.Tests;

/// <summary>The instructions of infra/Dockerfile: lines joined where they go on, comments left out.</summary>
internal static partial class DockerfileText
{
    public static string[] Instructions { get; } =
        [.. Continued().Replace(Comment().Replace(RepositoryFolder.Read("infra/Dockerfile"), ""), " ").Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)];

    /// <summary>What is copied from the repository, not from an earlier stage.</summary>
    public static string[] CopySources { get; } =
        [.. Instructions.Where(line => line.StartsWith("COPY ", StringComparison.Ordinal) && !line.Contains("--from=", StringComparison.Ordinal))
            .SelectMany(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1..^1])];

    /// <summary>The arguments of its dotnet publish.</summary>
    public static string[] PublishArguments { get; } =
        [.. Instructions.Select(line => Publish().Match(line)).Single(match => match.Success).Groups[1].Value.Split(' ', StringSplitOptions.RemoveEmptyEntries)];

    [GeneratedRegex(@"^\s*#.*$", RegexOptions.Multiline)]
    private static partial Regex Comment();

    [GeneratedRegex(@"\\\n")]
    private static partial Regex Continued();

    [GeneratedRegex(@"dotnet (publish [^&]+)")]
    private static partial Regex Publish();
}
