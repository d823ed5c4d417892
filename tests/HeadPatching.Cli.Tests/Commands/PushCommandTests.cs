using HeadPatching.Testing;

namespace HeadPatching.Cli.Tests.Commands;

/// <summary><c>headpatch model push</c>, and sweeps of what was pushed.</summary>
public sealed class PushCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_pushed_model_is_listed_and_two_processes_that_sweep_it_at_once_share_one_download()
    {
        RandomModelFolder.Write(_folder["model"], layers: 1, heads: 2, width: 32, vocabulary: 50, context: 16, seed: 1);
        _folder.Write("pairs.jsonl", """{"clean": [1, 2, 3], "corrupted": [1, 4, 3], "correct": 5, "incorrect": 6}""");
        var (exitCode, output, error) = await Headpatch.RunAsync(_folder.Path, "model", "push", "model", "tiny", "--store", "store", "--quiet");
        Assert.Equal((0, ""), (exitCode, error.Trim()));
        Assert.Contains("tiny is in the store: 2 files", output, StringComparison.Ordinal);
        (exitCode, output, _) = await Headpatch.RunAsync(_folder.Path, "model", "push", "model", "tiny", "--store", "store");
        Assert.Equal(0, exitCode);
        Assert.Contains("was in the store already", output, StringComparison.Ordinal);
        (_, output, _) = await Headpatch.RunAsync(_folder.Path, "model", "list", "--store", "store");
        Assert.Contains("tiny", output, StringComparison.Ordinal);

        // A machine that has the store and nothing else; its cache is under the user's data.
        Directory.Delete(_folder["model"], recursive: true);
        var data = new Dictionary<string, string> { ["XDG_DATA_HOME"] = Directory.CreateDirectory(_folder["data"]).FullName };
        string[] sweep = ["sweep", "--model", "tiny", "--pairs", "pairs.jsonl", "--store", "store", "--out"];
        var both = await Task.WhenAll(
            HeadpatchProcess.RunAsync(_folder.Path, data, [.. sweep, "out1"]), HeadpatchProcess.RunAsync(_folder.Path, data, [.. sweep, "out2", "--patch", "v"]));
        Assert.All(both, ended => Assert.True(ended.ExitCode == 0, ended.Error));
        Assert.Single(both, ended => ended.Error.Contains("tiny from the store: 100 % of 0.1 MiB", StringComparison.Ordinal));
        Assert.Contains("\"name\": \"tiny\"", await File.ReadAllTextAsync(_folder["out1/results.json"]), StringComparison.Ordinal);
        if (OperatingSystem.IsLinux())
        {
            Assert.Single(Directory.GetDirectories(_folder["data/headpatching/models"]));
        }
    }

    [Fact]
    public async Task A_name_with_capitals_and_a_folder_that_is_no_model_are_bad_input()
    {
        RandomModelFolder.Write(_folder["model"], layers: 1, heads: 2, width: 32, vocabulary: 50, context: 16, seed: 1);
        var (exitCode, _, error) = await Headpatch.RunAsync(_folder.Path, "model", "push", "model", "Tiny", "--store", "store");
        Assert.Equal(2, exitCode);
        Assert.Contains("Take 'tiny'.", error, StringComparison.Ordinal);
        File.Delete(_folder["model/config.json"]);
        (exitCode, _, error) = await Headpatch.RunAsync(_folder.Path, "model", "push", "model", "tiny", "--store", "store");
        Assert.Equal(2, exitCode);
        Assert.Contains("config.json", error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder["store"]));
    }
}
