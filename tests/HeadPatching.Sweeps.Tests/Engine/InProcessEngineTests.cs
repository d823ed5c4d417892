using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models.Safetensors;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Sweeps.Workflow;
using HeadPatching.Testing;
using TorchSharp;

namespace HeadPatching.Sweeps.Tests.Engine;

/// <summary>A sweep as durable work, in this process, on the demo model.</summary>
public sealed class InProcessEngineTests : IDisposable
{
    private static readonly RetryRules Impatient = new() { FirstDelay = TimeSpan.FromMilliseconds(10), MaxDelay = TimeSpan.FromMilliseconds(50) };

    private static readonly ResultFile[] Reports = [Report("e.txt"), Report("d.txt"), Report("b.txt"), Report("c.txt"), Report("a.txt")];

    private readonly TemporaryFolder _folder = new();

    [Fact]
    public async Task A_later_sweep_on_the_same_prompts_makes_no_forward_pass_for_its_activations()
    {
        WatchedStore store = LocalStore();
        await using InProcessEngine engine = Engine(store);

        Assert.Equal(10, await ForwardPassesAsync(new SweepRequest())); // five pairs, clean and corrupted
        int chunks = Activations();

        // Another patch, another direction: the same clean and corrupted runs.
        Assert.Equal(0, await ForwardPassesAsync(new SweepRequest { Patch = Patch.Pattern, Direction = Direction.Noise }));
        Assert.Equal(0, await ForwardPassesAsync(new SweepRequest { Positions = Positions.Each }));
        Assert.Equal(chunks, Activations());

        // Other prompts, or another precision: others.
        Assert.Equal(10, await ForwardPassesAsync(new SweepRequest { Dataset = "ioi-order" }));
        Assert.Equal(10, await ForwardPassesAsync(new SweepRequest { Dtype = "float64" }));
        Assert.True(Activations() >= 2 * chunks);

        async Task<int> ForwardPassesAsync(SweepRequest request) => (await CompleteAsync(engine, request)).Progress.ForwardPasses;
        int Activations() => store.Written.Count(name => name.StartsWith("activations/", StringComparison.Ordinal));
    }

    /// <summary>By text or by id, in any order, the same weights are the same metric; and those of the answers are the logit difference.</summary>
    [Fact]
    public async Task Weights_of_the_answers_are_the_logit_difference_and_other_weights_are_other_runs()
    {
        WatchedStore store = LocalStore();
        await using InProcessEngine engine = Engine(store);
        var request = new SweepRequest { PairIndices = [0], Dtype = "float64" };
        int mary = TextTokenizer.Load(Path.Combine(AppContext.BaseDirectory, "models", "ioi-demo"))!.EncodeWithin(" Mary").Single();
        var one = request with { TokenWeights = new Dictionary<string, double> { [" Mary"] = 1, [" John"] = -1 } };
        var same = request with { Metric = Metric.TokenWeights, TokenWeights = new Dictionary<string, double> { [" John"] = -1, [$"#{mary}"] = 1 } };
        var other = request with { TokenWeights = new Dictionary<string, double> { [" Mary"] = 1, [" John"] = -0.5 } };

        JsonNode difference = JsonNode.Parse(await ResultAsync(store, (await CompleteAsync(engine, request)).Id))!;
        JsonNode weighted = JsonNode.Parse(await ResultAsync(store, (await CompleteAsync(engine, one)).Id))!;
        Assert.Equal("+1 logit[\" Mary\"] -1 logit[\" John\"] at the last position".Split(' ').Order(), weighted["metricDetails"]!["description"]!.GetValue<string>().Split(' ').Order());
        foreach (var (expected, actual) in difference["heatmap"]!.AsArray().Zip(weighted["heatmap"]!.AsArray()))
        {
            Assert.All(expected!.AsArray().Zip(actual!.AsArray()), head => Assert.Equal(head.First!.GetValue<double>(), head.Second!.GetValue<double>(), 1e-9));
        }

        int before = store.Written.Count(name => name.StartsWith("runs/", StringComparison.Ordinal));
        await CompleteAsync(engine, same);
        Assert.Equal(before, store.Written.Count(name => name.StartsWith("runs/", StringComparison.Ordinal)));
        JsonNode ofOther = JsonNode.Parse(await ResultAsync(store, (await CompleteAsync(engine, other)).Id))!;
        Assert.NotEqual(weighted["heatmap"]!.ToJsonString(), ofOther["heatmap"]!.ToJsonString());
    }

