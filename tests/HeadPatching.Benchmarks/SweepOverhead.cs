using System.Diagnostics;
using System.Text.Json;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Reports;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using static TorchSharp.torch;

namespace HeadPatching.Benchmarks;

/// <summary>What engine and store cost: a sweep as the command line makes it, planning and files included, against the same runs in memory.</summary>
internal static class SweepOverhead
{
    public static async Task<int> RunAsync(string folder, int count, CancellationToken cancellation)
    {
        string store = Path.Combine(Path.GetTempPath(), $"headpatch-overhead-{Guid.NewGuid():n}");
        try
        {
            return await RunAsync(Path.GetFullPath(folder), count, store, cancellation);
        }
        finally
        {
            if (Directory.Exists(store))
            {
                Directory.Delete(store, recursive: true);
            }
        }
    }

    private static async Task<int> RunAsync(string folder, int count, string storeFolder, CancellationToken cancellation)
    {
        var request = new SweepRequest { Model = folder, Dataset = "ioi-generated", Count = count, Device = "cpu" };
        var catalog = new ModelCatalog(foldersToo: true);
        double inMemorySeconds = InMemory(folder, request, cancellation);

        long started = Stopwatch.GetTimestamp();
        var store = new LocalArtifactStore(storeFolder);
        PlannedSweep plan = await SweepPlanner.PlanAsync(request, TimeProvider.System.GetUtcNow(), catalog, FaultPlaces.JsonPaths, cancellation);
        string id = SweepIds.OfContent(plan);
        await new StoredPlans(store, catalog).WriteAsync(id, plan, cancellation);
        SweepStatus status;
        await using (var engine = new InProcessEngine(store, catalog, ReportFiles.All))
        {
            status = await engine.RunAsync(id, request, cancellation);
        }

        double sweepSeconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        if (status.Status != SweepState.Completed)
        {
            Console.Error.WriteLine(status.Error?.Message);
            return 1;
        }

        SweepTimings timings = (await store.RequireJsonAsync<SweepResult>(SweepArtifacts.Result(id, "results.json"), cancellation)).Timings;
        Console.WriteLine(JsonSerializer.Serialize(new
        {
            pairs = count,
            inMemorySeconds = Math.Round(inMemorySeconds, 2),
            sweepSeconds = Math.Round(sweepSeconds, 2),
            ratio = Math.Round(sweepSeconds / inMemorySeconds, 3),
            activities = plan.Header.Activities,
            bytesWritten = timings.BytesWritten,
            bytesRead = timings.BytesRead,
        }));
        return 0;
    }

    private static double InMemory(string folder, SweepRequest request, CancellationToken cancellation)
    {
        using Transformer model = ModelFolder.Load(folder, Dtypes.Parse(request.Dtype), CPU);
        TextTokenizer? tokenizer = TextTokenizer.Load(folder);
        IReadOnlyList<TokenPair> pairs = SweepPlanner.Tokenize(
            request, SweepPlanner.Pairs(request, model.Config, tokenizer, FaultPlaces.JsonPaths), model.Config, tokenizer, FaultPlaces.JsonPaths, cancellation).Pairs;
        InMemorySweep.Run(model, [.. pairs.Take(8)], request.PatchOptions(), new LogitDifference(), SweepPlanner.Budget(request), cancellation: cancellation);
        long started = Stopwatch.GetTimestamp();
        InMemorySweep.Run(model, pairs, request.PatchOptions(), new LogitDifference(), SweepPlanner.Budget(request), cancellation: cancellation);
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }
}
