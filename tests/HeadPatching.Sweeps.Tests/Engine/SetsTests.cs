using HeadPatching.Core.Circuits;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Edges;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Sweeps.Workflow;
using HeadPatching.Testing;
using static TorchSharp.torch;

namespace HeadPatching.Sweeps.Tests.Engine;

/// <summary>Sets of nodes and circuits as durable work: what they give, what they share, and that nothing of it is lost.</summary>
public sealed class SetsTests : IDisposable
{
    private static readonly SweepRequest Asked = new()
    {
        Dataset = "ioi-generated",
        Count = 40,
        Dtype = "float64",
        PatchSets = ["L2H6,L2H0", "M1@-1", ""],
        Circuit = CircuitOf.HeadsAndMlps,
        CircuitRandom = 5,
        CircuitSeed = 3,
    };

    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Sets_and_circuit_are_those_of_one_call_in_memory_ranked_by_what_a_sweep_of_the_pairs_finds()
    {
        SweepResult result = await SweepAsync(Asked);
        TokenPair[] pairs = [.. result.Pairs.Select(pair => new TokenPair(pair.Index, pair.CleanTokens, pair.CorruptedTokens, pair.Correct, pair.Incorrect) { Roles = pair.Roles })];
        using LocatedModel located = await new ModelCatalog().LocateAsync("ioi-demo", "model", Stop);
        using Transformer model = ModelFolder.Load(located.Folder, ScalarType.Float64, CPU);

        PatchSetRuns runs = PatchSets.Run(
            model, pairs, [.. Asked.PatchSets!.Select(text => PatchSet.Parse(text, "", []))], Direction.Denoise, new LogitDifference(), MemoryBudget.Default);
        Assert.Equal(Asked.PatchSets, result.PatchSets!.Select(set => set.Set));
        foreach (var (set, metric) in result.PatchSets!.Zip(runs.Patched))
        {
            double effect = metric.Zip(runs.Baselines, (patched, baseline) => (patched - baseline.Corrupted) / (baseline.Clean - baseline.Corrupted)).Average();
            Assert.Equal(effect, set.PatchingEffect, 1e-9);
            Assert.All(metric.Zip(set.PatchedMetric!), one => Assert.Equal(one.First, one.Second, 1e-9));
        }

        ProofSheet sheet = result.Circuit!;
        Assert.Equal((28, 12, true), (sheet.LookedAt, sheet.HeldOut, sheet.IsHeldOut));
        var (lookedAt, heldOut) = SetRounds.Split(pairs, 0.3, seed: 3);
        SweepResult ranking = await SweepAsync(Asked with { PatchSets = null, Circuit = null, CircuitRandom = null, CircuitSeed = null, PairIndices = [.. lookedAt.Select(pair => pair.Index)] });
        Dictionary<string, double> effects = ranking.Heads.ToDictionary(head => head.Name, head => head.PatchingEffect);
        Assert.All(sheet.Ranking.Where(node => node.Node.Kind == NodeKind.Head), node => Assert.Equal(effects[node.Node.ToString()], node.Effect, 1e-9));
        PatchSetRuns mlp = PatchSets.Run(model, lookedAt, [PatchSet.Of([Node.OfMlp(1)])], Direction.Denoise, new LogitDifference(), MemoryBudget.Default);
        double alone = mlp.Patched[0].Zip(mlp.Baselines, (patched, baseline) => (patched - baseline.Corrupted) / (baseline.Clean - baseline.Corrupted)).Average();
        Assert.Equal(alone, sheet.Ranking.Single(node => node.Node == Node.OfMlp(1)).Effect, 1e-9);

        ProofSheet inMemory = CircuitProof.Prove(
            model, sheet.Ranking, lookedAt, heldOut, Asked.ProofOptions()!, new LogitDifference(), MemoryBudget.Default);
        Assert.Equal(inMemory.Circuit.Nodes.Select(node => node.Node), sheet.Circuit.Nodes.Select(node => node.Node));
        Assert.Equal(inMemory.Circuit.Faithfulness.Effect, sheet.Circuit.Faithfulness.Effect, 1e-9);
        Assert.Equal((inMemory.Cpr, inMemory.Cmd, inMemory.RandomCpr!.Value), (sheet.Cpr, sheet.Cmd, sheet.RandomCpr!.Value), new Within(1e-9));
    }

