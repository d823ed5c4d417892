using System.Text;
using System.Text.Json.Nodes;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Testing;
using static TorchSharp.torch;

namespace HeadPatching.Sweeps.Tests.Engine;

/// <summary>What is stored is found again by all that its numbers depend on and by nothing else, and whatever is gone or torn is made again.</summary>
public sealed class ContentAddressingTests : IDisposable
{
    private static readonly SweepRequest Small = new() { Dataset = "ioi-generated", Count = 12, Dtype = "float64" };

    private static readonly ResultFile[] Reports =
    [
        new("heads.csv", "text/csv", (sweep, to, cancel) => to.WriteAsync(Encoding.UTF8.GetBytes(string.Join('\n', sweep.Result.Heads.Select(head => head.Name))), cancel).AsTask()),
    ];

    private readonly TemporaryFolder _folder = new();
    private int _sweeps;

    public static TheoryData<SweepRequest> Views { get; } =
    [
        Small with { Threshold = 0.3 },
        Small with { Top = 21 },
        Small with { Aggregation = Aggregation.RatioOfMeans },
    ];

    [Theory]
    [MemberData(nameof(Views))]
    public async Task Another_view_of_the_same_numbers_runs_nothing_and_reads_no_activation(SweepRequest view)
    {
        WatchedStore store = Store();
        await SweepAsync(store, Small);
        store.Opened.Clear();

        SweepStatus status = await SweepAsync(store, view);

        Assert.Equal((0, 0L), (status.Progress.ForwardPasses, status.Progress.PatchedRuns));
        Assert.Equal(status.Progress.TasksTotal, status.Progress.TasksReused);
        Assert.DoesNotContain(store.Opened, name => name.StartsWith("activations/", StringComparison.Ordinal));
    }

    public static TheoryData<SweepRequest> Streaming { get; } =
    [
        Small,
        Small with { Positions = Positions.Each, Metric = Metric.KlDivergence },
        Small with { Ablation = Ablation.Mean },
        Small with { Method = Method.Screen, ScreenTop = 3 },
        Small with { Receivers = [Receiver.Of(1, 0, ReceiverInput.Q), Receiver.OfMlp(1)], Senders = Senders.All },
        Small with { Circuit = CircuitOf.HeadsAndMlps, CircuitRandom = 2, PatchSets = ["L0H1,M1@-1"] },
        Small with { Ablation = Ablation.Resample, PatchSets = ["L0H1,L1H0"] },
        Small with { Edges = EdgeMethod.Screen, EdgeTop = 20 },
    ];

    /// <summary>Where the weights are changes no number: what was run with held ones is found by a sweep with streamed ones, which else makes the same.</summary>
    [Theory]
    [MemberData(nameof(Streaming))]
    public async Task Streamed_weights_give_the_same_numbers_under_the_same_names(SweepRequest request)
    {
        WatchedStore store = Store();
        JsonNode held = await NumbersAsync(store, request with { Weights = WeightPlace.Resident });
        Assert.True(JsonNode.DeepEquals(held, await NumbersAsync(new WatchedStore(new LocalArtifactStore(_folder["streamed"])), request with { Weights = WeightPlace.Streamed })));

        SweepStatus again = await SweepAsync(store, request with { Weights = WeightPlace.Streamed });
        Assert.Equal((0, 0L), (again.Progress.ForwardPasses, again.Progress.PatchedRuns));
        Assert.Equal((await PlanAsync(request)).Content(), (await PlanAsync(request with { Weights = WeightPlace.Streamed })).Content());
    }

    public static TheoryData<SweepRequest> Counted { get; } =
    [
        Small,
        Small with { Positions = Positions.Each },
        Small with { Patch = Patch.ResidPre, Positions = Positions.One(-3) },
        Small with { Ablation = Ablation.Zero, Positions = Positions.Each },
        Small with { Receivers = [Receiver.Logits] },
    ];

    /// <summary>The time left is reckoned by it.</summary>
    [Theory]
    [MemberData(nameof(Counted))]
    public async Task A_plan_counts_the_patched_runs_that_are_made(SweepRequest request)
    {
        PlannedSweep plan = await SweepPlanner.PlanAsync(request, DateTimeOffset.UnixEpoch, new ModelCatalog(), FaultPlaces.JsonPaths, TestContext.Current.CancellationToken);
        Assert.Equal(plan.Header.Size.PatchedRuns, (await SweepAsync(Store(), request)).Progress.PatchedRuns);
    }

