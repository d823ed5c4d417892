using System.Text.Json;
using HeadPatching.Testing;

namespace HeadPatching.Cli.Tests.Commands;

/// <summary><c>headpatch compare</c> as users and their CI run it: what it prints, writes and exits with.</summary>
public class CompareCommandTests
{
    [Fact]
    public async Task Two_sweeps_are_compared_from_folders_files_and_the_store_and_what_moved_fails_a_test()
    {
        using var folder = new TemporaryFolder();
        await SweepAsync(folder, "denoise");
        await SweepAsync(folder, "probability", "--metric", "probability");

        // A folder, and a results.json.
        var (exitCode, output, error) = await Headpatch.RunAsync(folder.Path, "compare", "denoise", "probability/results.json", "--out", "compared");
        Assert.Equal((0, ""), (exitCode, error.Trim()));
        Assert.Contains("A: logit-difference,", output, StringComparison.Ordinal);
        Assert.Contains("L2H6", output, StringComparison.Ordinal);
        Assert.Contains("heads moved (of 30 common pairs, 95 % for all together): ", output, StringComparison.Ordinal);
        Assert.Contains("The metrics differ (logit-difference and probability)", output, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', output);
        Assert.Equal(
            ["comparison.csv", "comparison.html", "comparison.json", "comparison.png", "comparison.svg"],
            Directory.GetFiles(folder["compared"]).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Equal(25, (await File.ReadAllLinesAsync(folder["compared/comparison.csv"])).Length);

        // Ids of the store; JSON alone on standard output, the same as the file.
        string a = Id(folder, "denoise"), b = Id(folder, "probability");
        (exitCode, output, error) = await HeadpatchProcess.RunAsync(folder.Path, "compare", a, b, "--store", "store", "--json");
        Assert.Equal((0, ""), (exitCode, error.Trim()));
        using JsonDocument printed = JsonDocument.Parse(output), written = JsonDocument.Parse(await File.ReadAllTextAsync(folder["compared/comparison.json"]));
        Assert.True(JsonElement.DeepEquals(printed.RootElement, written.RootElement));
        JsonElement moved = printed.RootElement.GetProperty("moved")[0];
        Assert.Equal("L2H6", moved.GetProperty("name").GetString());
        double high = moved.GetProperty("jointInterval")[1].GetDouble();
        Assert.True(high < -0.1);

        // As a test: by more than 0.1 with the interval wholly beyond it; not by more than its interval's nearer end.
        (exitCode, _, error) = await HeadpatchProcess.RunAsync(folder.Path, "compare", "denoise", b, "--store", "store", "--fail-over", "0.1");
        Assert.Equal(3, exitCode);
        Assert.Contains("--fail-over 0.1: ", error, StringComparison.Ordinal);
        Assert.Contains("L2H6", error, StringComparison.Ordinal);
        string nearer = (-high + 1e-9).ToString("R", System.Globalization.CultureInfo.InvariantCulture);
        (exitCode, _, error) = await Headpatch.RunAsync(folder.Path, "compare", "denoise", "probability", "--fail-over", nearer);
        Assert.Equal((0, ""), (exitCode, error.Trim()));

        // With itself.
        (exitCode, output, _) = await Headpatch.RunAsync(folder.Path, "compare", "denoise", "denoise", "--fail-over", "0");
        Assert.Equal(0, exitCode);
        Assert.Contains("No head moved", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Of_more_than_a_thousand_pairs_the_table_of_effects_is_read()
    {
        using var folder = new TemporaryFolder();
        RandomModelFolder.Write(folder["small"], layers: 3, heads: 8, width: 16, vocabulary: 60, context: 32, seed: 1);
        string[] pairs = ["--model", "small", "--dataset", "induction", "--count", "1001"];
        await SweepAsync(folder, "one", pairs);
        await SweepAsync(folder, "other", [.. pairs, "--direction", "noise"]);
        var (exitCode, output, error) = await HeadpatchProcess.RunAsync(folder.Path, "compare", "one", "other", "--json");
        Assert.Equal((0, ""), (exitCode, error.Trim()));
        using JsonDocument comparison = JsonDocument.Parse(output);
        Assert.Equal("index", comparison.RootElement.GetProperty("matchedBy").GetString());
        using JsonDocument one = JsonDocument.Parse(await File.ReadAllTextAsync(folder["one/results.json"]));
        Assert.Equal(
            one.RootElement.GetProperty("heads")[22].GetProperty("patchingEffect").GetDouble(),
            comparison.RootElement.GetProperty("heads")[22].GetProperty("effectA").GetDouble(),
            1e-9);

        // Without it there are the effects alone, and a test of them is no test.
        File.Delete(folder["one/effects.parquet"]);
        (exitCode, output, error) = await Headpatch.RunAsync(folder.Path, "compare", "one", "other", "--fail-over", "0.1");
        Assert.Equal(2, exitCode);
        Assert.Contains("The pairs of the first sweep are not at hand", output.ReplaceLineEndings(" "), StringComparison.Ordinal);
        Assert.Contains("--fail-over: There are no intervals", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_cannot_be_compared_is_refused_and_every_fault_named()
    {
        using var folder = new TemporaryFolder();
        await SweepAsync(folder, "heads");
        await SweepAsync(folder, "layers", "--patch", "attn_out");
        var (exitCode, _, error) = await Headpatch.RunAsync(folder.Path, "compare", "heads", "layers");
        Assert.Equal(2, exitCode);
        Assert.Contains("z in 3 layers of 8 heads", error, StringComparison.Ordinal);
        Assert.Contains("attn_out in 3 layers as a whole", error, StringComparison.Ordinal);

        Directory.CreateDirectory(folder["empty"]);
        (exitCode, _, error) = await Headpatch.RunAsync(folder.Path, "compare", "nowhere", "empty");
        Assert.Equal(2, exitCode);
        Assert.Contains("nowhere: There is no such file or folder, and it is no sweep's id", error, StringComparison.Ordinal);
        Assert.Contains("empty: The folder has no results.json", error, StringComparison.Ordinal);

        await File.WriteAllTextAsync(folder["broken.json"], "{}");
        (exitCode, _, error) = await Headpatch.RunAsync(folder.Path, "compare", "heads", "broken.json");
        Assert.Equal(2, exitCode);
        Assert.Contains("broken.json: This is not a sweep's result", error, StringComparison.Ordinal);

        (exitCode, _, error) = await Headpatch.RunAsync(folder.Path, "compare", "heads", "c" + new string('0', 24), "--store", "store", "--fail-over", "-1");
        Assert.Equal(2, exitCode);
        Assert.Contains("--fail-over: The value is a number from 0 on.", error, StringComparison.Ordinal);
        (exitCode, _, error) = await Headpatch.RunAsync(folder.Path, "compare", "heads", "c" + new string('0', 24), "--store", "store");
        Assert.Equal(2, exitCode);
        Assert.Contains("The store has no such sweep, or it has no result yet.", error, StringComparison.Ordinal);
    }

    private static async Task SweepAsync(TemporaryFolder folder, string output, params string[] options)
    {
        string[] pairs = options.Contains("--dataset") ? [] : ["--dataset", "ioi-generated", "--count", "30"];
        var (exitCode, _, error) = await Headpatch.RunAsync(folder.Path, ["sweep", .. pairs, "--store", "store", "--out", output, "--quiet", .. options]);
        Assert.Equal((0, ""), (exitCode, error.Trim()));
    }

    private static string Id(TemporaryFolder folder, string output)
    {
        using JsonDocument results = JsonDocument.Parse(File.ReadAllText(folder[$"{output}/results.json"]));
        return results.RootElement.GetProperty("sweepId").GetString()!;
    }
}