    public static TheoryData<SweepRequest> InRounds { get; } = [Asked, new SweepRequest { Dataset = "ioi-generated", Count = 60, Edges = EdgeMethod.Adaptive, Threshold = 0.05 }];

    [Theory]
    [MemberData(nameof(InRounds))]
    public async Task Whenever_it_is_stopped_it_goes_on_where_it_was_and_comes_to_the_same(SweepRequest request)
    {
        SweepResult whole = await SweepAsync(request);
        long runs = 0;
        for (int round = 0; ; round++)
        {
            string store = $"stopped-{round}", id = SweepIds.New();
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
            bool stopped = false;
            await using (InProcessEngine engine = Engine(store))
            {
                engine.Changed += status =>
                {
                    if (status.Progress.Phase == SweepPhase.PatchingSets && status.Progress.Rounds == round && !stopped)
                    {
                        stopped = true;
                        stop.Cancel();
                    }
                };
                try
                {
                    SweepStatus ended = await engine.RunAsync(id, request, stop.Token);
                    if (!stopped)
                    {
                        Assert.True(round > 3, $"It took {round} rounds.");
                        return;
                    }
                }
                catch (OperationCanceledException)
                {
                    // That is what was asked for.
                }
            }

            await using InProcessEngine next = Engine(store);
            SweepStatus status = await next.RunAsync(id, request, Stop);
            Assert.Equal(SweepState.Completed, status.Status);
            SweepResult result = await ResultAsync(store, id);
            Assert.Equal(Comparable(whole), Comparable(result));
            Assert.True(round == 0 || status.Progress.PatchedRuns <= runs, "What was run before was run again.");
            runs = status.Progress.PatchedRuns;
        }
    }

    [Fact]
    public async Task What_is_gone_or_torn_is_run_again_and_the_same_circuit_under_another_threshold_runs_nothing()
    {
        SweepResult first = await SweepAsync(Asked);
        Directory.Delete(_folder[$"store/sweeps/{first.SweepId}"], recursive: true);
        string[] kept = Directory.GetFiles(_folder["store/runs"]);
        foreach (string run in kept.Order().Where((_, index) => index % 2 == 0))
        {
            byte[] bytes = await File.ReadAllBytesAsync(run, Stop);
            await File.WriteAllBytesAsync(run, bytes[..(bytes.Length / 2)], Stop);
        }

        Assert.Equal(Comparable(first), Comparable(await SweepAsync(Asked)));

        await using InProcessEngine engine = Engine("store");
        SweepStatus view = await engine.RunAsync(SweepIds.New(), Asked with { Threshold = 0.3 }, Stop);
        Assert.Equal((SweepState.Completed, 0L, 0), (view.Status, view.Progress.PatchedRuns, view.Progress.ForwardPasses));
        Assert.True(view.Progress.Rounds > 3);
    }

