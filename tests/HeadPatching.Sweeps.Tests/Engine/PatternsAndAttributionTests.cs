using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Patterns;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Testing;
using static TorchSharp.torch;

namespace HeadPatching.Sweeps.Tests.Engine;

/// <summary>What a sweep says beside its effects: where the strongest heads look, and what heads add directly.</summary>
public sealed class PatternsAndAttributionTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly List<FinishedSweep> _reported = [];

    public PatternsAndAttributionTests()
    {
        RandomModelFolder.Write(_folder["models/small"], layers: 2, heads: 4, width: 32, vocabulary: 60, context: 16, seed: 5);
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private static SweepRequest Request => SmallSweeps.Request();

    [Fact]
    public async Task Attributions_are_those_of_the_sweep_in_memory_and_add_up_to_the_clean_metric()
    {
        SweepResult result = await ResultAsync(Request);

        DirectLogitAttribution direct = result.DirectLogitAttribution!;
        using Transformer model = ModelFolder.Load(_folder["models/small"], ScalarType.Float64, CPU);
        IReadOnlyList<TokenPair> pairs = SmallSweeps.Pairs(result);
        SweepRuns inMemory = InMemorySweep.Run(model, pairs, new PatchOptions(), new LogitDifference(), MemoryBudget.Default);
        Assert.Equal(result.CleanMetric!.Value, direct.Total!.Value, 1e-9);
        Assert.All(result.Heads, head => Assert.Equal(inMemory.Attribution!.Over(pairs.Count).Heads[head.Layer][head.Head!.Value], head.DirectLogitAttribution!.Value, 1e-9));
    }

    /// <summary>Activations that a sweep of another metric left are not run again for it: they are read.</summary>
    [Fact]
    public async Task Attributions_are_made_where_the_activations_were_there_already_and_where_theirs_are_torn()
    {
        SweepResult expected = await ResultAsync(Request);
        Directory.Delete(_folder["store"], recursive: true);
        Assert.Null((await ResultAsync(Request with { Metric = Metric.Probability })).DirectLogitAttribution!.Heads);
        Assert.False(Directory.Exists(_folder["store/attributions"]));

        SweepStatus status = await RunAsync(Request);
        Assert.Equal(0, status.Progress.ForwardPasses);
        Assert.Equal(expected.DirectLogitAttribution!.Heads, (await ResultAsync(status)).DirectLogitAttribution!.Heads);

        File.WriteAllText(Directory.GetFiles(_folder["store/attributions"])[0], "{");
        status = await RunAsync(Request with { Threshold = 0.5 });
        Assert.Equal((0, 0L), (status.Progress.ForwardPasses, status.Progress.PatchedRuns));
        Assert.Equal(expected.DirectLogitAttribution!.Heads, (await ResultAsync(status)).DirectLogitAttribution!.Heads);
    }

    [Fact]
    public async Task A_report_has_the_patterns_of_the_strongest_heads_as_the_model_has_them()
    {
        SweepResult result = await ResultAsync(Request);

        FinishedSweep reported = Assert.Single(_reported);
        string[] strongest = [.. result.Heads.OrderByDescending(head => Math.Abs(head.PatchingEffect)).Take(8).Select(head => head.Name)];
        Assert.Equal([0, 1, 2, 3], reported.Patterns.Select(one => one.Pair.Index));
        Assert.All(reported.Patterns, one => Assert.Equal(strongest, one.Heads.Select(head => head.Name())));
        using Transformer model = ModelFolder.Load(_folder["models/small"], ScalarType.Float64, CPU);
        PairPatterns second = reported.Patterns[1];
        HeadPattern expected = Assert.Single(AttentionPatterns.Of(model, second.Pair, [(second.Heads[0].Layer, second.Heads[0].Head)]));
        Assert.Equal(expected.Clean, second.Heads[0].Clean);
        Assert.Equal(expected.Corrupted, second.Heads[0].Corrupted);
        Assert.False(File.Exists(_folder[$"store/{SweepArtifacts.Assembled(result.SweepId)}"]));
    }

    [Fact]
    public async Task Another_view_of_the_sweep_finds_the_same_patterns_by_their_content()
    {
        await ResultAsync(Request);
        var store = new WatchedStore(new LocalArtifactStore(_folder["store"]));
        await using InProcessEngine engine = Engine(store);

        Assert.Equal(SweepState.Completed, (await engine.RunAsync(SweepIds.New(), Request with { Threshold = 0.5 }, Stop)).Status);

        Assert.Equivalent(_reported[0].Patterns, _reported[1].Patterns);
        Assert.DoesNotContain(store.Written, name => name.StartsWith("patterns/", StringComparison.Ordinal) || name.StartsWith("attributions/", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Any_head_s_patterns_are_found_while_the_model_is_there_and_afterwards_those_that_are_stored()
    {
        SweepResult result = await ResultAsync(Request);
        string id = result.SweepId;
        await using (InProcessEngine engine = Engine())
        {
            PairPatterns found = await engine.Patterns.FindAsync(id, "L1H3", 13, Stop);
            using Transformer model = ModelFolder.Load(_folder["models/small"], ScalarType.Float64, CPU);
            Assert.Equal(Assert.Single(AttentionPatterns.Of(model, SmallSweeps.Pairs(result)[13], [(1, 3)])).Clean, Assert.Single(found.Heads).Clean);

            Assert.Contains("L0H0 to L1H3", await FaultAsync(() => engine.Patterns.FindAsync(id, "L2H0", 0, Stop)), StringComparison.Ordinal);
            Assert.Contains("no pair 15", await FaultAsync(() => engine.Patterns.FindAsync(id, "L0H0", 15, Stop)), StringComparison.Ordinal);
        }

        Directory.Delete(_folder["models/small"], recursive: true);
        await using InProcessEngine later = Engine();
        Assert.NotNull(await later.Patterns.FindAsync(id, "L1H3", 13, Stop));
        Assert.NotNull(await later.Patterns.FindAsync(id, "L0H1", 2, Stop)); // all of its eight heads are among the report's
        Assert.Contains("'small'", (await Assert.ThrowsAsync<ModelUnavailableException>(() => later.Patterns.FindAsync(id, "L1H2", 13, Stop))).Message, StringComparison.Ordinal);
        Assert.Equal(Removal.Deleted, await later.RemoveAsync(id));

        static async Task<string> FaultAsync(Func<Task> call) => Assert.Single((await Assert.ThrowsAsync<InvalidInputException>(call)).Faults).Message;
    }

    [Fact]
    public async Task Layers_as_a_whole_have_no_patterns()
    {
        await ResultAsync(Request with { Patch = Patch.AttnOut });
        Assert.Empty(Assert.Single(_reported).Patterns);
        Assert.False(Directory.Exists(_folder["store/patterns"]));
    }

    /// <summary>A process that ends between assembling and its report: what was assembled is there, and is finished.</summary>
    [Fact]
    public async Task A_sweep_that_stops_before_its_patterns_goes_on_from_what_was_assembled()
    {
        SweepResult expected = await ResultAsync(Request);
        Directory.Delete(_folder["store"], recursive: true);
        string id = SweepIds.New();
        var store = new WatchedStore(new LocalArtifactStore(_folder["store"]))
        {
            Before = name =>
            {
                if (name.EndsWith("patterns.json", StringComparison.Ordinal) && File.Exists(_folder[$"store/{SweepArtifacts.Assembled(id)}"]))
                {
                    throw new InvalidOperationException("The process ends here.");
                }
            },
        };
        await using (InProcessEngine engine = Engine(store))
        {
            Assert.Equal(SweepState.Failed, (await engine.RunAsync(id, Request, Stop)).Status);
        }

        Assert.True(File.Exists(_folder[$"store/{SweepArtifacts.Assembled(id)}"]));
        store.Before = _ => { };
        await using InProcessEngine again = Engine(store);
        SweepStatus status = await again.RunAsync(id, Request, Stop);
        Assert.Equal((SweepState.Completed, 0L), (status.Status, status.Progress.PatchedRuns));
        Assert.Equal(expected.Heatmap, (await ResultAsync(status)).Heatmap);
        Assert.Equal(2, _reported.Count);
    }

    public void Dispose() => _folder.Dispose();

    private ResultFile Report => new("report.html", "text/html", (sweep, to, _) =>
    {
        _reported.Add(sweep);
        to.WriteByte((byte)'\n');
        return Task.CompletedTask;
    })
    {
        ShowsPatterns = true,
    };

    private InProcessEngine Engine(IArtifactStore? store = null) =>
        new(store ?? new LocalArtifactStore(_folder["store"]), new ModelCatalog(_folder["models"]), [Report], new EngineOptions { Retry = new() { MaxAttempts = 1 } });

    private async Task<SweepStatus> RunAsync(SweepRequest request)
    {
        await using InProcessEngine engine = Engine();
        SweepStatus status = await engine.RunAsync(SweepIds.New(), request, Stop);
        Assert.True(status.Status == SweepState.Completed, status.Error?.Message);
        return status;
    }

    private async Task<SweepResult> ResultAsync(SweepRequest request) => await ResultAsync(await RunAsync(request));

    private async Task<SweepResult> ResultAsync(SweepStatus status) =>
        await new LocalArtifactStore(_folder["store"]).RequireJsonAsync<SweepResult>(SweepArtifacts.Result(status.Id, "results.json"), Stop);
}
