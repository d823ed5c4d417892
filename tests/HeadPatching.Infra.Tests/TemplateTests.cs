namespace HeadPatching.Infra.Tests;

/// <summary>The templates build without a warning, and deploy what the committed snapshots say.</summary>
public class TemplateTests
{
    public static TheoryData<string> Templates =>
        [.. Directory.GetFiles(RepositoryFolder.Infra, "*.bicep*", SearchOption.AllDirectories)
            .Where(file => file.EndsWith(".bicep", StringComparison.Ordinal) || file.EndsWith(".bicepparam", StringComparison.Ordinal))
            .Select(file => Path.GetRelativePath(RepositoryFolder.Infra, file))
            .Order(StringComparer.Ordinal)];

    public static TheoryData<string> Samples => [.. RepositoryFolder.Samples];

    [Theory]
    [MemberData(nameof(Templates))]
    public async Task A_template_builds_and_lints_without_a_warning_and_is_formatted(string template)
    {
        CommandResult built = template.EndsWith(".bicepparam", StringComparison.Ordinal)
            ? await BicepCli.RunAsync("build-params", template, "--stdout")
            : await BicepCli.RunAsync("build", template, "--stdout");
        Assert.Equal("", built.Errors);
        Assert.Equal(0, built.ExitCode);

        CommandResult linted = await BicepCli.RunAsync("lint", template);
        Assert.Equal("", linted.Output + linted.Errors);
        Assert.Equal(0, linted.ExitCode);

        CommandResult formatted = await BicepCli.RunAsync("format", template, "--stdout");
        Assert.Equal(RepositoryFolder.Read(Path.Combine("infra", template)), formatted.Output);
    }

    /// <summary>After a change on purpose: the same command with --mode overwrite (infra/README.md), and the snapshot is committed with it.</summary>
    [Theory]
    [MemberData(nameof(Samples))]
    public async Task A_sample_deploys_what_its_committed_snapshot_says(string sample)
    {
        CommandResult validated = await BicepCli.SnapshotAsync($"{sample}.bicepparam", "validate");
        Assert.True(validated.ExitCode == 0, $"{sample}.snapshot.json is not what would be deployed:\n{validated.Output}{validated.Errors}");
    }

    [Fact]
    public void Both_ways_of_hosting_have_a_sample()
    {
        Assert.Contains("container-apps-gpu", RepositoryFolder.Samples);
        Assert.Contains("elastic-premium", RepositoryFolder.Samples);
    }

    [Fact]
    public void The_readmes_table_has_every_parameter()
    {
        string table = RepositoryFolder.Read("infra/README.md").Split("\n## Parameters\n")[1].Split("\n## ")[0];
        string[] listed = [.. table.Split('\n').Where(line => line.StartsWith("| `", StringComparison.Ordinal)).SelectMany(line => line.Split('|')[1].Split(',')).Select(name => name.Trim(' ', '`'))];
        string[] declared = [.. RepositoryFolder.Read("infra/main.bicep").Split('\n').Where(line => line.StartsWith("param ", StringComparison.Ordinal)).Select(line => line.Split(' ')[1])];
        Assert.Equal(declared.Order(StringComparer.Ordinal), listed.Order(StringComparer.Ordinal));
    }
}