    [Fact]
    public async Task Another_patch_over_the_same_pairs_makes_no_forward_pass_of_the_baselines()
    {
        WatchedStore store = Store();
        Assert.Equal(24, (await SweepAsync(store, Small)).Progress.ForwardPasses);

        SweepStatus status = await SweepAsync(store, Small with { Patch = Patch.V });

        Assert.Equal(0, status.Progress.ForwardPasses);
        Assert.True(status.Progress.PatchedRuns > 0);
    }

    [Fact]
    public async Task Of_large_activations_only_what_a_patch_needs_is_read_and_from_far_away_only_once()
    {
        RandomModelFolder.Write(_folder["models/wide"], layers: 3, heads: 4, width: 128, vocabulary: 60, context: 40, seed: 5);
        SweepRequest request = new()
        {
            Model = "wide",
            Dtype = "float64",
            Pairs = [.. Enumerable.Range(0, 64).Select(i =>
            {
                int[] clean = [.. Enumerable.Range(0, 40).Select(p => ((i * 7) + (p * 5)) % 50)], corrupted = [.. clean];
                corrupted[1]++;
                return new PromptPair(Prompt.Of(clean), Prompt.Of(corrupted), Answer.Of(1), Answer.Of(2));
            })],
        };
        var store = new WatchedStore(new LocalArtifactStore(_folder["store"])) { IsRemote = true };
        CancellationToken stop = TestContext.Current.CancellationToken;
        await using var engine = new InProcessEngine(store, new ModelCatalog(_folder["models"]), Reports);
        SweepTimings made = (await ResultAsync(store, await engine.RunAsync(SweepIds.New(), request, stop))).Timings;
        int before = store.PiecesRead;

        SweepStatus values = await engine.RunAsync(SweepIds.New(), request with { Patch = Patch.V }, stop);

        int ofValues = store.PiecesRead - before;
        Assert.Equal(0, values.Progress.ForwardPasses);
        Assert.True(ofValues > 0);
        SweepResult result = await ResultAsync(store, values);
        Assert.InRange(result.Timings.BytesRead!.Value, 1, made.BytesWritten!.Value * 4 / 5); // no z of the run whose values are put in
        Assert.Equal((await ResultAsync(Store("fresh"), await SweepAsync(Store("fresh"), request with { Patch = Patch.V }))).Heatmap, result.Heatmap);

        // The same tensors are asked for again.
        SweepStatus keys = await engine.RunAsync(SweepIds.New(), request with { Patch = Patch.K }, stop);
        Assert.Equal((0, ofValues), (keys.Progress.ForwardPasses, store.PiecesRead - before));
        Assert.NotEqual(result.Heatmap, (await ResultAsync(store, keys)).Heatmap);
    }

    /// <summary>Whatever a pair is given of the others, its activity reads its own part of the plan; only the sums of means are over all pairs.</summary>
    [Theory]
    [InlineData(Ablation.Resample, 2)]
    [InlineData(Ablation.Mean, 3)]
    public async Task An_ablation_reads_each_part_of_its_plan_a_few_times_however_many_there_are(Ablation ablation, int times)
    {
        WatchedStore store = Store();
        SweepStatus status = await SweepAsync(store, Small with { Count = 120, Ablation = ablation, Positions = Positions.Each });

        int parts = store.Written.Count(name => name.Contains("/parts/", StringComparison.Ordinal));
        Assert.True(parts > 3, $"{parts} parts");
        Assert.InRange(store.Opened.Count(name => name.Contains("/parts/", StringComparison.Ordinal)), parts, (parts * times) + 1);
        Assert.Equal(SweepState.Completed, status.Status);
    }

    /// <summary>No activity is over all pairs: a killed one costs a slice, and several hosts share them.</summary>
    [Fact]
    public async Task The_sums_of_means_are_taken_in_slices_and_are_those_of_all_pairs_at_once()
    {
        WatchedStore store = Store();
        SweepRequest request = Small with { Count = 120, Ablation = Ablation.Mean, Positions = Positions.Each };
        SweepResult result = await ResultAsync(store, await SweepAsync(store, request));

        PlannedSweep plan = await PlanAsync(request);
        int groups = plan.Header.Size.Groups;
        Assert.True(groups > 3, $"{groups} groups");
        Assert.Equal(Math.Min(8, groups) + 1, store.Written.Where(name => name.StartsWith("sums/", StringComparison.Ordinal)).Distinct().Count());

        using Transformer model = ModelFolder.Load(Path.Combine(AppContext.BaseDirectory, "models", "ioi-demo"), ScalarType.Float64, CPU);
        TokenPair[] pairs = [.. plan.Parts.Take(groups).SelectMany(part => part.Chunks).SelectMany(chunk => chunk.Pairs)];
        foreach (LayerPatches layer in InMemorySweep.Run(model, pairs, request.PatchOptions(), new LogitDifference(), MemoryBudget.Default).Layers)
        {
            foreach (var (index, rows) in layer.PairIndices.Zip(layer.PatchedMetric))
            {
                double[][] ours = result.Pairs.Single(pair => pair.Index == index).PatchedMetricByPosition![layer.Layer];
                Assert.All(rows.Zip(ours).SelectMany(row => row.First.Zip(row.Second)), head => Assert.Equal(head.First, head.Second, 1e-9));
            }
        }
    }