    [Fact]
    public async Task Weights_of_what_is_no_token_are_refused_each_by_its_text()
    {
        await using InProcessEngine engine = Engine(LocalStore());
        SweepStatus status = await engine.RunAsync(
            SweepIds.New(),
            new SweepRequest { TokenWeights = new Dictionary<string, double> { [" Mary"] = 1, [" Mary and"] = 1, ["#123456789"] = 1, ["Mary"] = 2 } });
        Assert.Equal(SweepState.Failed, status.Status);
        Assert.Contains(status.Error!.Faults, fault => fault.Where == "tokenWeights. Mary and" && fault.Message.Contains("It must be one token", StringComparison.Ordinal));
        Assert.Contains(status.Error.Faults, fault => fault.Where == "tokenWeights.#123456789" && fault.Message.Contains("The vocabulary has tokens 0 to", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Another_metric_on_the_same_prompts_needs_no_forward_pass_and_has_baselines_of_its_own()
    {
        WatchedStore store = LocalStore();
        await using InProcessEngine engine = Engine(store);
        Assert.Equal(10, (await CompleteAsync(engine, new SweepRequest())).Progress.ForwardPasses);
        foreach (Metric metric in Enum.GetValues<Metric>().Except([Metric.LogitDifference]))
        {
            bool weighted = metric == Metric.TokenWeights;
            SweepStatus status = await CompleteAsync(
                engine, new SweepRequest { Metric = metric, TokenWeights = weighted ? new Dictionary<string, double> { [" Mary"] = 1, [" John"] = -1 } : null });
            Assert.Equal(0, status.Progress.ForwardPasses);
            JsonNode result = JsonNode.Parse(await ResultAsync(store, status.Id))!;
            IMetric expected = MetricFor.Metric(metric, weighted ? [new TokenWeight(1, 1, " Mary")] : null);
            Assert.Equal(expected.Name, result["metric"]!.GetValue<string>());

            // The demo model knows the answer on the clean prompts, and gives the other one on the corrupted.
            double clean = result["pairs"]![0]!["cleanMetric"]!.GetValue<double>(), corrupted = result["pairs"]![0]!["corruptedMetric"]!.GetValue<double>();
            Assert.Equal(expected.Details.HigherIsBetter, clean > corrupted);
        }
    }

    [Fact]
    public async Task The_files_that_the_host_makes_of_a_result_are_written_before_it_and_again_where_they_are_gone()
    {
        WatchedStore store = LocalStore();
        string id = SweepIds.OfKey("reports");
        for (int round = 0; round < 2; round++)
        {
            await using var engine = new InProcessEngine(store, new ModelCatalog(), Reports);
            Assert.Equal(SweepState.Completed, (await engine.RunAsync(id, new SweepRequest())).Status);
            await using Stream stream = await store.RequireReadAsync(SweepArtifacts.Result(id, "b.txt"), TestContext.Current.CancellationToken);
            Assert.Equal($"b.txt of {id}", await new StreamReader(stream).ReadToEndAsync(TestContext.Current.CancellationToken));
            await store.DeleteAsync(SweepArtifacts.Result(id, "b.txt"), TestContext.Current.CancellationToken);
            await store.DeleteAsync(SweepArtifacts.Status(id), TestContext.Current.CancellationToken);
        }

        string[] written = [.. store.Written.Select(name => name.Split('/')[^1]).Where(name => name == "results.json" || name.EndsWith(".txt", StringComparison.Ordinal))];
        Assert.Equal(["a.txt", "b.txt", "c.txt", "d.txt", "e.txt"], written[..5].Order());
        Assert.Equal(["results.json", "b.txt"], written[5..]); // where results.json is, all are
    }

    /// <summary>libtorch has a number of threads for each thread of the process, and sums in float32 depend on it.</summary>
    [Fact]
    public async Task A_result_does_not_depend_on_what_the_threads_of_the_process_did_before()
    {
        string id = SweepIds.OfKey("threads");
        var request = new SweepRequest { Patch = Patch.K, Positions = Positions.Each };
        var before = new LocalArtifactStore(_folder["before"]);
        await using (InProcessEngine engine = Engine(before))
        {
            await engine.RunAsync(id, request);
        }

        using var together = new Barrier(8);
        await Task.WhenAll(Enumerable.Range(0, together.ParticipantCount).Select(_ => Task.Run(() =>
        {
            torch.set_num_threads(5);
            together.SignalAndWait(); // so that each is on a thread of its own
        })));
        var after = new LocalArtifactStore(_folder["after"]);
        await using (InProcessEngine engine = Engine(after))
        {
            await engine.RunAsync(id, request);
        }

        Assert.Equal(await ResultAsync(before, id), await ResultAsync(after, id));
    }

    [Fact]
    public async Task A_store_that_fails_now_and_then_costs_attempts_and_not_the_sweep()
    {
        WatchedStore store = LocalStore();
        int failures = 0;
        var failed = new HashSet<string>();
        store.Before = name =>
        {
            lock (failed)
            {
                // Each artifact once, and of those that one activity reads not more than it has attempts for.
                if (failures < 12 && !name.EndsWith("/request.json", StringComparison.Ordinal) && failed.Add(name) && failed.Count % 2 == 0)
                {
                    failures++;
                    throw new IOException("The network is away.");
                }
            }
        };
        await using InProcessEngine engine = Engine(store);
        string id = SweepIds.OfKey("failing");
        Assert.Equal(SweepState.Completed, (await engine.RunAsync(id, new SweepRequest())).Status);
        Assert.InRange(failures, 4, 12);

        await using InProcessEngine calm = Engine(new LocalArtifactStore(_folder["calm"]));
        await calm.RunAsync(id, new SweepRequest());
        Assert.Equal(await ResultAsync(calm.Store, id), await ResultAsync(store, id));
    }

    [Fact]
    public async Task A_store_that_stays_away_fails_the_sweep_with_a_message()
    {
        WatchedStore store = LocalStore();
        int attempts = 0;
        store.Before = name =>
        {
            if (name.StartsWith("runs/", StringComparison.Ordinal))
            {
                Interlocked.Increment(ref attempts);
                throw new IOException("The disk is full.");
            }
        };
        await using InProcessEngine engine = Engine(store);
        SweepStatus status = await engine.RunAsync(SweepIds.New(), new SweepRequest());
        Assert.Equal(SweepState.Failed, status.Status);
        Assert.Equal("The disk is full.", status.Error!.Message);
        Assert.True(attempts >= Impatient.MaxAttempts, $"{attempts} attempts");
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task An_activity_is_run_as_often_as_the_rules_say_once_too(int maxAttempts)
    {
        WatchedStore store = LocalStore();
        int attempts = 0;
        store.Before = name =>
        {
            if (name.EndsWith("/plan.json", StringComparison.Ordinal))
            {
                attempts++;
                throw new IOException("The network is gone.");
            }
        };
        await using var engine = new InProcessEngine(
            store, new ModelCatalog(), reports: [], new EngineOptions { Parallelism = 1, Retry = Impatient with { MaxAttempts = maxAttempts } });
        SweepStatus status = await engine.RunAsync(SweepIds.New(), new SweepRequest());
        Assert.Equal("The network is gone.", status.Error!.Message);
        Assert.Equal(maxAttempts, attempts);
    }

    public static TheoryData<Exception> NotWorthRetrying { get; } =
    [
        new InvalidOperationException("Object reference not set."),
        new InsufficientMemoryException("Not even one head fits."),
        new StoreUnavailableException("https://store", "runs/one", "the service answered 403", mayPass: false),
    ];

    [Theory]
    [MemberData(nameof(NotWorthRetrying))]
    public async Task A_mistake_of_the_program_and_too_little_memory_are_not_tried_again(Exception failure)
    {
        WatchedStore store = LocalStore();
        int attempts = 0;
        store.Before = name =>
        {
            if (name.StartsWith("runs/", StringComparison.Ordinal))
            {
                attempts++;
                throw failure;
            }
        };
        await using InProcessEngine engine = Engine(store);
        SweepStatus status = await engine.RunAsync(SweepIds.New(), new SweepRequest());
        Assert.Equal((SweepState.Failed, failure.Message), (status.Status, status.Error!.Message));
        Assert.Equal(1, attempts);
    }

    public static TheoryData<Exception> WorthRetrying { get; } =
    [
        new IOException("The disk is full."),
        new HttpRequestException("The network is gone."),
        new TimeoutException(),
        new StoreUnavailableException("https://store", "runs/one", "the service answered 503", mayPass: true),
    ];

    [Theory]
    [MemberData(nameof(WorthRetrying))]
    public void A_store_or_network_that_fails_is_tried_again(Exception failure)
    {
        Assert.True(new RetryRules().MayTryAgain(after: 4, failure));
        Assert.False(new RetryRules().MayTryAgain(after: 5, failure));
    }

    [Theory]
    [InlineData(double.NaN, "The tensor 'h.1.mlp.c_fc.weight' holds a NaN or an infinite number; the file is damaged, or its training failed.")]
    [InlineData(1e300, "The tensor 'h.1.mlp.c_fc.weight' holds numbers that are too large for float32; load it in float64.")]
    public async Task Weights_that_are_not_finite_fail_at_once_and_name_the_tensor(double number, string message)
    {
        WriteModel("wrong", name => name == "h.1.mlp.c_fc.weight" ? number : null);
        (SweepStatus status, int attempts) = await SweepModelAsync("wrong");
        Assert.Equal((SweepState.Failed, SweepError.InvalidRequest), (status.Status, status.Error!.Message));
        Fault fault = Assert.Single(status.Error.Faults);
        Assert.Equal((FaultKinds.InvalidWeights, message), (fault.Kind, fault.Message));
        Assert.Equal(1, attempts);
    }

    [Fact]
    public async Task A_run_that_overflows_fails_at_once_and_names_the_layer_and_the_pairs()
    {
        WriteModel("large", name => name is "h.0.mlp.c_proj.bias" or "h.1.mlp.c_proj.bias" ? 3e38 : null);
        (SweepStatus status, int attempts) = await SweepModelAsync("large");
        Assert.Equal((SweepState.Failed, SweepError.InvalidRequest), (status.Status, status.Error!.Message));
        Assert.Equal([(FaultKinds.NotFinite, "pair 0"), (FaultKinds.NotFinite, "pair 1")], status.Error.Faults.Select(fault => (fault.Kind, fault.Where)).Order());
        Assert.All(status.Error.Faults, fault => Assert.Contains("can hold in layer 1", fault.Message, StringComparison.Ordinal));
        Assert.Equal(1, attempts);
    }

    [Fact]
    public async Task Invalid_input_fails_at_once_with_its_faults_and_is_never_retried()
    {
        WatchedStore store = LocalStore();
        int reads = 0;
        store.Before = name => reads += name.EndsWith("/plan.json", StringComparison.Ordinal) ? 1 : 0;
        await using InProcessEngine engine = Engine(store);
        var unequal = new PromptPair(Prompt.Of(" Mary and John"), Prompt.Of(" Mary"), Answer.Of(" Mary"), Answer.Of(" John"));
        SweepStatus status = await engine.RunAsync(SweepIds.New(), new SweepRequest { Pairs = [unequal] });
        Assert.Equal(SweepState.Failed, status.Status);
        Fault fault = Assert.Single(status.Error!.Faults);
        Assert.Equal((FaultKinds.UnequalLength, "pairs[0]"), (fault.Kind, fault.Where));
        Assert.Equal(1, reads);
    }

    [Fact]
    public async Task Cancelling_stops_inside_a_layer_and_what_is_finished_is_used_again()
    {
        RandomModelFolder.Write(_folder["models/large"], layers: 4, heads: 8, width: 256, vocabulary: 300, context: 64, seed: 3);
        WatchedStore store = LocalStore();
        var request = new SweepRequest { Model = "large", Pairs = Pairs(24), MemoryMiB = 1 };
        string id = SweepIds.New();
        long runs = 0;
        await using (InProcessEngine engine = Engine(store))
        {
            using var cancellation = new CancellationTokenSource();
            engine.WorkDone += step =>
            {
                if (Interlocked.Add(ref runs, step.PatchedRuns) > 40)
                {
                    cancellation.Cancel();
                }
            };
            await Assert.ThrowsAsync<SweepCancelledException>(() => engine.RunAsync(id, request, cancellation.Token));
            Assert.Equal(SweepState.Cancelled, (await engine.FindAsync(id))!.Status);
        }

        // 24 pairs in chunks of one (a budget of 1 MiB), 8 heads in 4 layers: 768 runs, of which hardly more than asked for were made.
        Assert.InRange(runs, 41, 100);
        int finished = store.Written.Count(name => name.StartsWith("runs/", StringComparison.Ordinal));
        await using InProcessEngine again = Engine(store);
        SweepStatus status = await again.RunAsync(id, request);
        Assert.Equal(SweepState.Completed, status.Status);
        Assert.Equal(finished, status.Progress.TasksReused);
    }

    public static TheoryData<SweepRequest> OfEveryCost { get; } =
    [
        new SweepRequest(),
        new SweepRequest { Patch = Patch.ResidPre, Positions = Positions.Each },
        new SweepRequest { Method = Method.Attribution },
        new SweepRequest { Method = Method.Screen, ScreenTop = 3 },
        new SweepRequest { Ablation = Ablation.Zero },
        new SweepRequest { Receivers = [Receiver.Logits] },
    ];

    [Theory]
    [MemberData(nameof(OfEveryCost), DisableDiscoveryEnumeration = true)]
    public async Task The_steps_of_a_sweep_are_together_the_operations_that_its_plan_counted_made_or_found(SweepRequest request)
    {
        request = request with { Pairs = Pairs(24) };
        WatchedStore store = LocalStore();
        PlannedSweep plan = await SweepPlanner.PlanAsync(request, DateTimeOffset.UnixEpoch, new ModelCatalog(_folder["models"]), FaultPlaces.JsonPaths);
        WorkStep[] first = await StepsAsync(), again = await StepsAsync();

        double flops = plan.Header.Size.Flops;
        Assert.Equal(flops, first.Sum(step => step.Flops), flops * 1e-9);
        Assert.DoesNotContain(first, step => step.Found || step.Flops < -flops * 1e-9);
        Assert.Equal(flops, again.Sum(step => step.Flops), flops * 1e-9);
        Assert.All(again, step => Assert.True(step.Found));

        async Task<WorkStep[]> StepsAsync()
        {
            var steps = new ConcurrentBag<WorkStep>();
            await using InProcessEngine engine = Engine(store);
            engine.WorkDone += steps.Add;
            Assert.Equal(SweepState.Completed, (await engine.RunAsync(SweepIds.New(), request)).Status);
            return [.. steps];
        }
    }

    [Fact]
    public async Task Unfinished_sweeps_go_on_when_the_next_host_starts()
    {
        WatchedStore store = LocalStore();
        string[] ids = [.. Enumerable.Range(0, 5).Select(i => SweepIds.OfKey($"unfinished {i}"))];
        await using (InProcessEngine engine = Engine(store))
        {
            foreach (var (i, _) in ids.Index())
            {
                await engine.SubmitAsync(new SweepRequest { Patch = Enum.GetValues<Patch>()[i] }, $"unfinished {i}", traceParent: null);
            }
        }

        await using InProcessEngine next = Engine(store);
        int unfinished = (await next.ListAsync()).UnderWay;
        Assert.True(unfinished > 0);
        Assert.Equal(unfinished, await next.ResumeAsync());
        await UntilAsync(async () => (await next.ListAsync()).Sweeps.All(status => status.Status == SweepState.Completed));
        Assert.Equal(5, (await next.ListAsync()).Total);
    }

    [Fact]
    public async Task The_same_key_is_the_same_sweep_however_often_and_another_request_with_it_a_conflict()
    {
        await using InProcessEngine engine = Engine(LocalStore());
        Submission[] submissions = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => engine.SubmitAsync(new SweepRequest(), "one", null)));
        Assert.Single(submissions.Select(submission => submission.Status.Id).Distinct());
        Assert.Single(submissions, submission => submission.Outcome == SubmissionOutcome.Accepted);
        Assert.Equal(SubmissionOutcome.Conflict, (await engine.SubmitAsync(new SweepRequest { Patch = Patch.V }, "one", null)).Outcome);
        Assert.Equal(SubmissionOutcome.Known, (await engine.SubmitAsync(new SweepRequest { Metric = Metric.LogitDifference }, "one", null)).Outcome); // as versions before token weights stored it
        await UntilAsync(async () => (await engine.FindAsync(submissions[0].Status.Id))!.Status == SweepState.Completed);
    }

    [Fact]
    public async Task Activities_of_many_sweeps_together_keep_to_the_bound()
    {
        WatchedStore store = LocalStore();
        int running = 0, most = 0;
        var gate = new Lock();
        string trace = $"00-{ActivityTraceId.CreateRandom()}-{ActivitySpanId.CreateRandom()}-01";
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == SweepTelemetry.SourceName,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStarted = span => Count(span, +1),
            ActivityStopped = span => Count(span, -1),
        };
        ActivitySource.AddActivityListener(listener);
        await using (InProcessEngine engine = Engine(store, parallelism: 2))
        {
            string[] ids = [.. (await Task.WhenAll(Enumerable.Range(0, 12).Select(_ => engine.SubmitAsync(new SweepRequest(), null, trace)))).Select(made => made.Status.Id)];
            await UntilAsync(async () => (await Task.WhenAll(ids.Select(id => engine.FindAsync(id)))).All(status => status!.Status == SweepState.Completed));
        }

        Assert.InRange(most, 1, 3); // two, and one more for a sweep that has only begun

        // Other tests' spans are not of this trace.
        void Count(Activity span, int change)
        {
            if (span.OperationName != "sweep" && span.TraceId.ToHexString() == trace.Split('-')[1])
            {
                lock (gate)
                {
                    running += change;
                    most = Math.Max(most, running);
                }
            }
        }
    }

    [Fact]
    public async Task A_finished_sweep_is_deleted_and_its_activations_stay_for_others()
    {
        WatchedStore store = LocalStore();
        await using InProcessEngine engine = Engine(store);
        SweepStatus status = await CompleteAsync(engine, new SweepRequest());
        Assert.Equal(Removal.Deleted, await engine.RemoveAsync(status.Id));
        Assert.Null(await engine.FindAsync(status.Id));
        Assert.Equal(Removal.Unknown, await engine.RemoveAsync(status.Id));
        Assert.Equal(Removal.Unknown, await engine.RemoveAsync("../../etc"));
        List<ArtifactInfo> left = await store.ListAsync("", TestContext.Current.CancellationToken).ToListAsync(TestContext.Current.CancellationToken);
        Assert.Equal(["activations", "attributions", "runs"], left.Select(artifact => artifact.Name.Split('/')[0]).Distinct());
    }

    public void Dispose() => _folder.Dispose();

    private static ResultFile Report(string name) => new(
        name, "text/plain", (result, to, cancel) => to.WriteAsync(Encoding.UTF8.GetBytes($"{name} of {result.Result.SweepId}"), cancel).AsTask());

    private static async Task<SweepStatus> CompleteAsync(InProcessEngine engine, SweepRequest request)
    {
        SweepStatus status = await engine.RunAsync(SweepIds.New(), request);
        Assert.Equal(SweepState.Completed, status.Status);
        return status;
    }

    private static async Task<string> ResultAsync(IArtifactStore store, string id)
    {
        await using Stream stream = (await store.OpenReadAsync(SweepArtifacts.Result(id, "results.json")))!;
        var result = (JsonObject)(await JsonNode.ParseAsync(stream))!;
        result.Remove("timings");
        return result.ToJsonString();
    }

    private static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        while (!await condition())
        {
            await Task.Delay(50, patience.Token);
        }
    }

