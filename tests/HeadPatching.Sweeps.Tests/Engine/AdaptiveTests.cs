using HeadPatching.Core.Adaptive;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Testing;

namespace HeadPatching.Sweeps.Tests.Engine;

/// <summary>Adaptive sweeps as durable work: what they decide, what they share with exact ones, and that nothing of it is lost.</summary>
public sealed class AdaptiveTests : IDisposable
{
    private static readonly SweepRequest Asked = new() { Dataset = "ioi-generated", Count = 90, Dtype = "float64", Method = Method.Adaptive, Seed = 3 };

    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public static TheoryData<SweepRequest> Kinds { get; } = new()
    {
        Asked,
        Asked with { Patch = Patch.Q, Direction = Direction.Noise, Confidence = 0.9, Threshold = 0.05 },
        Asked with { Patch = Patch.Pattern, Positions = Positions.One(-1) },
        Asked with { Patch = Patch.MlpOut, Positions = Positions.AtRole("S2"), Aggregation = Aggregation.MeanOfRatios },
        Asked with { Metric = Metric.Rank },
        Asked with { Ablation = Ablation.Mean, Width = 0.2 },
    };

    /// <summary>The same state machine, given every effect of an exact sweep and of an attribution in other folders.</summary>
    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task It_runs_what_the_decisions_take_and_decides_as_all_runs_at_hand_do(SweepRequest asked)
    {
        SweepRequest plain = asked with { Method = Method.Exact, Confidence = null, Width = null };
        SweepResult exact = await SweepAsync("exact", plain);
        SweepResult? estimate = asked.EstimatedFrom() is not null ? await SweepAsync("exact", plain with { Method = Method.Attribution }) : null;
        SweepResult result = await SweepAsync("adaptive", asked);

        int units = exact.Heatmap[0].Length, heads = exact.Heads.Count;
        AdaptivePopulation population = AdaptivePopulation.Of(
            asked.Aggregation, [.. exact.Pairs.Select((pair, place) => (place, new Baseline(pair.CleanMetric, pair.CorruptedMetric)))], heads);
        HashSet<int> certain = [.. population.Certain.Select(place => population.Indices[place])];
        population = population with
        {
            Estimates = estimate is null ? null : [.. Enumerable.Range(0, heads).Select(head => EstimateSpread.Of(
                [.. population.Indices.Where(place => !certain.Contains(place)).Select(place => EffectOf(estimate, place, head))]))],
        };
        var machine = new AdaptiveSweep(population, asked.AdaptiveOptions()!);
        var drawn = new Dictionary<int, IReadOnlyList<int>>();
        while (machine.Next is AdaptiveRound next)
        {
            machine.Take(
            [
                .. next.Pairs.Select(pair => population.Indices[pair]).Select(place => new PairEffects(
                    [.. next.Heads.Select(head => EffectOf(exact, place, head))],
                    estimate is null ? null : [.. next.Heads.Select(head => EffectOf(estimate, place, head))])),
            ]);
            foreach (int pair in next.Pairs)
            {
                drawn[population.Indices[pair]] = next.Heads;
            }
        }

        Assert.Equal((Method.Adaptive, machine.Rounds, machine.Runs), (result.Method, result.Adaptive!.Rounds, result.Adaptive.Runs));
        Assert.Equal((long)heads * machine.Pairs, result.Adaptive.RunsOfExact);
        Assert.True(result.Adaptive.Runs < result.Adaptive.RunsOfExact, $"{result.Adaptive}");
        foreach (var (index, head) in result.Heads.Index())
        {
            AdaptiveHead expected = machine.Heads[index];
            Assert.Equal((expected.Decision, expected.Pairs), (head.Decision!.Value, head.PairsRun!.Value));
            Assert.Equal(expected.Effect, head.PatchingEffect, 1e-9);
            Assert.Equal(expected.Interval!.Value.Low, head.AnytimeInterval!.Value.Low, 1e-7);
            Assert.Equal(expected.Interval!.Value.High, head.AnytimeInterval!.Value.High, 1e-7);
            Assert.Equal(head.PatchingEffect, result.Heatmap[index / units][index % units]);
            if (head.Decision != Decision.Undecided)
            {
                Assert.Equal(Math.Abs(exact.Heads[index].PatchingEffect) > asked.Threshold, head.Decision == Decision.Above);
            }

            Assert.Equal(estimate is null ? 0 : estimate.Heads[index].PatchingEffect, head.EstimatedEffect ?? 0, 1e-12);
        }

        Assert.Equal(
            result.Heads.Where(head => head.Decision == Decision.Above).OrderByDescending(head => Math.Abs(head.PatchingEffect)).Select(head => head.Name),
            result.ImportantHeads.Select(head => head.Name));
        foreach (var (place, pair) in result.Pairs.Index())
        {
            Assert.Null(pair.PatchedMetric);
            string[] ran = [.. drawn.TryGetValue(place, out IReadOnlyList<int>? some) ? some.Select(head => exact.Heads[head].Name) : []];
            Assert.Equal(ran, pair.Runs?.Select(run => run.Head) ?? []);
            Assert.All(pair.Runs ?? [], run => Assert.Equal(
                EffectOf(exact, place, exact.Heads.Index().First(head => head.Item.Name == run.Head).Index), run.PatchingEffect, 1e-9));
        }
    }

