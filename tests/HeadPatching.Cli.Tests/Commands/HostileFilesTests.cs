using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;
using HeadPatching.Testing;

namespace HeadPatching.Cli.Tests.Commands;

/// <summary>What a user sees of files that others made and that mean no good.</summary>
public sealed class HostileFilesTests : IDisposable
{
    // Clears the screen and goes on in red; a backspace; the single-byte form of an escape; what turns the direction of writing.
    private const string Evil = "a\u001b[2J\u001b[31mred\b\u009b31m\u202egnp";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Names_out_of_files_reach_no_terminal_with_escape_sequences_in_them()
    {
        string models = Directory.CreateDirectory(_folder["models"]).FullName;
        RandomModelFolder.Write(Path.Combine(models, Evil), layers: 1, heads: 2, width: 32, vocabulary: 50, context: 16, seed: 1);
        Directory.CreateDirectory(Path.Combine(models, "broken"));
        File.WriteAllText(Path.Combine(models, "broken", "config.json"), new JsonObject { ["model_type"] = Evil }.ToJsonString());
        _folder.Write("keys.jsonl", new JsonObject { ["clean"] = "a", [Evil] = 1 }.ToJsonString());
        _folder.Write(Evil + ".jsonl", """{"clean": [1, 2, 3], "corrupted": [1, 4, 3], "correct": 5, "incorrect": 6}""");
        var environment = new Dictionary<string, string> { ["HEADPATCHING_MODELS"] = models };

        await AssertPlainAsync(0, "a?[2J?[31mred??31m?gnp", "model", "list");
        await AssertPlainAsync(2, "is not a property of a pair", "dataset", "show", "keys.jsonl");
        await AssertPlainAsync(0, "1 pairs of 3 tokens", "dataset", "show", Evil + ".jsonl", "--model", Evil);
        await AssertPlainAsync(0, "a?[2J?[31mred??31m?gnp: 1 layers x 2 heads", "sweep", "--pairs", Evil + ".jsonl", "--model", Evil, "--store", "store", "--out", "out");
        await AssertPlainAsync(2, "There is no model", "sweep", "--model", Evil + "x", "--store", "store", "--out", "other");

        async Task AssertPlainAsync(int expected, string says, params string[] arguments)
        {
            var (exitCode, output, error) = await HeadpatchProcess.RunAsync(_folder.Path, environment, arguments);
            Assert.Contains(says, (output + error).ReplaceLineEndings(" "), StringComparison.Ordinal);
            Assert.Equal(expected, exitCode);
            Assert.DoesNotContain(output + error, c => (char.IsControl(c) && c is not ('\r' or '\n' or '\t')) || c == '\u202e');
        }
    }

    [Fact]
    public async Task A_tokenizer_that_takes_for_ever_is_found_by_model_check_and_refused_by_push_and_sweep()
    {
        RandomModelFolder.Write(_folder["model"], RandomModelFolder.Config("llama"), seed: 1);
        string[] alphabet = [.. Enumerable.Range('!', 94).Concat(Enumerable.Range(0xA1, 12)).Concat(Enumerable.Range(0xAE, 82)).Concat(Enumerable.Range(0x100, 68)).Select(c => ((char)c).ToString())];
        JsonObject json = MarkedSpaceTokenizer.Json();
        json["normalizer"] = null;
        json["added_tokens"] = new JsonArray();
        json["pre_tokenizer"] = JsonNode.Parse("""
            {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "(?:a|aa)+b"}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]}
            """);
        json["model"]!["vocab"] = new JsonObject(alphabet.Select((letter, id) => KeyValuePair.Create(letter, (JsonNode?)id)));
        json["model"]!["merges"] = new JsonArray();
        json["model"]!["byte_fallback"] = false;
        File.WriteAllText(_folder["model/tokenizer.json"], json.ToJsonString());
        string line = new JsonObject { ["clean"] = new string('a', 35), ["corrupted"] = new string('a', 35), ["correct"] = "a", ["incorrect"] = "b" }.ToJsonString();
        _folder.Write("pairs.jsonl", string.Concat(Enumerable.Repeat(line + "\n", 1000)));

        var watch = Stopwatch.StartNew();
        var (exitCode, output, error) = await HeadpatchProcess.RunAsync(_folder.Path, "model", "check", "model");
        Assert.Equal((0, ""), (exitCode, error.Trim()));
        Assert.Contains("takes too long to split a text", output, StringComparison.Ordinal);
        foreach (string[] command in new[] { ["model", "push", "model", "tiny", "--store", "store"], new[] { "sweep", "--model", "model", "--pairs", "pairs.jsonl", "--store", "store", "--out", "out", "--skip-invalid" } })
        {
            (exitCode, _, error) = await HeadpatchProcess.RunAsync(_folder.Path, command);
            Assert.Equal(2, exitCode);
            Assert.Contains("takes too long to split a text", Assert.Single(error.Trim().Split('\n')), StringComparison.Ordinal);
        }

        Assert.InRange(watch.Elapsed.TotalSeconds, 0, 120);
    }

    [Fact]
    public async Task A_shard_with_a_name_that_no_file_can_have_is_told_in_few_words()
    {
        RandomModelFolder.Write(_folder["model"], layers: 1, heads: 2, width: 32, vocabulary: 50, context: 16, seed: 1);
        File.Delete(_folder["model/model.safetensors"]);
        _folder.Write("model/model.safetensors.index.json", new JsonObject { ["weight_map"] = new JsonObject { ["wte.weight"] = new string('x', 5000) + ".safetensors" } }.ToJsonString());
        foreach (string[] command in new[] { new[] { "model", "check", "model" }, ["model", "push", "model", "tiny", "--store", "store"] })
        {
            var (exitCode, _, error) = await Headpatch.RunAsync(_folder.Path, command);
            Assert.Equal(2, exitCode);
            Assert.Contains("a name of 5012 characters, which no file can have", error, StringComparison.Ordinal);
            Assert.InRange(error.Length, 50, 700);
        }
    }

    /// <summary>Far below what the program itself needs to be loaded, where nothing can say what is wrong but this.</summary>
    [Theory]
    [InlineData(40)]
    [InlineData(64)]
    [InlineData(127)]
    public async Task Too_few_open_files_are_told_in_one_line(int most)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "The limit is read from /proc.");
        var start = new ProcessStartInfo("bash", ["-c", $"ulimit -n {most}; exec dotnet \"$0\" sweep --store store --out out", Path.Combine(AppContext.BaseDirectory, "headpatch.dll")])
        {
            WorkingDirectory = _folder.Path,
            RedirectStandardError = true,
            RedirectStandardOutput = true,
            StandardErrorEncoding = Encoding.UTF8,
        };
        using Process process = Process.Start(start)!;
        string error = await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(1, process.ExitCode);
        Assert.Equal($"This process may have {most} files open, and needs 128 at least; a model in shards needs one more for each. Raise the limit: ulimit -n 1024.", error.Trim());
    }
}
