using System.Text;
using System.Text.Json;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Testing;
using Parquet;

namespace HeadPatching.Cli.Tests.Commands;

/// <summary>What a user gets from <c>headpatch sweep</c>, where the process is the point from one as users start it.</summary>
public class SweepCommandTests
{
    [Fact]
    public async Task The_demo_model_shows_its_circuit_and_every_file_is_written()
    {
        using var folder = new TemporaryFolder();
        var (exitCode, output, error) = await HeadpatchProcess.RunAsync(folder.Path, "sweep", "--store", "store", "--out", "out", "--quiet");

        Assert.Equal("", error.Trim());
        Assert.Equal(0, exitCode);
        Assert.Contains("ioi-demo: 3 layers x 8 heads", output, StringComparison.Ordinal);
        Assert.Contains("L2 ", output, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', output); // redirected: no escape sequences

        using var results = JsonDocument.Parse(await File.ReadAllTextAsync(folder["out/results.json"]));
        JsonElement root = results.RootElement;
        Assert.Equal(1, root.GetProperty("schemaVersion").GetInt32());
        Assert.Equal("z", root.GetProperty("patch").GetString());
        Assert.Equal("all", root.GetProperty("positions").GetString());
        Assert.Equal("denoise", root.GetProperty("direction").GetString());
        Assert.Equal("logit-difference", root.GetProperty("metric").GetString());
        Assert.Equal("well-conditioned-mean", root.GetProperty("aggregation").GetString());
        Assert.Equal("ioi-demo", root.GetProperty("model").GetProperty("name").GetString());
        Assert.Equal("float32", root.GetProperty("model").GetProperty("dtype").GetString());
        Assert.Equal("ioi", root.GetProperty("dataset").GetProperty("name").GetString());
        Assert.Equal(5, root.GetProperty("dataset").GetProperty("pairs").GetInt32());
        Assert.False(string.IsNullOrEmpty(root.GetProperty("software").GetProperty("version").GetString()));
        Assert.Equal(24, root.GetProperty("heads").GetArrayLength());
        Assert.Equal("blocks.0.attn.hook_z", root.GetProperty("heads")[0].GetProperty("hookPoint").GetString());
        Assert.Equal([3, 8], [root.GetProperty("heatmap").GetArrayLength(), root.GetProperty("heatmap")[0].GetArrayLength()]);

        // The circuit that the README shows: one head does most of it, most do nothing.
        double[] effects = [.. root.GetProperty("heads").EnumerateArray().Select(head => head.GetProperty("patchingEffect").GetDouble())];
        Assert.InRange(effects.Max(), 0.5, 1);
        Assert.True(effects.Count(effect => Math.Abs(effect) < 0.05) >= 18);
        Assert.Equal("L2H6", root.GetProperty("importantHeads")[0].GetProperty("name").GetString());

        JsonElement pair = root.GetProperty("pairs")[0];
        Assert.Equal(15, pair.GetProperty("cleanTokens").GetArrayLength()); // BOS and the template's 14
        Assert.Equal("<|endoftext|>", pair.GetProperty("cleanTokenTexts")[0].GetString());
        Assert.Equal(" Mary", pair.GetProperty("correctText").GetString());
        Assert.Equal(effects[22], root.GetProperty("pairs").EnumerateArray().Average(p => p.GetProperty("patchingEffect")[2][6].GetDouble()), 1e-12);

        Assert.Equal(25, (await File.ReadAllLinesAsync(folder["out/heads.csv"])).Length);
        Assert.Equal([0x89, 0x50, 0x4e, 0x47], (await File.ReadAllBytesAsync(folder["out/heatmap.png"]))[..4]);
        Assert.Contains("<svg", await File.ReadAllTextAsync(folder["out/heatmap.svg"]), StringComparison.Ordinal);
        Assert.Contains("role=\"gridcell\"", await File.ReadAllTextAsync(folder["out/report.html"]), StringComparison.Ordinal);
        Assert.Equal("PAR1", Encoding.ASCII.GetString((await File.ReadAllBytesAsync(folder["out/effects.parquet"]))[..4]));
        Assert.Equal(7, Directory.GetFiles(folder["out"]).Length);
    }

    [Fact]
    public async Task Of_more_than_a_thousand_pairs_the_table_has_every_one_and_the_result_says_so()
    {
        using var folder = new TemporaryFolder();
        var (exitCode, _, error) = await Headpatch.RunAsync(
            folder.Path, "sweep", "--dataset", "ioi-generated", "--count", "1001", "--store", "store", "--out", "out", "--quiet");
        Assert.Equal((0, ""), (exitCode, error.Trim()));
        using var results = JsonDocument.Parse(await File.ReadAllTextAsync(folder["out/results.json"]));
        JsonElement root = results.RootElement;
        Assert.Equal(2, root.GetProperty("schemaVersion").GetInt32());
        Assert.Equal(0, root.GetProperty("pairs").GetArrayLength());
        Assert.Equal("effects.parquet", root.GetProperty("pairsFile").GetString());
        Assert.Equal(1001, root.GetProperty("dataset").GetProperty("pairs").GetInt32());
        Assert.Equal(1001, root.GetProperty("heads")[0].GetProperty("pairs").GetInt32() + root.GetProperty("excludedPairs").GetArrayLength());
        Assert.Contains("The first 200 of 1001 pairs are shown; effects.parquet has all.", await File.ReadAllTextAsync(folder["out/report.html"]), StringComparison.Ordinal);
        await using ParquetReader table = await ParquetReader.CreateAsync(folder["out/effects.parquet"]);
        long rows = Enumerable.Range(0, table.RowGroupCount).Sum(group => table.OpenRowGroupReader(group).RowCount);
        Assert.Equal(1001 * 24, rows);
    }

    [Fact]
    public async Task Pairs_that_lie_in_the_store_are_swept_by_their_name()
    {
        using var folder = new TemporaryFolder();
        await Headpatch.RunAsync(folder.Path, "dataset", "show", "ioi", "--out", "mine.jsonl");
        Assert.Equal(0, (await Headpatch.RunAsync(folder.Path, "sweep", "--pairs", "mine.jsonl", "--store", "other", "--out", "file")).ExitCode);

        var (exitCode, _, error) = await Headpatch.RunAsync(folder.Path, "sweep", "--pairs-file", "mine", "--store", "store", "--out", "out");
        Assert.Equal(2, exitCode);
        Assert.Contains("--pairs-file: The store has no pairs \"mine\". It has none yet; 'headpatch dataset push' puts some there.", error, StringComparison.Ordinal);

        var (_, pushed, _) = await Headpatch.RunAsync(folder.Path, "dataset", "push", "mine.jsonl", "mine", "--store", "store");
        Assert.Equal("mine is in the store: 5 pairs.", pushed.Trim());
        (exitCode, _, error) = await Headpatch.RunAsync(folder.Path, "dataset", "push", "mine.jsonl", "mine", "--store", "store");
        Assert.Equal(2, exitCode);
        Assert.Contains("--replace", error, StringComparison.Ordinal);
        Assert.Equal(0, (await Headpatch.RunAsync(folder.Path, "sweep", "--pairs-file", "mine", "--store", "store", "--out", "out")).ExitCode);
        using var results = JsonDocument.Parse(await File.ReadAllTextAsync(folder["out/results.json"]));
        using var expected = JsonDocument.Parse(await File.ReadAllTextAsync(folder["file/results.json"]));
        Assert.Equal("mine", results.RootElement.GetProperty("dataset").GetProperty("name").GetString());
        Assert.True(JsonElement.DeepEquals(expected.RootElement.GetProperty("heads"), results.RootElement.GetProperty("heads")));
    }

    [Fact]
    public async Task Each_position_has_its_own_effects()
    {
        using var folder = new TemporaryFolder();
        var (exitCode, _, error) = await Headpatch.RunAsync(
            folder.Path, "sweep", "--store", "store", "--out", "out", "--positions", "each", "--patch", "v", "--pair-indices", "0,2", "--quiet");

        Assert.Equal((0, ""), (exitCode, error.Trim()));
        using var results = JsonDocument.Parse(await File.ReadAllTextAsync(folder["out/results.json"]));
        JsonElement root = results.RootElement;
        Assert.Equal([0, 2], root.GetProperty("pairs").EnumerateArray().Select(pair => pair.GetProperty("index").GetInt32()));
        JsonElement byPosition = root.GetProperty("heatmapByPosition");
        Assert.Equal([3, 15, 8], [byPosition.GetArrayLength(), byPosition[0].GetArrayLength(), byPosition[0][0].GetArrayLength()]);
        JsonElement pair = root.GetProperty("pairs")[0];
        Assert.Equal(15, pair.GetProperty("patchedMetricByPosition")[0].GetArrayLength());
        Assert.Equal(15, pair.GetProperty("patchingEffectByPosition")[0].GetArrayLength());

        // Before the prompts differ (the second subject, position 10), there is nothing to patch.
        Assert.All(Enumerable.Range(0, 10), position => Assert.Equal(0, byPosition[0][position][0].GetDouble()));
    }

    [Fact]
    public async Task Noising_in_float64_with_a_ratio_of_means_says_so_in_the_result()
    {
        using var folder = new TemporaryFolder();
        var (exitCode, _, error) = await Headpatch.RunAsync(
            folder.Path,
            "sweep", "--store", "store", "--out", "out", "--direction", "noise", "--dtype", "float64", "--aggregation", "ratio-of-means", "--positions", "-1", "--quiet");

        Assert.Equal((0, ""), (exitCode, error.Trim()));
        using var results = JsonDocument.Parse(await File.ReadAllTextAsync(folder["out/results.json"]));
        Assert.Equal("noise", results.RootElement.GetProperty("direction").GetString());
        Assert.Equal("ratio-of-means", results.RootElement.GetProperty("aggregation").GetString());
        Assert.Equal(-1, results.RootElement.GetProperty("positions").GetInt32());
        Assert.Equal("float64", results.RootElement.GetProperty("model").GetProperty("dtype").GetString());
    }

    [Fact]
    public async Task Another_metric_and_seed_give_other_numbers_with_their_intervals_and_say_what_they_are()
    {
        using var folder = new TemporaryFolder();
        string[] sweep = ["sweep", "--store", "store", "--out", "out", "--metric", "kl-divergence", "--seed", "7", "--quiet"];
        var (exitCode, output, error) = await Headpatch.RunAsync(folder.Path, sweep);

        Assert.Equal((0, ""), (exitCode, error.Trim()));
        Assert.Contains("95 % interval", output, StringComparison.Ordinal);
        Assert.DoesNotContain("Warning", output, StringComparison.Ordinal);
        using var results = JsonDocument.Parse(await File.ReadAllTextAsync(folder["out/results.json"]));
        JsonElement root = results.RootElement;
        Assert.Equal("kl-divergence", root.GetProperty("metric").GetString());
        Assert.False(root.GetProperty("metricDetails").GetProperty("higherIsBetter").GetBoolean());
        Assert.Equal("nats", root.GetProperty("metricDetails").GetProperty("unit").GetString());
        Assert.Equal("(patched - corrupted) / (clean - corrupted)", root.GetProperty("normalisation").GetString());
        Assert.Equal(7, root.GetProperty("seed").GetInt32());
        Assert.All(root.GetProperty("pairs").EnumerateArray(), pair => Assert.InRange(pair.GetProperty("cleanMetric").GetDouble(), 0, 1e-5));
        Assert.All(root.GetProperty("pairs").EnumerateArray(), pair => Assert.True(pair.GetProperty("corruptedMetric").GetDouble() > 0.1));
        Assert.Equal("L2H6", root.GetProperty("importantHeads")[0].GetProperty("name").GetString());
        foreach (JsonElement head in root.GetProperty("heads").EnumerateArray())
        {
            double effect = head.GetProperty("patchingEffect").GetDouble();
            double[] interval = head.GetProperty("confidenceInterval").Deserialize<double[]>()!;
            Assert.InRange(effect, interval[0] - 1e-12, interval[1] + 1e-12);
        }

        string[] lines = await File.ReadAllLinesAsync(folder["out/heads.csv"]);
        Assert.EndsWith(",patchedMetric,confidenceLow,confidenceHigh,estimatedEffect,estimated,position,pairs,role,directLogitAttribution,jointLow,jointHigh,excludesZero,excludesThreshold,inTop1,inTop5,inTop10,inTop20,decision,anytimeLow,anytimeHigh,pairsRun", lines[0], StringComparison.Ordinal);
        Assert.All(lines, line => Assert.Equal(29, line.Split(',').Length));
    }

    /// <summary>
    /// The five pairs of ioi, and one whose corruption changes nothing: dividing by its 0.015 made L0H6, which does nothing, the first of the
    /// ranking with -1.03.
    /// </summary>
    [Fact]
    public async Task One_pair_without_a_difference_does_not_rule_the_ranking_and_is_warned_of()
    {
        using var folder = new TemporaryFolder();
        await Headpatch.RunAsync(folder.Path, "dataset", "show", "ioi", "--out", "pairs.jsonl");
        await Headpatch.RunAsync(folder.Path, "dataset", "show", "ioi-order", "--out", "order.jsonl");
        string ofOrder = (await File.ReadAllLinesAsync(folder["order.jsonl"]))[1];
        await File.AppendAllTextAsync(folder["pairs.jsonl"], ofOrder + "\n");

        JsonElement ours = await SweepAsync("well-conditioned-mean");
        Assert.Equal("L2H6", Strongest(ours));
        Assert.Equal("L2H6", ours.GetProperty("importantHeads")[0].GetProperty("name").GetString());
        Assert.All(ours.GetProperty("heads").EnumerateArray(), head => Assert.Equal(5, head.GetProperty("pairs").GetInt32()));
        JsonElement excluded = Assert.Single(ours.GetProperty("excludedPairs").EnumerateArray());
        Assert.Equal((5, "ill-conditioned"), (excluded.GetProperty("index").GetInt32(), excluded.GetProperty("reason").GetString()));
        Assert.Contains(ours.GetProperty("warnings").EnumerateArray(), warning => warning.GetString()!.StartsWith("Pair 5: clean and corrupted are 0.0", StringComparison.Ordinal));

        // The original's number, by its name, with a warning.
        JsonElement originals = await SweepAsync("mean-of-ratios", "--aggregation", "mean-of-ratios");
        Assert.Equal("L0H6", Strongest(originals));
        Assert.Empty(originals.GetProperty("excludedPairs").EnumerateArray());
        Assert.Contains(originals.GetProperty("warnings").EnumerateArray(), warning => warning.GetString()!.Contains("it may rule the mean", StringComparison.Ordinal));

        async Task<JsonElement> SweepAsync(string aggregation, params string[] options)
        {
            var (exitCode, _, error) = await Headpatch.RunAsync(
                folder.Path, ["sweep", "--store", "store", "--out", aggregation, "--pairs", "pairs.jsonl", "--quiet", .. options]);
            Assert.Equal((0, ""), (exitCode, error.Trim()));
            using var results = JsonDocument.Parse(await File.ReadAllTextAsync(folder[$"{aggregation}/results.json"]));
            Assert.Equal(aggregation, results.RootElement.GetProperty("aggregation").GetString());
            return results.RootElement.Clone();
        }

        static string Strongest(JsonElement results) =>
            results.GetProperty("heads").EnumerateArray().MaxBy(head => Math.Abs(head.GetProperty("patchingEffect").GetDouble())).GetProperty("name").GetString()!;
    }

    [Theory]
    [InlineData("--method screen --screen-top 2", "Screened patching of z", "L2H6")]
    [InlineData("--method attribution --positions each", "Attribution patching of z", "L2H6")]
    [InlineData("--receivers L2H6.v,L2H0.v", "Path patching of z to L2H6.v, L2H0.v", null)]
    [InlineData("--receivers logits --freeze-mlps", "Path patching of z to logits", "L2H6")]
    [InlineData("--ablation resample --seed 4", "Resample ablation of z", "L2H6")]
    [InlineData("--ablation value-bias", "Value-bias ablation of z", "L2H6")]
    [InlineData("--ablation mean --reference ioi-abc", "Mean ablation of z", "L2H6")]
    [InlineData("--patch v --positions S2 --dataset ioi-generated", "positions S2", "L2H6")]
    [InlineData("--patch resid_pre --positions each-role --dataset ioi-generated", "positions each-role", "L1")]
    [InlineData("--patch resid_post --positions -1", "Activation patching of resid_post, layer by layer", "L2")]
    public async Task Every_kind_of_sweep_says_what_it_is_and_finds_the_circuit(string options, string title, string? strongest)
    {
        using var folder = new TemporaryFolder();
        var (exitCode, output, error) = await Headpatch.RunAsync(folder.Path, [.. "sweep --quiet --store store --out out".Split(' '), .. options.Split(' ')]);
        Assert.Equal((0, ""), (exitCode, error.Trim()));
        Assert.Contains(title, output.ReplaceLineEndings(" ").Replace("  ", " ", StringComparison.Ordinal), StringComparison.Ordinal);
        using var results = JsonDocument.Parse(await File.ReadAllTextAsync(folder["out/results.json"]));
        JsonElement heads = results.RootElement.GetProperty("heads");
        if (strongest is not null)
        {
            Assert.Equal(strongest, heads.EnumerateArray().MaxBy(head => Math.Abs(head.GetProperty("patchingEffect").GetDouble())).GetProperty("name").GetString());
        }
    }

    private static readonly string[] StoreAndOut = ["--store", "--out"];

    public static TheoryData<string, string> BadInput { get; } = new()
    {
        { "--model nowhere", "--model: There is no model 'nowhere'" },
        { "--model ioi-dmeo", "--model: There is no model 'ioi-dmeo'. Did you mean 'ioi-demo'?" },
        { "--dataset ioi_generated", "--dataset: There is no built-in dataset \"ioi_generated\". Did you mean 'ioi-generated'?" },
        { "--ablation maen", "--ablation: there is no 'maen'. Did you mean 'mean'?" },
        { "--positions each-rol", "Did you mean 'each-role'?" },
        { "--model truncated/config.json", "--model: There is no model 'truncated/config.json'. That is a file; name the folder that it is in." },
        { "--patc z", "There is no option '--patc'. Did you mean '--patch'?" },
        { "--frobnicate=3", "There is no option '--frobnicate'. 'headpatch sweep --help' lists them." },
        { "z", "'z' is one argument too many; 'headpatch sweep --help' says what there is." },
        { "--model empty", "empty/config.json: The model folder has no config.json" },
        { "--model bert", "bert/config.json: model_type 'bert' is not supported: it is, or has, an encoder, whose positions see those after them (supported: gemma2, gemma3, gemma3_text, gpt2," },
        { "--model truncated", "truncated/model.safetensors" },
        { "--dataset nothing", "--dataset: There is no built-in dataset" },
        { "--pairs missing.jsonl", "missing.jsonl: There is no such file" },
        { "--pairs malformed.jsonl", "malformed.jsonl:2: " },
        { "--pairs unequal.jsonl", "unequal.jsonl:1: Clean has 4 tokens and corrupted 3; they must have equally many. They first differ at position 2" },
        { "--pairs answer.jsonl", "answer.jsonl:1: correct: The answer is" },
        { "--pairs vocabulary.jsonl", "vocabulary.jsonl:1: corrupted: Outside the model's vocabulary, ids 0 to 699: 700" },
        { "--pairs long.jsonl", "long.jsonl:1: clean: " },
        { "--dataset ioi --pairs answer.jsonl", "--dataset: Give a dataset or pairs, not both" },
        { "--count 5", "--count: Only a generated dataset takes a number of pairs: ioi-generated, ioi-abc, greater-than, induction" },
        { "--dataset induction --count many", "--count: 'many' is not a whole number" },
        { "--dataset induction --count 1000001", "--count: The number is 1 to 1000000; it is 1000001" },
        { "--dataset greater-than --model random", "--dataset: The prompts of greater-than are text, and the model folder has no tokenizer" },
        { "--pairs prompts.json", "prompts.json: prompts[0].corrupt: The prompt is empty" },
        { "--pairs data.csv", "data.csv:2: incorrect_idx: It is the same token as the correct answer" },
        { "--patch w", "--patch: there is no 'w'. Known: z, pattern, v, q, k, attn_out, mlp_out, resid_pre, resid_mid, resid_post." },
        { "--positions some", "--positions: No pair names the role \"some\". Roles that pairs name: IO, S1, S1+1, S2, END. Positions are all, each, each-role, a whole number" },
        { "--positions 2.5", "--positions: '2.5' is none. Positions are" },
        { "--ablation mean --reference nowhere", "--reference: There is no built-in dataset \"nowhere\"" },
        { "--ablation mean --reference vocabulary.jsonl", "vocabulary.jsonl:1: corrupted: Outside" },
        { "--ablation zero --reference ioi", "--reference: Only the ablations mean and resample" },
        { "--ablation mean --pair-indices 2", "--ablation: Mean ablation takes the mean of z over other prompts" },
        { "--positions 15", "--positions: There is no position 15: pair 0 has 15 tokens" },
        { "--direction up", "--direction: there is no 'up'" },
        { "--aggregation sum", "--aggregation: there is no 'sum'" },
        { "--metric accuracy", "--metric: there is no 'accuracy'. Known: logit-difference, log-probability, probability, probability-difference, rank, kl-divergence, token-weights." },
        { "--token-weights Mary=1", "--token-weights: Give an object of tokens and their weights" },
        { "--ablation half", "--ablation: there is no 'half'. Known: zero, value-bias, mean, resample." },
        { "--ablation zero --patch q", "--ablation: An ablation replaces a head's z; patch is q" },
        { "--method guess", "--method: there is no 'guess'. Known: exact, attribution, screen, adaptive." },
        { "--method attribution --patch mlp_out", "--method: Estimates are of z, pattern, v, q, k; patch is mlp_out" },
        { "--method attribution --metric rank", "--metric: A rank has no gradient" },
        { "--screen-top 3", "--screen-top: Only the method screen runs some heads after the estimate" },
        { "--method screen --screen-top some", "--screen-top: 'some' is not a whole number" },
        { "--receivers L2H6", "--receivers: 'L2H6' is none. A receiver is" },
        { "--receivers L2H8.q", "--receivers[0]: L2H8.q: a layer of this model has the heads 0 to 7" },
        { "--receivers logits,L2H6.q", "--receivers[0]: \"logits\" stands alone" },
        { "--freeze-mlps", "--freeze-mlps: Only paths can have their MLPs frozen" },
        { "--seed one", "--seed: 'one' is not a whole number" },
        { "--seed 2147483648", "--seed: '2147483648' is not a whole number" },
        { "--pair-indices 0,7", "--pair-indices: There is no pair 7" },
        { "--pair-indices a", "--pair-indices: 'a' is not a whole number" },
        { "--dtype float8", "--dtype: there is no 'float8'. Known: float32, float64, bfloat16, float16" },
        { "--device tpu", "--device: there is no 'tpu'. Did you mean 'cpu'? Known: auto, cpu, cuda" },
        { "--threshold much", "--threshold: 'much' is not a number" },
        { "--threshold -1", "--threshold: The value is a number from 0 on" },
        { "--top 0", "--top: The number is at least 1; it is 0" },
        { "--out taken/out", "--out: The folder 'taken/out' cannot be written" },
        { "--store taken/store", "--store: " },
        { "--store UseDevelopmentStorage=maybe", "--store: " },
        { "--unknown", "'--unknown'" },
    };

    [Fact]
    public async Task Another_sweep_s_results_are_written_over_only_when_asked()
    {
        using var folder = new TemporaryFolder();
        string[] first = ["sweep", "--store", "store", "--out", "out"], second = [.. first, "--patch", "v"];
        Assert.Equal(0, (await Headpatch.RunAsync(folder.Path, first)).ExitCode);
        Assert.Equal(0, (await Headpatch.RunAsync(folder.Path, [.. first, "--top", "3"])).ExitCode); // its own, shown otherwise
        string results = await File.ReadAllTextAsync(folder["out/results.json"]);

        var (exitCode, _, error) = await Headpatch.RunAsync(folder.Path, second);
        Assert.Equal(2, exitCode);
        Assert.Contains("--out: The folder 'out' holds the results of another sweep. Name another one, or write over them with --force.", error, StringComparison.Ordinal);
        Assert.Equal(results, await File.ReadAllTextAsync(folder["out/results.json"]));

        Assert.Equal(0, (await Headpatch.RunAsync(folder.Path, [.. second, "--force"])).ExitCode);
        Assert.Contains("\"patch\": \"v\"", await File.ReadAllTextAsync(folder["out/results.json"]), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Results_that_came_into_the_folder_meanwhile_stay_and_the_finished_sweep_goes_elsewhere_at_once()
    {
        using var folder = new TemporaryFolder();
        string[] arguments = ["sweep", "--model", "large", "--pairs", LargeSweep(folder), "--store", "store"];
        const string Others = """{"schemaVersion": 1, "sweepId": "another"}""";
        using (HeadpatchProcess process = HeadpatchProcess.Start(folder.Path, [.. arguments, "--out", "out"]))
        {
            await UntilAsync(() => process.HasExited || Runs(folder["store"]).Length >= 1);
            folder.Write("out/results.json", Others);
            Assert.Equal(2, await process.ExitAsync());
            Assert.Contains("holds the results of another sweep. They were put there while this sweep ran. It is finished and in the store", process.Error, StringComparison.Ordinal);
        }

        Assert.Equal(folder["out/results.json"], Assert.Single(Directory.GetFiles(folder["out"])));
        Assert.Equal(Others, await File.ReadAllTextAsync(folder["out/results.json"]));
        var (exitCode, _, error) = await Headpatch.RunAsync(folder.Path, [.. arguments, "--out", "elsewhere"]);
        Assert.Equal(0, exitCode);
        Assert.Matches(@"(\d+) of \1 stored runs were there", error);
    }

    [Fact]
    public async Task Standard_output_has_the_results_alone_and_with_json_exactly_the_file()
    {
        using var folder = new TemporaryFolder();
        string[] sweep = ["sweep", "--store", "store", "--out", "out"];
        var (exitCode, output, error) = await HeadpatchProcess.RunAsync(folder.Path, sweep);
        Assert.Equal(0, exitCode);
        Assert.StartsWith("ioi-demo: 3 layers x 8 heads", output, StringComparison.Ordinal);
        Assert.EndsWith("effects.parquet", output.Trim(), StringComparison.Ordinal);
        Assert.All(["patching: ", "assembling", "stored runs"], note => Assert.DoesNotContain(note, output, StringComparison.Ordinal));
        Assert.Contains("assembling", error, StringComparison.Ordinal);

        (exitCode, string again, error) = await HeadpatchProcess.RunAsync(folder.Path, [.. sweep, "--quiet"]);
        Assert.Equal((0, "", output), (exitCode, error.Trim(), again)); // found in the store, and shown as the first time

        (exitCode, output, _) = await HeadpatchProcess.RunAsync(folder.Path, [.. sweep, "--json"]);
        Assert.Equal(0, exitCode);
        Assert.Equal((await File.ReadAllTextAsync(folder["out/results.json"])).ReplaceLineEndings().Trim(), output.ReplaceLineEndings().Trim());

        (exitCode, output, _) = await HeadpatchProcess.RunAsync(folder.Path, [.. sweep, "--json", "--plan"]);
        using var plan = JsonDocument.Parse(output);
        Assert.Equal((0, 5), (exitCode, plan.RootElement.GetProperty("pairs").GetInt32()));
        Assert.True(plan.RootElement.GetProperty("flops").GetDouble() > 0);

        (exitCode, output, error) = await HeadpatchProcess.RunAsync(folder.Path, [.. sweep, "--json", "--quiet", "--patch", "pattren"]);
        Assert.Equal((2, ""), (exitCode, output.Trim()));
        Assert.StartsWith("--patch: there is no 'pattren'. Did you mean 'pattern'? Known: z, pattern,", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Weights_are_streamed_where_they_do_not_fit_give_the_same_numbers_and_are_refused_with_the_figures_where_two_layers_do_not()
    {
        using var folder = new TemporaryFolder();
        RandomModelFolder.Write(folder["model"], layers: 8, heads: 2, width: 256, vocabulary: 60, context: 40, seed: 5);
        File.WriteAllText(folder["pairs.jsonl"], """{"clean": [1, 2, 3, 4], "corrupted": [1, 5, 3, 4], "correct": 6, "incorrect": 7}""");
        string[] sweep = ["sweep", "--model", "model", "--pairs", "pairs.jsonl", "--store", "store", "--quiet"];
        JsonElement resident = await MemoryAsync("resident"), streamed = await MemoryAsync("streamed");
        Assert.True(MiB(streamed) < MiB(resident));

        var (exitCode, plan, _) = await WithAsync(MiB(resident) - 1, [.. sweep, "--plan"]);
        Assert.Equal(0, exitCode);
        Assert.Contains("Weights:         streamed, two of 8 layers at a time, read 1 time a chunk", plan, StringComparison.Ordinal);
        (exitCode, _, string error) = await WithAsync(MiB(streamed) - 1, [.. sweep, "--plan"]);
        Assert.Equal(2, exitCode);
        Assert.StartsWith($"--model: The sweep does not fit: it takes {MiB(streamed)} MiB: weights ", error, StringComparison.Ordinal);
        Assert.Contains($"and there are {MiB(streamed) - 1} MiB.", error, StringComparison.Ordinal);
        (exitCode, plan, _) = await Headpatch.RunAsync(folder.Path, [.. sweep, "--plan", "--weights", "streamed", "--circuit", "heads"]);
        Assert.Equal(0, exitCode);
        Assert.Matches("read 1 time a chunk, and in rounds once for each [0-9,]+ sets or edges on a chunk\n", plan);

        Assert.Equal(0, (await Headpatch.RunAsync(folder.Path, [.. sweep, "--weights", "resident", "--out", "resident"])).ExitCode);
        Assert.Equal(0, (await Headpatch.RunAsync(folder.Path, [.. sweep[..^3], "--store", "other", "--quiet", "--weights", "streamed", "--out", "streamed"])).ExitCode);
        Assert.Equal(await File.ReadAllTextAsync(folder["resident/heads.csv"]), await File.ReadAllTextAsync(folder["streamed/heads.csv"]));

        // Also of paths, circuits and edges.
        foreach (string[] more in new[] { new[] { "--receivers", "L5H1.q,L6H0.v" }, ["--circuit", "heads-and-mlps", "--circuit-random", "2"], ["--edges", "attribution"] })
        {
            foreach (string place in new[] { "resident", "streamed" })
            {
                (exitCode, _, error) = await Headpatch.RunAsync(folder.Path, ["sweep", "--model", "model", "--pairs", "pairs.jsonl", "--store", $"{place}{more[0]}", "--quiet", "--weights", place, "--out", $"{place}{more[0]}-out", .. more]);
                Assert.True(exitCode == 0, error);
            }

            string[] tables = [.. Directory.EnumerateFiles(folder[$"resident{more[0]}-out"], "*.csv").Select(file => Path.GetFileName(file)!)];
            Assert.NotEmpty(tables);
            Assert.All(tables, table => Assert.Equal(File.ReadAllText(folder[$"resident{more[0]}-out/{table}"]), File.ReadAllText(folder[$"streamed{more[0]}-out/{table}"])));
        }

        async Task<JsonElement> MemoryAsync(string weights)
        {
            var (exitCode, output, _) = await HeadpatchProcess.RunAsync(folder.Path, [.. sweep, "--plan", "--json", "--weights", weights]);
            Assert.Equal(0, exitCode);
            return JsonDocument.Parse(output).RootElement.GetProperty("memory");
        }

        Task<(int ExitCode, string Output, string Error)> WithAsync(long mib, string[] arguments) =>
            HeadpatchProcess.RunAsync(folder.Path, new Dictionary<string, string> { ["HEADPATCHING_HOST_MEMORY_MIB"] = $"{mib}" }, arguments);

        static long MiB(JsonElement memory) => (memory.GetProperty("total").GetInt64() + 1048575) >> 20;
    }

    [Fact]
    public async Task Pairs_that_cannot_be_swept_are_left_out_when_asked_and_said_by_their_lines()
    {
        using var folder = new TemporaryFolder();
        string name = new string('n', 200) + ".jsonl"; // as long as a file's name may be
        const string Good = """{"clean": "When Mary and John went to the store, John gave a drink to", "corrupted": "When Mary and John went to the store, Mary gave a drink to", "correct": " Mary", "incorrect": " John"}""";
        string unequal = Good.Replace("store, Mary", "Mary", StringComparison.Ordinal), long2 = Good.Replace("\" Mary\"", "\" Mary and\"", StringComparison.Ordinal);
        folder.Write(name, $"{Good}\n{unequal}\n\n{long2}\n{Good}\n");
        string[] sweep = ["sweep", "--pairs", name, "--store", "store", "--out", "out"];
        var (exitCode, _, error) = await Headpatch.RunAsync(folder.Path, sweep);
        Assert.Equal(2, exitCode);
        Assert.Equal(2, error.Trim().Split('\n').Length);

        (exitCode, string output, error) = await Headpatch.RunAsync(folder.Path, [.. sweep, "--skip-invalid"]);
        Assert.Equal(0, exitCode);
        string[] lines = [.. error.Split('\n').Where(line => line.StartsWith("Left out", StringComparison.Ordinal))];
        Assert.Equal(2, lines.Length);
        Assert.StartsWith($"Left out: {name}:2: Clean has 15 tokens", lines[0], StringComparison.Ordinal);
        Assert.StartsWith($"Left out: {name}:4: correct: The answer is 2 tokens", lines[1], StringComparison.Ordinal);
        Assert.Contains("2 of 4 pairs cannot be swept and were left out: 1, 2.", output.ReplaceLineEndings("").Replace("  ", " ", StringComparison.Ordinal), StringComparison.Ordinal);
        using var results = JsonDocument.Parse(await File.ReadAllTextAsync(folder["out/results.json"]));
        Assert.Equal([0, 3], results.RootElement.GetProperty("pairs").EnumerateArray().Select(pair => pair.GetProperty("index").GetInt32()));
        Assert.Equal(name, results.RootElement.GetProperty("dataset").GetProperty("name").GetString());

        (exitCode, output, error) = await Headpatch.RunAsync(folder.Path, "dataset", "show", name, "--skip-invalid", "--bos", "never");
        Assert.Equal((0, 2), (exitCode, error.Trim().Split('\n').Length));
        Assert.Contains("2 pairs of 14 tokens", output, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(BadInput))]
    public async Task Bad_input_ends_with_2_and_says_what_and_where(string options, string message)
    {
        using var folder = new TemporaryFolder();
        folder.Write("taken", "a file where a folder should be");
        Directory.CreateDirectory(folder["empty"]);
        Directory.CreateDirectory(folder["bert"]);
        folder.Write("bert/config.json", """{"model_type": "bert"}""");
        Directory.CreateDirectory(folder["truncated"]);
        RandomModelFolder.Write(folder["random"], layers: 1, heads: 2, width: 8, vocabulary: 60, context: 32, seed: 1);
        string demo = Path.Combine(AppContext.BaseDirectory, "models", "ioi-demo");
        File.Copy(Path.Combine(demo, "config.json"), folder["truncated/config.json"]);
        folder.Write("truncated/model.safetensors", (await File.ReadAllBytesAsync(Path.Combine(demo, "model.safetensors")))[..100_000]);
        const string Good = """{"clean": [699, 1, 2], "corrupted": [699, 3, 2], "correct": 5, "incorrect": 6}""";
        folder.Write("malformed.jsonl", Good + "\n{\"clean\": [699, 1, 2]\n");
        folder.Write("unequal.jsonl", """{"clean": " Mary and John", "corrupted": " Mary went", "correct": " Mary", "incorrect": " John"}""");
        folder.Write("answer.jsonl", """{"clean": [699, 1, 2], "corrupted": [699, 3, 2], "correct": " Mary and John", "incorrect": 6}""");
        folder.Write("vocabulary.jsonl", """{"clean": [699, 1, 2], "corrupted": [699, 700, 2], "correct": 5, "incorrect": 6}""");
        folder.Write("prompts.json", """{"prompts": [{"clean": " Mary", "corrupt": "", "answers": [" Mary"], "wrong_answers": [" John"]}]}""");
        folder.Write("data.csv", "clean,corrupted,correct_idx,incorrect_idx\n Mary, John,5,\"[6, 5]\"\n");
        string tooLong = string.Join(',', Enumerable.Repeat(1, 65));
        folder.Write("long.jsonl", $$"""{"clean": [{{tooLong}}], "corrupted": [{{tooLong}}], "correct": 5, "incorrect": 6}""");

        string[] given = options.Split(' ');
        string[] others = [.. StoreAndOut.Except(given).SelectMany(option => new[] { option, option[2..] })];
        var (exitCode, _, error) = await Headpatch.RunAsync(folder.Path, ["sweep", .. others, .. given]);

        Assert.Contains(message, error, StringComparison.Ordinal);
        Assert.Equal(2, exitCode);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal); // no stack trace
        Assert.False(File.Exists(folder["out/results.json"]));
    }

    [Fact]
    public async Task A_generated_dataset_gives_the_same_result_again_and_another_with_another_seed()
    {
        using var folder = new TemporaryFolder();
        string first = await SweptAsync("3", "first"), again = await SweptAsync("3", "again"), other = await SweptAsync("4", "other");
        Assert.Equal(first, again);
        Assert.NotEqual(first, other);
        using var results = JsonDocument.Parse(first);
        Assert.Equal("ioi-generated", results.RootElement.GetProperty("dataset").GetProperty("name").GetString());
        Assert.Equal(6, results.RootElement.GetProperty("dataset").GetProperty("pairs").GetInt32());

        async Task<string> SweptAsync(string seed, string name)
        {
            var (exitCode, _, error) = await Headpatch.RunAsync(
                folder.Path, "sweep", "--dataset", "ioi-generated", "--count", "6", "--seed", seed, "--store", $"{name}-store", "--out", name, "--quiet");
            Assert.Equal((0, ""), (exitCode, error.Trim()));
            return await WithoutTimingsAsync(folder[$"{name}/results.json"]);
        }
    }

    [Fact]
    public async Task An_adaptive_sweep_says_what_was_decided_and_by_how_many_runs_and_an_exact_one_makes_the_rest()
    {
        using var folder = new TemporaryFolder();
        string[] pairs = ["sweep", "--dataset", "ioi-generated", "--count", "200", "--store", "store"];
        var (exitCode, output, error) = await Headpatch.RunAsync(folder.Path, [.. pairs, "--method", "adaptive", "--top", "5", "--out", "adaptive"]);
        Assert.True(exitCode == 0, error);
        Assert.Matches(@"L2H6 +\+0\.\d{3} +\[\+0\.\d{3}, \+0\.\d{3}\] +\d+ +>0\.1", output);
        Assert.Matches(@"L\dH\d +[+-]0\.0\d\d .* below", output);
        Assert.Contains("Heads above 0.1: L2H6, L2H0, L2H1", output, StringComparison.Ordinal);
        Assert.Matches(@"Decided: \d+ above 0\.1, \d+ not, 0 left open, by [\d,]+ of 4,800 runs", output);
        Assert.Matches(@"patching: \d+ of 24 heads decided by \d+ of 4,800 runs", error);
        Assert.All(output.Split('\n'), line => Assert.True(line.TrimEnd().Length <= 80, line));

        using var adaptive = JsonDocument.Parse(await File.ReadAllTextAsync(folder["adaptive/results.json"], TestContext.Current.CancellationToken));
        long decided = adaptive.RootElement.GetProperty("adaptive").GetProperty("runs").GetInt64();
        var (exactCode, _, exactError) = await Headpatch.RunAsync(folder.Path, [.. pairs, "--out", "exact", "--quiet"]);
        Assert.True(exactCode == 0, exactError);
        using var exact = JsonDocument.Parse(await File.ReadAllTextAsync(folder["exact/results.json"], TestContext.Current.CancellationToken));
        Assert.Equal(4800 - decided, exact.RootElement.GetProperty("timings").GetProperty("patchedRuns").GetInt64());
        Assert.Equal(Names(exact), Names(adaptive));

        static string[] Names(JsonDocument results) => [.. results.RootElement.GetProperty("importantHeads").EnumerateArray().Select(head => head.GetProperty("name").GetString()!)];
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task A_killed_sweep_goes_on_where_it_stopped_and_gives_the_same_numbers(int finishedRuns)
    {
        using var folder = new TemporaryFolder();
        string pairs = LargeSweep(folder);
        string[] undisturbed = ["sweep", "--model", "large", "--pairs", pairs, "--store", "undisturbed", "--out", "expected"];
        string[] killed = ["sweep", "--model", "large", "--pairs", pairs, "--store", "killed", "--out", "actual"];
        var (undisturbedCode, _, undisturbedError) = await Headpatch.RunAsync(folder.Path, undisturbed);
        Assert.True(undisturbedCode == 0, undisturbedError);

        using (HeadpatchProcess process = HeadpatchProcess.Start(folder.Path, killed))
        {
            await UntilAsync(() => process.HasExited || Runs(folder["killed"]).Length >= finishedRuns);
            Assert.False(process.HasExited, "The sweep was over before it could be killed.");
            process.Kill();
        }

        Assert.False(File.Exists(folder["actual/results.json"]));
        Dictionary<string, DateTime> before = Runs(folder["killed"]).ToDictionary(file => file, File.GetLastWriteTimeUtc);
        var (exitCode, _, error) = await Headpatch.RunAsync(folder.Path, killed);

        Assert.Equal(0, exitCode);
        Assert.Contains($"{before.Count} of {Runs(folder["killed"]).Length} stored runs were there from an earlier sweep", error, StringComparison.Ordinal);
        Assert.All(before, run => Assert.Equal(run.Value, File.GetLastWriteTimeUtc(run.Key)));
        Assert.Equal(await WithoutTimingsAsync(folder["expected/results.json"]), await WithoutTimingsAsync(folder["actual/results.json"]));
    }

    [Fact]
    public async Task Ctrl_C_stops_cleanly_and_the_same_command_goes_on()
    {
        using var folder = new TemporaryFolder();
        string pairs = LargeSweep(folder);
        string[] arguments = ["sweep", "--model", "large", "--pairs", pairs, "--store", "store", "--out", "out"];
        using (HeadpatchProcess process = HeadpatchProcess.Start(folder.Path, arguments))
        {
            await UntilAsync(() => process.HasExited || Runs(folder["store"]).Length >= 1);
            process.Interrupt();
            Assert.Equal(130, await process.ExitAsync());
            Assert.Contains("Stopping as soon as what is at work has an end. What is finished is kept. Ctrl-C again ends at once.", process.Error, StringComparison.Ordinal);
            Assert.Contains($"Stopped. Finished runs and activations are kept in {folder["store"]}.", process.Error, StringComparison.Ordinal);
            Assert.EndsWith(
                "The same command again goes on where it stopped: headpatch sweep --model large --pairs " + pairs + " --store store --out out", process.Error.Trim(), StringComparison.Ordinal);
            Assert.DoesNotContain("Stop", process.Output, StringComparison.Ordinal);
        }

        Assert.Empty(Directory.GetFiles(folder["out"]));
        var (exitCode, _, error) = await Headpatch.RunAsync(folder.Path, arguments);
        Assert.Equal(0, exitCode);
        Assert.Contains("stored runs were there from an earlier sweep", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_same_sweep_at_the_same_time_is_run_once_and_the_second_command_says_that_it_follows_it()
    {
        using var folder = new TemporaryFolder();
        string[] arguments = ["sweep", "--model", "large", "--pairs", LargeSweep(folder), "--store", "store"];
        using HeadpatchProcess first = HeadpatchProcess.Start(folder.Path, [.. arguments, "--out", "first"]);
        await HoldAsync(first, folder["store"]);
        using HeadpatchProcess second = HeadpatchProcess.Start(folder.Path, [.. arguments, "--out", "second"]);
        await UntilAsync(() => second.HasExited || second.Error.Contains("The same sweep runs already, in process", StringComparison.Ordinal));
        first.Signal("CONT");
        Assert.Equal((0, 0), (await first.ExitAsync(), await second.ExitAsync()));
        Assert.Contains("The same sweep runs already, in process", second.Error, StringComparison.Ordinal);
        Assert.Equal(await File.ReadAllTextAsync(folder["first/results.json"]), await File.ReadAllTextAsync(folder["second/results.json"]));
    }

    [Fact]
    public async Task Where_the_process_that_ran_it_dies_the_one_that_followed_goes_on()
    {
        using var folder = new TemporaryFolder();
        string[] arguments = ["sweep", "--model", "large", "--pairs", LargeSweep(folder), "--store", "store"];
        using HeadpatchProcess first = HeadpatchProcess.Start(folder.Path, [.. arguments, "--out", "first"]);
        await HoldAsync(first, folder["store"]);
        using HeadpatchProcess second = HeadpatchProcess.Start(folder.Path, [.. arguments, "--out", "second"]);
        await UntilAsync(() => second.HasExited || second.Error.Contains("runs already", StringComparison.Ordinal));
        first.Kill();
        Assert.Equal(0, await second.ExitAsync());
        Assert.Contains("stored runs were there from an earlier sweep", second.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_process_left_half_copied_that_died_over_it_goes_with_the_next_sweep()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["out"]);
        string living = $"{ProcessIdentity.Current}", dead = $"{ProcessIdentity.Current with { Id = int.MaxValue }}";
        foreach (string file in (string[])[$"results.json.{dead}.part", $"heads.csv.{living}.part", "mine.part"])
        {
            folder.Write(Path.Combine("out", file), "half");
        }

        var (exitCode, _, _) = await HeadpatchProcess.RunAsync(folder.Path, "sweep", "--store", "store", "--out", "out", "--pair-indices", "0");
        Assert.Equal(0, exitCode);
        Assert.Equal(
            ((string[])[$"heads.csv.{living}.part", "mine.part"]).Order(), Directory.GetFiles(folder["out"], "*.part").Select(path => Path.GetFileName(path)).Order());
    }

    /// <summary>
    /// A model and pairs that keep two cores busy for some seconds: ten chunks of four pairs, for pairs that first differ at another position each go
    /// into chunks of their own. At most four are at work at once, so that where the first runs are stored, or the third, most of the work is still to come.
    /// </summary>
    private static string LargeSweep(TemporaryFolder folder)
    {
        RandomModelFolder.Write(folder["large"], layers: 6, heads: 8, width: 256, vocabulary: 500, context: 64, seed: 1);
        var random = new Random(1);
        IEnumerable<string> lines = Enumerable.Range(0, 40).Select(pair =>
        {
            int[] clean = [.. Enumerable.Range(0, 20).Select(_ => random.Next(500))];
            int[] corrupted = [.. clean];
            int different = 1 + (pair / 4);
            corrupted[different] = (clean[different] + 1) % 500;
            return JsonSerializer.Serialize(new { clean, corrupted, correct = 1, incorrect = 2 });
        });
        return folder.Write("pairs.jsonl", string.Join('\n', lines));
    }

    /// <summary>Holds a process still where its sweep has runs to show and more to make: until CONT, the sweep is its own and does not end.</summary>
    private static async Task HoldAsync(HeadpatchProcess process, string store)
    {
        await UntilAsync(() => process.HasExited || Runs(store).Length >= 1);
        process.Signal("STOP");
    }

    private static string[] Runs(string store) => Directory.Exists(Path.Combine(store, "runs")) ? Directory.GetFiles(Path.Combine(store, "runs")) : [];

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        while (!condition())
        {
            await Task.Delay(20, patience.Token);
        }
    }

    private static async Task<string> WithoutTimingsAsync(string results)
    {
        var root = (System.Text.Json.Nodes.JsonObject)System.Text.Json.Nodes.JsonNode.Parse(await File.ReadAllTextAsync(results))!;
        Assert.True(root.Remove("timings"));
        return root.ToJsonString();
    }
}