    [Fact]
    public async Task An_exact_sweep_afterwards_runs_what_was_not_run_and_an_adaptive_one_after_it_runs_nothing()
    {
        SweepRequest plain = Asked with { Method = Method.Exact };
        SweepResult fresh = await SweepAsync("fresh", plain);
        SweepResult adaptive = await SweepAsync("store", Asked);
        SweepResult other = await SweepAsync("store", Asked with { Threshold = 0.02, Confidence = 0.99 });
        Assert.True(other.Adaptive!.Runs > adaptive.Adaptive!.Runs);
        SweepStatus exact = await RunAsync("store", plain);
        SweepResult after = await ResultAsync("store", exact.Id);
        Assert.Equal(fresh.Heads.Select(head => head.PatchingEffect), after.Heads.Select(head => head.PatchingEffect), (one, two) => Math.Abs(one - two) < 1e-9);
        Assert.Equal(Cells(fresh), Cells(after), (one, two) => Math.Abs(one - two) < 1e-9);

        // Of the runs that the fresh one made, those of both adaptive ones are not made again.
        HashSet<(int, string)> drawn = [.. new[] { adaptive, other }.SelectMany(result => result.Pairs).SelectMany(pair => (pair.Runs ?? []).Select(run => (pair.Index, run.Head)))];
        Assert.Equal(fresh.Timings.PatchedRuns - drawn.Count, exact.Progress.PatchedRuns);

        SweepStatus again = await RunAsync("store", Asked with { Threshold = 0.3 });
        Assert.Equal(0, again.Progress.PatchedRuns);
        SweepResult third = await ResultAsync("store", again.Id);
        Assert.True(third.Adaptive!.Runs > 0);
        Assert.All(third.Heads, head => Assert.Equal(Math.Abs(fresh.Heads.Single(one => one.Name == head.Name).PatchingEffect) > 0.3, head.Decision == Decision.Above));

        static IEnumerable<double> Cells(SweepResult result) => result.Pairs.SelectMany(pair => pair.PatchedMetric!).SelectMany(layer => layer);
    }

    [Fact]
    public async Task Whenever_it_is_stopped_it_goes_on_where_it_was_and_decides_the_same()
    {
        SweepResult whole = await SweepAsync("whole", Asked);
        Assert.True(whole.Adaptive!.Rounds > 3, $"It took {whole.Adaptive.Rounds} rounds.");
        for (int round = 0; round < whole.Adaptive.Rounds; round++)
        {
            string store = $"stopped-{round}", id = SweepIds.New();
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(Stop);
            await using (InProcessEngine engine = Engine(store))
            {
                engine.Changed += status =>
                {
                    if (status.Progress.HeadsTotal > 0 && status.Progress.Rounds == round)
                    {
                        stop.Cancel();
                    }
                };
                await Assert.ThrowsAnyAsync<OperationCanceledException>(() => engine.RunAsync(id, Asked, stop.Token));
            }

            await using InProcessEngine next = Engine(store);
            SweepStatus status = await next.RunAsync(id, Asked, Stop);
            Assert.Equal(SweepState.Completed, status.Status);
            Assert.Equal((whole.Heads.Count, whole.Adaptive.Runs, whole.Adaptive.RunsOfExact), (status.Progress.HeadsDecided, status.Progress.RunsMade, status.Progress.RunsOfExact));
            Assert.Equal(Comparable(whole), Comparable(await ResultAsync(store, id)));
        }
    }

    public static TheoryData<string> Losses { get; } = ["drawn/", "runs/", "adaptive/population.json", "adaptive/000.json", "adaptive/001-taken.json", "adaptive/", "activations/", "/parts/", "plan.json", "results.json"];

    [Theory]
    [MemberData(nameof(Losses))]
    public async Task Whatever_of_it_is_lost_or_torn_it_decides_the_same(string lost)
    {
        SweepStatus first = await RunAsync("store", Asked);
        SweepResult result = await ResultAsync("store", first.Id);
        foreach (bool tear in new[] { true, false })
        {
            if (tear && lost == "results.json")
            {
                continue; // is written once and forced onto the disk: what is damaged there is said
            }

            foreach (string file in Directory.GetFiles(_folder["store"], "*", SearchOption.AllDirectories).Where(file => file.Replace('\\', '/').Contains(lost, StringComparison.Ordinal)).ToArray())
            {
                byte[] bytes = await File.ReadAllBytesAsync(file, Stop);
                File.Delete(file);
                if (tear)
                {
                    await File.WriteAllBytesAsync(file, bytes[..(bytes.Length / 2)], Stop);
                }
            }

            File.Delete(_folder[$"store/sweeps/{first.Id}/results.json"]);
            SweepStatus again = await RunAsync("store", Asked, first.Id);
            Assert.Equal(SweepState.Completed, again.Status);
            Assert.Equal(Comparable(result), Comparable(await ResultAsync("store", first.Id)));
        }
    }