    [Fact]
    public async Task A_sweep_over_more_pairs_runs_the_new_ones_and_the_last_chunks_of_the_earlier_one()
    {
        WatchedStore store = Store();
        SweepRequest all = Small with { Count = 100 };
        await SweepAsync(store, all with { PairIndices = [.. Enumerable.Range(0, 50)] });

        SweepStatus status = await SweepAsync(store, all);

        Assert.InRange(status.Progress.ForwardPasses, 100, 150); // of 200; chunks that were not full are others now
        Assert.Equal((await NumbersAsync(Store("fresh"), all)).ToJsonString(), (await NumbersAsync(store, all)).ToJsonString());
    }

    [Fact]
    public async Task A_default_that_is_said_is_the_same_sweep()
    {
        Assert.Equal(SweepIds.OfContent(await PlanAsync(Small)), SweepIds.OfContent(await PlanAsync(Small with { Metric = Metric.LogitDifference })));
    }

    [Fact]
    public async Task A_changed_tokenizer_is_another_sweep_with_its_own_numbers()
    {
        string model = _folder["models/own"];
        CopyDemoModel(model);
        WatchedStore store = Store();
        var request = new SweepRequest { Model = "own", Dtype = "float64" };
        (string before, double[][] old) = await ByContentAsync(store, request);

        Exchange(Path.Combine(model, "vocab.json"), "ĠJohn", "ĠMary");
        (string after, double[][] changed) = await ByContentAsync(store, request);

        Assert.NotEqual(before, after);
        Assert.NotEqual(old, changed);
        Assert.Equal((await ByContentAsync(Store("fresh"), request)).Heatmap, changed);
    }

    [Fact]
    public async Task A_changed_config_or_other_numerics_is_other_work()
    {
        string model = _folder["models/own"];
        CopyDemoModel(model);
        WatchedStore store = Store();
        var request = new SweepRequest { Model = "own", Dtype = "float64" };
        (string before, double[][] old) = await ByContentAsync(store, request);

        string config = Path.Combine(model, "config.json");
        JsonNode json = JsonNode.Parse(await File.ReadAllTextAsync(config))!;
        json["layer_norm_epsilon"] = 0.1;
        await File.WriteAllTextAsync(config, json.ToJsonString());
        (string after, double[][] changed) = await ByContentAsync(store, request);

        Assert.NotEqual(before, after);
        Assert.NotEqual(old, changed);

        PlannedSweep plan = await PlanAsync(request);
        PlannedChunk chunk = plan.Parts[0].Chunks[0];
        Assert.Equal(chunk.Activations, WorkKeys.Activations(plan.Header.Source, chunk.Pairs, chunk.Start));
        Assert.NotEqual(chunk.Activations, WorkKeys.Activations(plan.Header.Source, chunk.Pairs, chunk.Start, Core.Numerics.Version + 1));
    }

    public static TheoryData<string, string> Losses { get; } = new()
    {
        { "exact", "activations/" },
        { "exact", "runs/" },
        { "exact", "plan.json" },
        { "exact", "/parts/" },
        { "exact", "tokens.json" },
        { "exact", "results.json" },
        { "exact", "heads.csv" },
        { "screen", "screen.json" },
        { "screen", "runs/" },
        { "mean", "sums/" },
        { "mean", "activations/" },
        { "mean", "/parts/" },
    };

