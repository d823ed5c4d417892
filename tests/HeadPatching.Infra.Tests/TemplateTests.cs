using HeadPatching.Testing;

namespace HeadPatching.Infra.Tests;

/// <summary>The templates build without a warning, and deploy what the committed snapshots say.</summary>
public class TemplateTests
{
    public static TheoryData<string> Samples => [.. RepositoryFolder.Samples];

    /// <summary>All at once, in a copy that is formatted: the program takes seconds to start.</summary>
    [Fact]
    public async Task Every_template_builds_and_lints_without_a_warning_and_is_formatted()
    {
        using var copy = new TemporaryFolder();
        foreach (string file in Directory.GetFiles(RepositoryFolder.Infra, "*", SearchOption.AllDirectories).Append(Path.Combine(RepositoryFolder.Root, "host.json")))
        {
            string to = copy[Path.GetRelativePath(RepositoryFolder.Root, file)];
            Directory.CreateDirectory(Path.GetDirectoryName(to)!);
            File.Copy(file, to);
        }

        string[] files = [.. Directory.GetFiles(copy["infra"], "*.bicep*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(copy.Path, file))];
        foreach (string kind in new[] { "bicep", "bicepparam" })
        {
            string[] all = ["--pattern", $"./**/*.{kind}"];
            Assert.Contains(files, file => file.EndsWith($".{kind}", StringComparison.Ordinal));
            foreach (string[] command in new string[][] { [kind == "bicep" ? "build" : "build-params", .. all], ["lint", .. all], ["format", .. all] })
            {
                CommandResult result = await BicepCli.RunInAsync(copy["infra"], command);
                Assert.Equal((0, "", ""), (result.ExitCode, result.Output, result.Errors));
            }
        }

        foreach (string file in files)
        {
            Assert.True(File.Exists(Path.ChangeExtension(copy[file], "json")), $"{file} was not built.");
            Assert.Equal(RepositoryFolder.Read(file), await File.ReadAllTextAsync(copy[file], TestContext.Current.CancellationToken));
        }
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