    [Theory]
    [InlineData(Ablation.Zero)]
    [InlineData(Ablation.ValueBias)]
    [InlineData(Ablation.Mean)]
    [InlineData(Ablation.Resample)]
    public async Task A_set_that_is_ablated_takes_what_each_of_its_heads_takes_alone(Ablation ablation)
    {
        SweepRequest request = Asked with { Count = 20, Ablation = ablation, Circuit = CircuitOf.Heads, PatchSets = ["L2H6", "L0H3", "L2H6@-1", "L2H6,L0H3", ""] };
        SweepResult result = await SweepAsync(request);
        Dictionary<string, double> alone = result.Heads.ToDictionary(head => head.Name, head => head.PatchingEffect);
        Assert.Equal(alone["L2H6"], result.PatchSets![0].PatchingEffect, 1e-9);
        Assert.Equal(alone["L0H3"], result.PatchSets[1].PatchingEffect, 1e-9);
        Assert.Equal(0, result.PatchSets[4].PatchingEffect, 1e-12);
        Assert.NotEqual(alone["L2H6"], result.PatchSets[3].PatchingEffect);
        SweepResult atEnd = await SweepAsync(request with { PatchSets = null, Circuit = null, CircuitRandom = null, CircuitSeed = null, Positions = Positions.One(-1) });
        Assert.Equal(atEnd.Heads.Single(head => head.Name == "L2H6").PatchingEffect, result.PatchSets[2].PatchingEffect, 1e-9);

        // Of a circuit of all heads nothing is ablated, of one of none all are.
        ProvedSize all = result.Circuit!.Sizes[^1];
        Assert.Equal((24, 1.0, 0.0), (all.Nodes, Math.Round(all.Faithfulness.Effect, 9), Math.Round(all.Without.Effect, 9)));
        Assert.Contains("a head's z is", result.Circuit.Verdict[^1], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(EdgeMethod.Exact, 1)]
    [InlineData(EdgeMethod.Attribution, 1)]
    [InlineData(EdgeMethod.AttributionIg, 3)]
    public async Task Edges_are_those_of_one_call_in_memory_and_another_aggregation_runs_nothing(EdgeMethod method, int steps)
    {
        SweepRequest request = new() { Dataset = "ioi-generated", Count = 8, Dtype = "float64", Edges = method, EdgeSteps = method == EdgeMethod.AttributionIg ? steps : null };
        SweepResult result = await SweepAsync(request);
        TokenPair[] pairs = [.. result.Pairs.Select(pair => new TokenPair(pair.Index, pair.CleanTokens, pair.CorruptedTokens, pair.Correct, pair.Incorrect))];
        using LocatedModel located = await new ModelCatalog().LocateAsync("ioi-demo", "model", Stop);
        using Transformer model = ModelFolder.Load(located.Folder, ScalarType.Float64, CPU);
        EdgeRuns runs = method == EdgeMethod.Exact
            ? EdgeSweep.Run(model, pairs, new EdgeOptions(), new LogitDifference(), MemoryBudget.Default)
            : EdgeSweep.Estimate(model, pairs, new EdgeOptions(), new LogitDifference(), MemoryBudget.Default, steps);
        Assert.Equal(runs.Edges, result.Edges!.Edges);
        Assert.Equal(802, result.Edges.Edges.Count);
        foreach (var (effect, metric) in result.Edges.PatchingEffect.Zip(runs.Patched))
        {
            double expected = metric.Zip(runs.Baselines, (patched, baseline) => (patched - baseline.Corrupted) / (baseline.Clean - baseline.Corrupted)).Average();
            Assert.Equal(expected, effect, 1e-9);
        }

        await using InProcessEngine engine = Engine("store");
        SweepStatus view = await engine.RunAsync(SweepIds.New(), request with { Aggregation = Aggregation.RatioOfMeans }, Stop);
        Assert.Equal((SweepState.Completed, 0L, 0), (view.Status, view.Progress.PatchedRuns, view.Progress.ForwardPasses));
    }

    [Theory]
    [InlineData(EdgeMethod.Screen)]
    [InlineData(EdgeMethod.Adaptive)]
    public async Task Edges_that_are_estimated_first_are_those_of_one_call_in_memory_and_are_found_again(EdgeMethod method)
    {
        SweepRequest request = new() { Dataset = "ioi-generated", Count = 50, Seed = 2, Dtype = "float64", Edges = method, EdgeSteps = 2, EdgeTop = method == EdgeMethod.Screen ? 9 : null, Threshold = 0.05 };
        SweepResult result = await SweepAsync(request);
        TokenPair[] pairs = [.. result.Pairs.Select(pair => new TokenPair(pair.Index, pair.CleanTokens, pair.CorruptedTokens, pair.Correct, pair.Incorrect))];
        using LocatedModel located = await new ModelCatalog().LocateAsync("ioi-demo", "model", Stop);
        using Transformer model = ModelFolder.Load(located.Folder, ScalarType.Float64, CPU);
        EdgeEffects inMemory = EdgeSearch.Find(
            request.EdgeWork()!, result.Edges!.Edges, pairs, request.Aggregation, Direction.Denoise, seed: 2, (some, edges, how) =>
            {
                EdgeRuns runs = how.Method == EdgeMethod.Exact
                    ? EdgeSweep.Run(model, some, new EdgeOptions(), new LogitDifference(), MemoryBudget.Default, edges)
                    : EdgeSweep.Estimate(model, some, new EdgeOptions(), new LogitDifference(), MemoryBudget.Default, how.Steps, edges: edges);
                return new PatchSetRuns(runs.Baselines, runs.Patched);
            });
        Assert.Equal(inMemory.Pairs, result.Edges.Pairs);
        Assert.Equal(inMemory.Decision, result.Edges.Decision);
        Assert.All(inMemory.PatchingEffect.Zip(result.Edges.PatchingEffect), one => Assert.Equal(one.First, one.Second, 1e-9));
        Assert.Equal(method == EdgeMethod.Screen ? 9 * 50 : inMemory.Pairs!.Sum(), result.Edges.Pairs!.Sum());
        Assert.True(result.Edges.Pairs!.Sum() < 0.7 * 802 * 50);

        await using InProcessEngine engine = Engine("store");
        SweepStatus view = await engine.RunAsync(SweepIds.New(), request, Stop);
        Assert.Equal((SweepState.Completed, 0L, 0), (view.Status, view.Progress.PatchedRuns, view.Progress.ForwardPasses));
    }

    [Theory]
    [InlineData("all", false)]
    [InlineData("S2", true)]
    public async Task The_embedding_and_MLPs_send_as_in_one_call_in_memory(string positions, bool freezeMlps)
    {
        Assert.True(Positions.TryParse(positions, out Positions where));
        SweepRequest request = new()
        {
            Dataset = "ioi-generated",
            Count = 8,
            Dtype = "float64",
            Senders = Senders.All,
            FreezeMlps = freezeMlps,
            Positions = where,
            Receivers = [Receiver.Of(2, 6, ReceiverInput.V), Receiver.OfMlp(2)],
        };
        SweepResult result = await SweepAsync(request);
        TokenPair[] pairs = [.. result.Pairs.Select(pair => new TokenPair(pair.Index, pair.CleanTokens, pair.CorruptedTokens, pair.Correct, pair.Incorrect) { Roles = pair.Roles })];
        using LocatedModel located = await new ModelCatalog().LocateAsync("ioi-demo", "model", Stop);
        using Transformer model = ModelFolder.Load(located.Folder, ScalarType.Float64, CPU);
        PatchSetRuns runs = PathSenders.Run(model, pairs, PathSenders.At(PathSenders.BesideHeads(model.Config), where, PairShapes.Of(pairs)), request.PathOptions()!, new LogitDifference(), MemoryBudget.Default);
        Assert.Equal(["embed", "M0", "M1", "M2"], result.Senders!.Select(sender => sender.Set));
        Assert.All(runs.Patched.Zip(result.Senders!), one => Assert.All(one.First.Zip(one.Second.PatchedMetric!), metric => Assert.Equal(metric.First, metric.Second, 1e-9)));
        Assert.True(result.Senders![0].PatchingEffect > 0.3);
        Assert.Equal(0, result.Senders[3].PatchingEffect);
        Assert.Equal((await SweepAsync(request with { Senders = Senders.Heads })).Heatmap, result.Heatmap);
    }

    [Theory]
    [InlineData("each")]
    [InlineData("each-role")]
    public async Task The_embedding_and_MLPs_send_at_the_places_where_heads_do(string positions)
    {
        Assert.True(Positions.TryParse(positions, out Positions where));
        SweepRequest request = new() { Dataset = "ioi-generated", Count = 6, Dtype = "float64", Senders = Senders.All, Positions = where, Receivers = [Receiver.Of(2, 6, ReceiverInput.V)] };
        SweepResult result = await SweepAsync(request);
        string[] roles = [.. result.Roles!.Select(role => role.Name)];
        Assert.Equal(((string[])["embed", "M0", "M1", "M2"]).SelectMany(node => roles.Select(role => $"{node}@{role}")), result.Senders!.Select(sender => sender.Set));

        // One place after another is as all of a sweep of that place; and heads are as without others.
        foreach (RoleSummary role in result.Roles!.Where(role => role.Pairs == 6))
        {
            SweepResult one = await SweepAsync(request with { Positions = Positions.AtRole(role.Name) });
            Assert.All(
                one.Senders!.Zip(result.Senders!.Where(sender => sender.Set.EndsWith($"@{role.Name}", StringComparison.Ordinal))),
                both => Assert.Equal((both.First.PatchingEffect, both.First.StandardError!.Value), (both.Second.PatchingEffect, both.Second.StandardError!.Value)));
        }

        Assert.Contains(result.Senders!, sender => sender.Set == "embed@S2" && sender.PatchingEffect > 0.3);
        Assert.Equal((await SweepAsync(request with { Senders = Senders.Heads })).Heatmap, result.Heatmap);
    }

    [Fact]
    public async Task Pruning_leaves_what_a_circuit_was_proved_with()
    {
        await SweepAsync(Asked);
        var store = new LocalArtifactStore(_folder["store"]);
        Assert.Empty(await StorePruning.UnusedAsync(store, new StoredPlans(store, new ModelCatalog()), DateTimeOffset.MaxValue, Stop));
    }

    public static TheoryData<SweepRequest, string> Refused { get; } = new()
    {
        { Asked with { Patch = Patch.Q }, "circuit: A circuit is made of heads that are ranked by a sweep of z" },
        { Asked with { Circuit = null }, "circuitRandom: Only a circuit takes it" },
        { Asked with { PatchSets = ["L2H6", "L9H0,M1@40"] }, "patchSets[1]: The model has no L9H0|patchSets[1]: M1@40: pair 0 has" },
        { Asked with { PatchSets = ["L2"] }, "patchSets[0]: \"L2\" is no node" },
        { Asked with { PatchSets = [] }, "patchSets: There are 1 to" },
        { Asked with { Circuit = CircuitOf.Heads, CircuitGiven = "L2H6,M1" }, "circuitGiven: M1: this circuit is made of heads" },
        { Asked with { CircuitGiven = "L2H6,L2H6" }, "circuitGiven: A node is there twice." },
        { Asked with { CircuitSizes = [1, 28] }, "circuitSizes: There are 27 nodes" },
        { Asked with { CircuitHoldout = 1 }, "circuitHoldout: " },
        { Asked with { EdgeSteps = 3 }, "edgeSteps: Only edges attribution-ig, screen and adaptive have steps" },
        { Asked with { Edges = EdgeMethod.Exact, EdgeTop = 3 }, "edgeTop: Only edges screen" },
        { Asked with { Edges = EdgeMethod.Adaptive, Aggregation = Aggregation.RatioOfMeans }, "edges: Whether an edge is above the threshold is decided by its mean effect" },
        { new SweepRequest { Senders = Senders.All }, "senders: Only paths have senders" },
        { Asked with { Edges = EdgeMethod.Attribution, Metric = Metric.Rank }, "edges: A rank has no gradient" },
        { new SweepRequest { Dataset = "ioi-generated", Count = 30_000, Edges = EdgeMethod.Exact }, "edges: 802 edges on 30,000 pairs are more than" },
        { Asked with { Ablation = Ablation.Zero }, "circuit: With an ablation a circuit is made of heads" },
        { Asked with { Ablation = Ablation.Zero, Circuit = CircuitOf.Heads }, "patchSets[1]: M1: an ablation is put into heads' z" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task What_cannot_be_is_refused_with_the_reason(SweepRequest request, string reasons)
    {
        var refused = await Assert.ThrowsAsync<InvalidInputException>(() => SweepPlanner.PlanAsync(request, DateTimeOffset.UnixEpoch, new ModelCatalog(), FaultPlaces.JsonPaths, Stop));
        string said = string.Join('\n', refused.Faults);
        Assert.All(reasons.Split('|'), reason => Assert.Contains(reason, said, StringComparison.Ordinal));
    }

    [Fact]
    public async Task More_runs_of_senders_than_can_be_kept_are_refused_with_how_many_pairs_could_be()
    {
        RandomModelFolder.Write(_folder["models/deep"], layers: 40, heads: 1, width: 4, vocabulary: 30, context: 600, seed: 1);
        int[] clean = [.. Enumerable.Range(0, 600).Select(position => position % 30)], corrupted = [clean[1], .. clean[1..]];
        var pair = new PromptPair(Prompt.Of(clean), Prompt.Of(corrupted), Answer.Of(1), Answer.Of(2));
        var request = new SweepRequest { Model = "deep", Pairs = [.. Enumerable.Repeat(pair, 900)], Receivers = [Receiver.Logits], Senders = Senders.All, Positions = Positions.Each };
        var refused = await Assert.ThrowsAsync<InvalidInputException>(() => PlanAsync(request));
        Assert.Equal(
            "MLPs and the embedding send from 24,600 places, on 900 pairs more than 20,000,000 runs: choose 813 pairs (count, pairIndices), or positions that are not each in turn.",
            Assert.Single(refused.Faults).Message);
        await PlanAsync(request with { PairIndices = [.. Enumerable.Range(0, 813)] });

        Task<PlannedSweep> PlanAsync(SweepRequest one) => SweepPlanner.PlanAsync(one, DateTimeOffset.UnixEpoch, new ModelCatalog(_folder["models"]), FaultPlaces.JsonPaths, Stop);
    }

    public void Dispose() => _folder.Dispose();

    private InProcessEngine Engine(string store) => new(new LocalArtifactStore(_folder[store]), new ModelCatalog(), reports: []);

    private async Task<SweepResult> SweepAsync(SweepRequest request)
    {
        await using InProcessEngine engine = Engine("store");
        string id = SweepIds.New();
        SweepStatus status = await engine.RunAsync(id, request, Stop);
        Assert.True(status.Status == SweepState.Completed, status.Error?.Message);
        return await ResultAsync("store", id);
    }

    private async Task<SweepResult> ResultAsync(string store, string id) =>
        await new LocalArtifactStore(_folder[store]).RequireJsonAsync<SweepResult>(SweepArtifacts.Result(id, ResultJson.File.Name), Stop);

    /// <summary>The findings, less the sweep's id.</summary>
    private static string Comparable(SweepResult result) => System.Text.Json.JsonSerializer.Serialize(
        new SetFindings(result.PatchSets, result.Circuit is null ? null : result.Circuit with { Sweeps = [] }) { Edges = result.Edges }, ResultJson.Compact);

    private sealed class Within(double tolerance) : IEqualityComparer<(double, double, double)>
    {
        public bool Equals((double, double, double) x, (double, double, double) y) =>
            Math.Abs(x.Item1 - y.Item1) < tolerance && Math.Abs(x.Item2 - y.Item2) < tolerance && Math.Abs(x.Item3 - y.Item3) < tolerance;

        public int GetHashCode((double, double, double) obj) => 0;
    }
}
