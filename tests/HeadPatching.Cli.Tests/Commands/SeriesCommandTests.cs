using System.Text.Json;
using HeadPatching.Testing;

namespace HeadPatching.Cli.Tests.Commands;

/// <summary><c>headpatch sweep --models</c>: one sweep of several models, as users start it.</summary>
public class SeriesCommandTests
{
    private static string Demo => Path.Combine(AppContext.BaseDirectory, "models", "ioi-demo");

    [Fact]
    public async Task Every_model_of_a_folder_is_swept_and_the_same_weights_cost_no_run()
    {
        using var folder = new TemporaryFolder();
        foreach (string name in (string[])["step-10", "step-2"])
        {
            Copy(Demo, folder[$"models/{name}"]);
        }

        await File.WriteAllTextAsync(folder["models/notes.txt"], "no model");
        Directory.CreateDirectory(folder["models/empty"]);
        // As a shell expands models/*: in the order of letters, with what is no model among it.
        var (exitCode, output, error) = await Headpatch.RunAsync(
            folder.Path, "sweep", "--models", "models/empty", "models/notes.txt", "models/step-10", "models/step-2", "--store", "store", "--out", "out");
        Assert.Equal(0, exitCode);
        Assert.Contains("Left out: models/empty is no model folder", error, StringComparison.Ordinal);
        Assert.Contains("Left out: models/notes.txt is no model folder", error, StringComparison.Ordinal);

        using JsonDocument series = JsonDocument.Parse(await File.ReadAllTextAsync(folder["out/series.json"]));
        JsonElement models = series.RootElement.GetProperty("models");
        Assert.Equal(["step-2", "step-10"], models.EnumerateArray().Select(model => model.GetProperty("name").GetString()));
        Assert.Equal(JsonValueKind.Null, models[0].GetProperty("sameAs").ValueKind);
        Assert.Equal("step-2", models[1].GetProperty("sameAs").GetString());
        JsonElement strongest = series.RootElement.GetProperty("heads")[22];
        Assert.Equal(("L2H6", 2), (strongest.GetProperty("name").GetString(), strongest.GetProperty("importantIn").GetInt32()));
        Assert.Equal(strongest.GetProperty("effects")[0].GetDouble(), strongest.GetProperty("effects")[1].GetDouble());
        Assert.Contains("step-10 =", output, StringComparison.Ordinal);
        Assert.Contains("<title>Activation patching of z, head by head over 2 models</title>", await File.ReadAllTextAsync(folder["out/series.html"]), StringComparison.Ordinal);

        // Each has its own files, and the second made no run.
        using JsonDocument first = JsonDocument.Parse(await File.ReadAllTextAsync(folder["out/step-2/results.json"]));
        using JsonDocument second = JsonDocument.Parse(await File.ReadAllTextAsync(folder["out/step-10/results.json"]));
        JsonElement made = first.RootElement.GetProperty("timings"), found = second.RootElement.GetProperty("timings");
        Assert.Equal(0, made.GetProperty("runsReused").GetInt32());
        Assert.True(found.GetProperty("runs").GetInt32() > 0);
        Assert.Equal(found.GetProperty("runs").GetInt32(), found.GetProperty("runsReused").GetInt32());
        Assert.Equal(0, found.GetProperty("bytesWritten").GetInt64());
        Assert.EndsWith("step-10", second.RootElement.GetProperty("model").GetProperty("name").GetString(), StringComparison.Ordinal);
        Assert.Equal(7, Directory.GetFiles(folder["out/step-2"]).Length);
    }

    [Fact]
    public async Task A_pattern_that_no_shell_expanded_is_expanded_and_models_of_another_shape_are_refused_before_anything_is_run()
    {
        using var folder = new TemporaryFolder();
        Copy(Demo, folder["models/a"]);
        var (exitCode, output, _) = await Headpatch.RunAsync(folder.Path, "sweep", "--models", "models/*", "--store", "store", "--out", "out", "--plan");
        Assert.Equal(0, exitCode);
        Assert.Contains("a: 3 layers x 8 heads", output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder["out"]));

        RandomModelFolder.Write(folder["models/b"], RandomModelFolder.Config("llama"), seed: 1);
        await File.WriteAllTextAsync(folder["pairs.jsonl"], """{"clean": [1, 2, 3], "corrupted": [1, 4, 3], "correct": 5, "incorrect": 6}""");
        (exitCode, _, string error) = await Headpatch.RunAsync(folder.Path, "sweep", "--models", "models/*", "--pairs", "pairs.jsonl", "--store", "store", "--out", "out");
        Assert.Equal(2, exitCode);
        Assert.Contains("--models: A series is of models of one shape. a has 3 layers x 8 heads, b 3 x 4.", error, StringComparison.Ordinal);
        Assert.False(File.Exists(folder["out/a/results.json"]));
    }

    [Fact]
    public async Task What_names_no_model_is_refused()
    {
        using var folder = new TemporaryFolder();
        var (exitCode, _, error) = await Headpatch.RunAsync(folder.Path, "sweep", "--models", "nowhere/*");
        Assert.Equal((2, "--models: There is no folder 'nowhere'."), (exitCode, error.Trim()));
        Directory.CreateDirectory(folder["empty/one"]);
        (exitCode, _, error) = await Headpatch.RunAsync(folder.Path, "sweep", "--models", "empty/*");
        Assert.Equal(2, exitCode);
        Assert.Contains("--models: There is no model folder among empty/*", error, StringComparison.Ordinal);
        (exitCode, _, error) = await Headpatch.RunAsync(folder.Path, "sweep", "--models", "ioi-demo", "--model", "ioi-demo", "--store", "store");
        Assert.Equal(2, exitCode);
        Assert.Contains("--models: Models are named by --model or by --models, not by both.", error, StringComparison.Ordinal);
        (exitCode, _, error) = await Headpatch.RunAsync(folder.Path, "sweep", "--models", "ioi-demo", "misspelt", "--store", "store");
        Assert.Equal(2, exitCode);
        Assert.Contains("There is no model 'misspelt'", error, StringComparison.Ordinal);
    }

    private static void Copy(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (string file in Directory.GetFiles(from))
        {
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        }
    }
}