    private static PromptPair[] Pairs(int count) =>
    [
        .. Enumerable.Range(0, count).Select(i => new PromptPair(
            Prompt.Of([.. Enumerable.Range(i, 20)]), Prompt.Of([i + 1, .. Enumerable.Range(i + 1, 19)]), Answer.Of(1), Answer.Of(2))),
    ];

    /// <summary>A small random GPT-2 in float64, all numbers of some tensors replaced.</summary>
    private void WriteModel(string name, Func<string, double?> replaced)
    {
        string folder = _folder[$"models/{name}"];
        RandomModelFolder.Write(folder, layers: 2, heads: 2, width: 16, vocabulary: 50, context: 30, seed: 3);
        string weights = Path.Combine(folder, "model.safetensors");
        byte[] written = File.ReadAllBytes(weights);
        using var scope = torch.NewDisposeScope();
        using SafetensorsFile file = SafetensorsFile.Open(new MemoryStream(written), weights);
        List<(string, torch.Tensor)> tensors =
        [
            .. file.Tensors.Keys.Select(tensorName =>
            {
                torch.Tensor tensor = file.Read(tensorName, torch.ScalarType.Float64, torch.CPU);
                return (tensorName, replaced(tensorName) is double number ? torch.full_like(tensor, number.ToScalar()) : tensor);
            }),
        ];
        using FileStream stream = File.Create(weights);
        SafetensorsWriter.Write(stream, tensors);
    }

    /// <summary>How a sweep of the model ended, and how often its activations were to be cached.</summary>
    private async Task<(SweepStatus Status, int Attempts)> SweepModelAsync(string model)
    {
        WatchedStore store = LocalStore();
        int attempts = 0;
        store.Before = name => attempts += name.StartsWith("runs/", StringComparison.Ordinal) ? 1 : 0;
        await using InProcessEngine engine = Engine(store);
        return (await engine.RunAsync(SweepIds.New(), new SweepRequest { Model = model, Pairs = Pairs(2) }), attempts);
    }

    private WatchedStore LocalStore() => new(new LocalArtifactStore(_folder["store"]));

    private InProcessEngine Engine(IArtifactStore store, int parallelism = 2) =>
        new(store, new ModelCatalog(_folder["models"]), Reports, new EngineOptions { Parallelism = parallelism, Retry = Impatient });
}