    [Fact]
    public async Task What_an_adaptive_sweep_refers_to_is_not_pruned_and_the_rest_is()
    {
        SweepStatus kept = await RunAsync("store", Asked), dropped = await RunAsync("store", Asked with { Patch = Patch.Q });
        var store = new LocalArtifactStore(_folder["store"]);
        var plans = new StoredPlans(store, new ModelCatalog());
        Assert.Empty(await StorePruning.UnusedAsync(store, plans, DateTimeOffset.MaxValue, Stop));
        await store.DeletePrefixAsync(SweepArtifacts.Folder(dropped.Id), Stop);
        IReadOnlyList<ArtifactInfo> unused = await StorePruning.UnusedAsync(store, plans, DateTimeOffset.MaxValue, Stop);
        Assert.Contains(unused, artifact => artifact.Name.StartsWith("drawn/", StringComparison.Ordinal));
        foreach (ArtifactInfo artifact in unused)
        {
            await store.DeleteAsync(artifact.Name, Stop);
        }

        File.Delete(_folder[$"store/sweeps/{kept.Id}/results.json"]);
        Assert.Equal(0, (await RunAsync("store", Asked, kept.Id)).Progress.PatchedRuns);
    }

    [Fact]
    public async Task Where_no_pair_has_an_effect_nothing_is_run()
    {
        SweepRequest request = SmallSweeps.Request() with { Metric = Metric.Rank };
        using var sweeps = new SmallSweeps();
        SweepResult all = await sweeps.SweepAsync(request);
        int[] alike = [.. all.Pairs.Where(pair => pair.CleanMetric == pair.CorruptedMetric).Select(pair => pair.Index)];
        Assert.NotEmpty(alike);
        SweepResult result = await sweeps.SweepAsync(request with { Method = Method.Adaptive, PairIndices = alike });
        Assert.All(result.Heads, head => Assert.Equal(0, head.PatchingEffect));
        Assert.Equal(0, result.Timings.PatchedRuns);
    }

    public static TheoryData<SweepRequest, string> Refused { get; } = new()
    {
        { Asked with { Positions = Positions.Each }, "method: The method adaptive decides one effect a head; positions is each." },
        { Asked with { Aggregation = Aggregation.RatioOfMeans }, "method: The method adaptive takes the mean of the pairs' effects" },
        { Asked with { Receivers = [Receiver.Logits] }, "method: The method adaptive decides heads, not paths." },
        { Asked with { Circuit = CircuitOf.Heads }, "method: A circuit is looked for among heads that were run on the same pairs" },
        { Asked with { Confidence = 1 }, "confidence: A confidence is between 0 and 1." },
        { Asked with { Method = Method.Exact, Confidence = 0.9 }, "confidence: Only the method adaptive" },
        { Asked with { Method = Method.Screen, Width = 0.1 }, "width: Only the method adaptive" },
        { Asked with { Metric = Metric.Rank, Gradient = Core.Patching.Attribution.Gradient.Plain }, "gradient: There are no estimates here" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public async Task What_cannot_be_decided_is_refused_with_the_reason(SweepRequest request, string reason)
    {
        var refused = await Assert.ThrowsAsync<Core.Faults.InvalidInputException>(() => SweepPlanner.PlanAsync(request, DateTimeOffset.UnixEpoch, new ModelCatalog(), FaultPlaces.JsonPaths, Stop));
        Assert.Contains(reason, string.Join('\n', refused.Faults), StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    private static double EffectOf(SweepResult of, int place, int head) => of.Pairs[place].PatchingEffect![head / of.Heatmap[0].Length][head % of.Heatmap[0].Length];

    private InProcessEngine Engine(string store) => new(new LocalArtifactStore(_folder[store]), new ModelCatalog(), reports: []);

    private async Task<SweepStatus> RunAsync(string store, SweepRequest request, string? id = null)
    {
        await using InProcessEngine engine = Engine(store);
        SweepStatus status = await engine.RunAsync(id ?? SweepIds.New(), request, Stop);
        Assert.True(status.Status == SweepState.Completed, status.Error?.Message);
        return status;
    }

    private async Task<SweepResult> SweepAsync(string store, SweepRequest request) => await ResultAsync(store, (await RunAsync(store, request)).Id);

    private async Task<SweepResult> ResultAsync(string store, string id) =>
        await new LocalArtifactStore(_folder[store]).RequireJsonAsync<SweepResult>(SweepArtifacts.Result(id, ResultJson.File.Name), Stop);

    /// <summary>What was decided, and by which runs.</summary>
    private static string Comparable(SweepResult result) =>
        System.Text.Json.JsonSerializer.Serialize(new { result.Adaptive, result.Heads, Runs = result.Pairs.Select(pair => pair.Runs) }, ResultJson.Compact);
}