    [Theory]
    [MemberData(nameof(Losses))]
    public async Task Whatever_is_deleted_before_during_or_after_a_sweep_it_ends_with_the_same_numbers(string kind, string lost)
    {
        SweepRequest request = kind switch
        {
            "screen" => Small with { Method = Method.Screen, ScreenTop = 4 },
            "mean" => Small with { Ablation = Ablation.Mean },
            _ => Small,
        };
        JsonNode expected = await NumbersAsync(Store("fresh"), request);

        WatchedStore store = Store();
        string id = SweepIds.New();
        Assert.Equal(SweepState.Completed, (await RunAsync(store, id, request)).Status);
        Delete("store", lost);
        Assert.Equal(expected.ToJsonString(), (await NumbersAsync(store, request)).ToJsonString());

        // During: each time that something else is begun.
        WatchedStore losing = Store("losing");
        int deletions = 0;
        losing.Before = name =>
        {
            if (!name.Contains(lost, StringComparison.Ordinal) && !name.EndsWith("request.json", StringComparison.Ordinal) && Interlocked.Increment(ref deletions) % 7 == 0 && deletions < 60)
            {
                Delete("losing", lost);
            }
        };
        id = SweepIds.New();
        Assert.Equal(SweepState.Completed, (await RunAsync(losing, id, request)).Status);
        losing.Before = _ => { };
        Assert.Equal(expected.ToJsonString(), (await NumbersAsync(losing, request)).ToJsonString());

        // After: what the finished sweep has lost is there again when it is run again.
        Delete("losing", lost);
        Assert.Equal(SweepState.Completed, (await RunAsync(losing, id, request)).Status);
        Assert.True(await losing.ExistsAsync(SweepArtifacts.Result(id, "results.json"), TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("activations", true)]
    [InlineData("activations", false)]
    [InlineData("runs", true)]
    [InlineData("runs", false)]
    public async Task A_torn_artifact_is_never_read_as_whole(string kind, bool cut)
    {
        WatchedStore store = Store();
        JsonNode expected = await NumbersAsync(store, Small);
        foreach (string file in Directory.GetFiles(_folder[$"store/{kind}"]))
        {
            byte[] bytes = await File.ReadAllBytesAsync(file);
            if (cut)
            {
                bytes = bytes[..(bytes.Length / 2)];
            }
            else
            {
                Array.Clear(bytes, bytes.Length / 2, 64); // as a file system leaves what never reached the disk
            }

            await File.WriteAllBytesAsync(file, bytes);
        }

        Assert.Equal(expected.ToJsonString(), (await NumbersAsync(store, Small)).ToJsonString());
        Assert.True((await SweepAsync(store, Small with { Patch = Patch.Q })).Progress.ForwardPasses is 0 or 24);
    }

    /// <summary>The first plans had no version and every pair in them; what else such a file says is another version's, though it can be read as ours.</summary>
    [Theory]
    [InlineData(null)]
    [InlineData(1)]
    public async Task A_plan_of_an_earlier_version_is_made_anew_and_never_read(int? schemaVersion)
    {
        WatchedStore store = Store();
        string id = SweepIds.OfKey("old");
        CancellationToken stop = TestContext.Current.CancellationToken;
        double[][] expected = (await ResultAsync(store, await RunAsync(store, id, Small))).Heatmap;
        string folder = _folder[$"store/{SweepArtifacts.Folder(id)}"], header = Path.Combine(folder, "plan.json");
        var old = (JsonObject)JsonNode.Parse(await File.ReadAllTextAsync(header, stop))!;
        old["schemaVersion"] = schemaVersion;
        old["request"]!["patch"] = "q";
        old["pairs"] = new JsonArray();
        old["chunks"] = new JsonArray();
        foreach (string file in Directory.GetFiles(folder).Where(file => Path.GetFileName(file) is not ("request.json" or "tokens.json"))) // with the parts, all that such a plan would need
        {
            File.Delete(file);
        }

        if (schemaVersion is null)
        {
            old.Remove("schemaVersion");
        }

        await File.WriteAllTextAsync(header, old.ToJsonString(), stop);

        Assert.Equal(expected, (await ResultAsync(store, await RunAsync(store, id, Small))).Heatmap);
        Assert.Equal(SweepPlan.CurrentSchema, (int)JsonNode.Parse(await File.ReadAllTextAsync(header, stop))!["schemaVersion"]!);
    }

    [Fact]
    public async Task Pruning_takes_what_no_sweep_refers_to_and_leaves_the_rest()
    {
        WatchedStore store = Store();
        string kept = SweepIds.New(), deleted = SweepIds.New();
        await RunAsync(store, kept, Small with { Method = Method.Screen, ScreenTop = 3 });
        await RunAsync(store, deleted, Small with { Patch = Patch.K });
        CancellationToken stop = TestContext.Current.CancellationToken;
        var plans = new StoredPlans(store, new ModelCatalog(_folder["models"]));
        Assert.Empty(await StorePruning.UnusedAsync(store, plans, DateTimeOffset.MaxValue, stop));

        await store.DeletePrefixAsync(SweepArtifacts.Folder(deleted), stop);
        Assert.Empty(await StorePruning.UnusedAsync(store, plans, DateTimeOffset.UnixEpoch, stop));
        IReadOnlyList<ArtifactInfo> unused = await StorePruning.UnusedAsync(store, plans, DateTimeOffset.MaxValue, stop);
        Assert.NotEmpty(unused);
        Assert.All(unused, artifact => Assert.StartsWith("runs/", artifact.Name, StringComparison.Ordinal)); // the activations are the other sweep's too

        foreach (ArtifactInfo artifact in unused)
        {
            await store.DeleteAsync(artifact.Name, stop);
        }

        SweepStatus again = await SweepAsync(store, Small with { Method = Method.Screen, ScreenTop = 3 });
        Assert.Equal((again.Progress.TasksTotal, 0), (again.Progress.TasksReused, again.Progress.ForwardPasses));
    }

    [Fact]
    public async Task Timings_say_what_was_done_and_what_was_reused()
    {
        WatchedStore store = Store();
        SweepTimings first = (await ResultAsync(store, await SweepAsync(store, Small))).Timings;
        SweepTimings second = (await ResultAsync(store, await SweepAsync(store, Small with { Top = 3 }))).Timings;

        Assert.Equal(0, first.RunsReused);
        Assert.True(first is { Activities: > 0, Runs: > 0, BytesWritten: > 0 });
        Assert.Equal((first.Runs, first.Runs, 0L), (second.Runs, second.RunsReused, second.BytesWritten));
    }

    public void Dispose() => _folder.Dispose();

    private static void Exchange(string file, string one, string other)
    {
        var json = (JsonObject)JsonNode.Parse(File.ReadAllText(file))!;
        (json[one], json[other]) = (json[other]!.DeepClone(), json[one]!.DeepClone());
        File.WriteAllText(file, json.ToJsonString());
    }

    private static void CopyDemoModel(string folder)
    {
        Directory.CreateDirectory(folder);
        foreach (string file in Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "models", "ioi-demo")))
        {
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        }
    }

