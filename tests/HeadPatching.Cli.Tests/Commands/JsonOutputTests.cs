using System.Text.Json;
using HeadPatching.Testing;

namespace HeadPatching.Cli.Tests.Commands;

/// <summary>What <c>--json</c> puts on standard output: one document, from processes as programs start them.</summary>
public sealed class JsonOutputTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task What_there_is_comes_as_documents_with_members_as_over_HTTP()
    {
        JsonElement datasets = (await JsonAsync("dataset", "list")).GetProperty("datasets");
        Assert.Contains(datasets.EnumerateArray(), dataset => dataset.GetProperty("name").GetString() == "ioi-generated" && dataset.GetProperty("generated").GetBoolean());

        JsonElement demo = Assert.Single((await JsonAsync("model", "list")).GetProperty("models").EnumerateArray(), model => model.GetProperty("name").GetString() == "ioi-demo");
        Assert.Equal(3, demo.GetProperty("shape").GetProperty("layers").GetInt32());

        JsonElement check = await JsonAsync("model", "check", Path.Combine(AppContext.BaseDirectory, "models", "ioi-demo"));
        Assert.Equal((3, 8, "gpt2"), (check.GetProperty("layers").GetInt32(), check.GetProperty("heads").GetInt32(), check.GetProperty("family").GetString()));
        Assert.Equal(64, check.GetProperty("fingerprint").GetString()!.Length);
        Assert.True(check.GetProperty("tokenizerTokens").GetInt32() > 0);
    }

    [Fact]
    public async Task A_store_s_sweeps_and_sizes_come_as_documents()
    {
        Assert.Empty((await JsonAsync("store", "list", "--store", "store")).GetProperty("sweeps").EnumerateArray());
        Assert.Equal(0, (await Headpatch.RunAsync(_folder.Path, "sweep", "--store", "store", "--out", "out")).ExitCode);

        JsonElement sweep = Assert.Single((await JsonAsync("store", "list", "--store", "store")).GetProperty("sweeps").EnumerateArray());
        Assert.Equal(("completed", "ioi-demo"), (sweep.GetProperty("status").GetString(), sweep.GetProperty("model").GetString()));
        JsonElement runs = Assert.Single((await JsonAsync("store", "size", "--store", "store")).GetProperty("folders").EnumerateArray(), folder => folder.GetProperty("name").GetString() == "runs");
        Assert.True(runs.GetProperty("artifacts").GetInt32() > 0 && runs.GetProperty("bytes").GetInt64() > 0);
    }

    private async Task<JsonElement> JsonAsync(params string[] arguments)
    {
        var (exitCode, output, error) = await HeadpatchProcess.RunAsync(_folder.Path, [.. arguments, "--json"]);
        Assert.Equal((0, ""), (exitCode, error.Trim()));
        using var document = JsonDocument.Parse(output);
        return document.RootElement.Clone();
    }
}
