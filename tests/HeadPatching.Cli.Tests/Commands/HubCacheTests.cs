using System.Text.Json;
using HeadPatching.Testing;

namespace HeadPatching.Cli.Tests.Commands;

/// <summary>Models that Hugging Face's libraries downloaded, as commands are given them.</summary>
public sealed class HubCacheTests : IDisposable
{
    private const string Commit = "607a30d783dfa663caf39e06633721c8d4cfcd7e";

    private readonly TemporaryFolder _folder = new();
    private readonly Dictionary<string, string> _environment;

    public HubCacheTests()
    {
        string repository = Path.Combine("hub", "models--org--tiny"), snapshot = Path.Combine(repository, "snapshots", Commit);
        RandomModelFolder.Write(_folder[Path.Combine(repository, "blobs")], layers: 1, heads: 2, width: 16, vocabulary: 60, context: 32, seed: 1);
        Directory.CreateDirectory(_folder[snapshot]);
        Directory.CreateDirectory(_folder[Path.Combine(repository, "refs")]);
        _folder.Write(Path.Combine(repository, "refs", "main"), Commit);
        foreach (string file in Directory.GetFiles(_folder[Path.Combine(repository, "blobs")]).Select(file => Path.GetFileName(file)))
        {
            File.CreateSymbolicLink(_folder[Path.Combine(snapshot, file)], Path.Combine("..", "..", "blobs", file));
        }

        _environment = new() { ["HF_HUB_CACHE"] = _folder["hub"], ["XDG_DATA_HOME"] = _folder["data"] };
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("hub/models--org--tiny")]
    [InlineData("hub/models--org--tiny/snapshots/" + Commit)]
    [InlineData("org/tiny")]
    public async Task A_cached_repository_is_checked_and_swept_by_its_folder_its_snapshot_or_its_name(string model)
    {
        Func<string[], Task<(int ExitCode, string Output, string Error)>> run = Directory.Exists(_folder[model]) ? RunAsync : RunWithCacheAsync;
        var (exitCode, output, error) = await run(["model", "check", model]);
        Assert.Equal((0, ""), (exitCode, error.Trim()));
        Assert.Contains("This model can be swept.", output, StringComparison.Ordinal);

        (exitCode, output, error) = await run(["sweep", "--model", model, "--dataset", "induction", "--count", "4", "--store", "store", "--out", "out", "--quiet"]);
        Assert.Equal((0, ""), (exitCode, error.Trim()));
        Assert.StartsWith("tiny: 1 layers x 2 heads", output, StringComparison.Ordinal);
        using var results = JsonDocument.Parse(await File.ReadAllTextAsync(_folder["out/results.json"]));
        Assert.Equal("tiny", results.RootElement.GetProperty("model").GetProperty("name").GetString());
    }

    [Fact]
    public async Task A_misspelt_repository_is_suggested_and_the_cache_itself_is_no_model()
    {
        var (exitCode, _, error) = await RunWithCacheAsync("sweep", "--model", "org/tniy", "--store", "store");
        Assert.Equal(2, exitCode);
        Assert.Contains("There is no model 'org/tniy'. Did you mean 'org/tiny'? Known: ioi-demo; in Hugging Face's cache 'org/tiny'; or give the path of a model folder.", error, StringComparison.Ordinal);

        (exitCode, _, error) = await RunAsync("sweep", "--model", "hub", "--store", "store");
        Assert.Equal(2, exitCode);
        Assert.Contains("This is Hugging Face's cache, not a model; name the folder of a model in it. It has 'org/tiny'.", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_that_Git_LFS_did_not_fetch_is_said_to_be_one_before_anything_runs()
    {
        RandomModelFolder.Write(_folder["clone"], layers: 1, heads: 2, width: 16, vocabulary: 60, context: 32, seed: 1);
        _folder.Write("clone/model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:248dfc3911869ec493c76e65bf2fcf7f615828b0254c12b473182f0f81d3a707\nsize 548105171\n");
        var (exitCode, _, error) = await RunAsync("sweep", "--model", "clone", "--dataset", "induction", "--store", "store");
        Assert.Equal(2, exitCode);
        Assert.Contains("model.safetensors: This is a Git LFS pointer, not the file itself", error, StringComparison.Ordinal);
        Assert.Contains("'git lfs pull'", error, StringComparison.Ordinal);
    }

    /// <summary>Runs a command that finds the cache by its variable.</summary>
    private Task<(int ExitCode, string Output, string Error)> RunWithCacheAsync(params string[] arguments) => HeadpatchProcess.RunAsync(_folder.Path, _environment, arguments);

    private Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] arguments) => Headpatch.RunAsync(_folder.Path, arguments);
}
