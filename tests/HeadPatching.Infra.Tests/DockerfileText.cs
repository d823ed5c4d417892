using System.Text.RegularExpressions;

namespace HeadPatching.Infra.Tests;

/// <summary>The instructions of a Dockerfile of infra/: lines joined where they go on, comments left out.</summary>
internal sealed partial class DockerfileText
{
    private DockerfileText(string file)
    {
        File = file;
        Instructions = Continued().Replace(Comment().Replace(RepositoryFolder.Read(file), ""), " ").Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
    }

    /// <summary>That of the Functions app.</summary>
    public static DockerfileText Functions { get; } = new("infra/Dockerfile");

    /// <summary>That of <c>headpatch serve</c>.</summary>
    public static DockerfileText Serve { get; } = new("infra/serve.Dockerfile");

    public string File { get; }

    public string[] Instructions { get; }

    /// <summary>What is copied from the repository before packages are restored.</summary>
    public string[] RestoreSources => [.. Instructions.TakeWhile(line => !line.Contains("dotnet restore", StringComparison.Ordinal)).SelectMany(Copied)];

    /// <summary>All that is copied from the repository, not from an earlier stage.</summary>
    public string[] CopySources => [.. Instructions.SelectMany(Copied)];

    /// <summary>What its dotnet is called with to restore packages.</summary>
    public string[] RestoreArguments => Arguments("restore");

    /// <summary>And to publish.</summary>
    public string[] PublishArguments => Arguments("publish");

    private static string[] Copied(string line) => line.StartsWith("COPY ", StringComparison.Ordinal) && !line.Contains("--from=", StringComparison.Ordinal)
        ? line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1..^1] : [];

    private string[] Arguments(string command)
    {
        Match run = Instructions.Select(line => DotNet().Match(line)).Single(match => match.Success && match.Groups[1].Value == command);
        return [command, .. run.Groups[2].Value.Split(' ', StringSplitOptions.RemoveEmptyEntries)];
    }

    [GeneratedRegex(@"^\s*#.*$", RegexOptions.Multiline)]
    private static partial Regex Comment();

    [GeneratedRegex(@"\\\n")]
    private static partial Regex Continued();

    [GeneratedRegex(@"dotnet (restore|publish) ([^&]+)")]
    private static partial Regex DotNet();
}
