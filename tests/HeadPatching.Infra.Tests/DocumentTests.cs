using System.Text.RegularExpressions;

namespace HeadPatching.Infra.Tests;

/// <summary>The repository's documents, read as GitHub shows them.</summary>
public partial class DocumentTests
{
    private static readonly string[] Folders = [".github", "infra", "notebooks", "samples", "src", "tests"];

    [Fact]
    public void Every_link_of_every_document_leads_to_a_file_and_a_heading_that_there_are()
    {
        string[] documents = [.. Documents()];
        Assert.Contains("src/HeadPatching.Core/METHOD.md", documents);
        Assert.Equal([], documents.SelectMany(document => Links(document).Where(link => !Leads(document, link)).Select(link => $"{document}: {link}")));
    }

    [Fact]
    public void The_way_in_is_short() => Assert.InRange(RepositoryFolder.Read("README.md").Split('\n').Length, 100, 200);

    private static IEnumerable<string> Documents() => Directory.EnumerateFiles(RepositoryFolder.Root, "*.md")
        .Concat(Folders.SelectMany(folder => Directory.EnumerateFiles(Path.Combine(RepositoryFolder.Root, folder), "*.md", SearchOption.AllDirectories)))
        .Select(file => Path.GetRelativePath(RepositoryFolder.Root, file))
        .Where(file => !file.Split('/').Any(part => part is "bin" or "obj" or "node_modules" or "_program"));

    private static IEnumerable<string> Links(string document) =>
        Link().Matches(Code().Replace(RepositoryFolder.Read(document), "")).Select(match => match.Groups[1].Value).Where(link => !link.Contains("://", StringComparison.Ordinal));

    private static bool Leads(string document, string link)
    {
        string[] parts = link.Split('#', 2);
        string path = parts[0].Length == 0 ? document : Path.Combine(Path.GetDirectoryName(document)!, parts[0]);
        return Path.Exists(Path.Combine(RepositoryFolder.Root, path)) && (parts.Length == 1 || Headings(path).Contains(parts[1]));
    }

    /// <summary>The names by which GitHub links to a document's headings: letters, digits and hyphens, spaces as hyphens.</summary>
    private static IEnumerable<string> Headings(string document) => Heading().Matches(Code().Replace(RepositoryFolder.Read(document), ""))
        .Select(match => NotInName().Replace(match.Groups[1].Value.Trim().ToLowerInvariant(), "").Replace(' ', '-'));

    [GeneratedRegex(@"\]\(([^)\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex("^```.*?^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Code();

    [GeneratedRegex("^#+ (.*)$", RegexOptions.Multiline)]
    private static partial Regex Heading();

    [GeneratedRegex(@"[^\w\- ]")]
    private static partial Regex NotInName();
}