    private static async Task<SweepResult> ResultAsync(IArtifactStore store, SweepStatus status) =>
        await store.RequireJsonAsync<SweepResult>(SweepArtifacts.Result(status.Id, "results.json"), TestContext.Current.CancellationToken);

    private async Task<(string Id, double[][] Heatmap)> ByContentAsync(IArtifactStore store, SweepRequest request)
    {
        string id = SweepIds.OfContent(await PlanAsync(request));
        return (id, (await ResultAsync(store, await RunAsync(store, id, request))).Heatmap);
    }

    private async Task<PlannedSweep> PlanAsync(SweepRequest request) => await SweepPlanner.PlanAsync(
        request, DateTimeOffset.UnixEpoch, new ModelCatalog(_folder["models"]), FaultPlaces.JsonPaths, TestContext.Current.CancellationToken);

    private async Task<SweepStatus> SweepAsync(IArtifactStore store, SweepRequest request) => await RunAsync(store, SweepIds.OfKey($"{_sweeps++}"), request);

    private async Task<SweepStatus> RunAsync(IArtifactStore store, string id, SweepRequest request)
    {
        await using var engine = new InProcessEngine(store, new ModelCatalog(_folder["models"]), Reports, new EngineOptions { Parallelism = 2 });
        SweepStatus status = await engine.RunAsync(id, request, TestContext.Current.CancellationToken);
        Assert.True(status.Status == SweepState.Completed, status.Error?.Message);
        return status;
    }

    private async Task<JsonNode> NumbersAsync(WatchedStore store, SweepRequest request)
    {
        SweepStatus status = await SweepAsync(store, request);
        await using Stream stream = (await store.OpenReadAsync(SweepArtifacts.Result(status.Id, "results.json")))!;
        var result = (JsonObject)(await JsonNode.ParseAsync(stream))!;
        result.Remove("timings");
        result.Remove("sweepId");
        (result["circuit"] as JsonObject)?.Remove("sweeps"); // which name it
        return result;
    }

    private WatchedStore Store(string name = "store") => new(new LocalArtifactStore(_folder[name]));

    private void Delete(string store, string what)
    {
        foreach (string file in Directory.GetFiles(_folder[store], "*", SearchOption.AllDirectories).Where(file => file.Replace('\\', '/').Contains(what, StringComparison.Ordinal) && !file.Contains('~')))
        {
            File.Delete(file);
        }
    }
}
