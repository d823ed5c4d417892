using System.CommandLine;
using HeadPatching.Azure;
using HeadPatching.Cli.Terminal;
using HeadPatching.Core.Native;
using HeadPatching.Core.Results;
using HeadPatching.Reports;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Engine.Stored;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using Spectre.Console;

namespace HeadPatching.Cli.Commands;

/// <summary><c>headpatch sweep</c>: every head of every layer, patched; the heatmap in the terminal, the files in a folder.</summary>
internal static class SweepCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        RequestOptions options = RequestOptions.Every();
        var store = StoreOption.WithDefault("Where activations and finished layers are kept", "store");
        var output = new Option<string>("--out")
        {
            Description = "The folder for results.json, tables (heads.csv, heatmap.csv, effects.parquet), pictures and report.html",
            HelpName = "FOLDER",
            DefaultValueFactory = _ => "headpatch-out",
        };
        var force = new Option<bool>("--force") { Description = "Write over another sweep's results in that folder" };
        var planOnly = new Option<bool>("--plan") { Description = "Print how the sweep is cut into activities, and what it would cost; run nothing" };
        var command = new Command("sweep", "Patch every head of every layer and measure how much of the behaviour each carries");
        foreach (Option option in options.All.Concat([store, output, force, planOnly, OutputOptions.Json, OutputOptions.Quiet]))
        {
            command.Options.Add(option);
        }

        command.SetAction((parsed, cancellation) => RunAsync(
            options,
            parsed,
            parsed.GetRequiredValue(store),
            parsed.GetRequiredValue(output),
            parsed.GetValue(force),
            parsed.GetValue(planOnly),
            parsed.GetValue(OutputOptions.Json),
            cancellation));
        return command;
    }

    private static async Task<int> RunAsync(
        RequestOptions options, ParseResult parsed, string location, string output, bool force, bool planOnly, bool json, CancellationToken cancellation)
    {
        LibTorch.Load();
        var (request, places) = options.Read(parsed);
        IArtifactStore store = ArtifactStores.Open(location);
        var catalog = new ModelCatalog(DefaultFolders.Models, foldersToo: true, new StoredModels(store, new ModelCache()), DefaultFolders.HuggingFace);
        var plans = new StoredPlans(store, catalog);
        PlannedSweep plan = await Notes.WhileAsync(
            "reading the model and the prompts", () => plans.PlanAsync(request, TimeProvider.System.GetUtcNow(), places, cancellation));
        LeftOutPairs.Say(plan.Header.LeftOutCount, plan.Header.LeftOut);
        if (planOnly)
        {
            await PlanDisplay.WriteAsync(plan.Header, json, cancellation);
            return ExitCode.Done;
        }

        string id = SweepIds.OfContent(plan);
        OutFolder folder = OutFolder.Open(output, id, force);
        await store.CheckAsync(cancellation);

        await plans.WriteAsync(id, plan, cancellation); // as it is: the engine need not plan again
        await using var engine = new InProcessEngine(store, catalog, ReportFiles.All);
        if (await engine.FindOwnerAsync(id, cancellation) is SweepOwner owner)
        {
            Notes.Say($"The same sweep runs already, in process {owner.ProcessId} on {owner.Machine}. It is followed to its end there; if that process ends, the sweep goes on here.");
        }

        if (!json)
        {
            AnsiConsole.WriteLine(SweepDisplay.Heading(plan.Header));
        }

        SweepStatus status;
        try
        {
            status = await SweepDisplay.RunAsync(engine, plan.Header, () => engine.RunAsync(id, request, cancellation));
        }
        catch (OperationCanceledException)
        {
            Notes.Say($"Stopped. Finished runs and activations are kept in {(store.IsRemote ? "the store" : Path.GetFullPath(location))}.");
            throw;
        }

        if (status.Status != SweepState.Completed)
        {
            foreach (string line in status.Error!.Faults.Count > 0 ? status.Error.Faults.Select(fault => fault.ToString()) : [status.Error.Message])
            {
                await Console.Error.WriteLineAsync(line);
            }

            return status.Error.Faults.Count > 0 ? ExitCode.BadInput : ExitCode.Failed;
        }

        if (status.Progress.TasksReused > 0)
        {
            Notes.Say(FormattableString.Invariant($"{status.Progress.TasksReused} of {status.Progress.TasksTotal} stored runs were there from an earlier sweep."));
        }

        IReadOnlyList<string> files = await folder.TakeAsync(store, cancellation);
        await using FileStream results = File.OpenRead(files[0]);
        if (json)
        {
            await JsonOutput.CopyAsync(results, cancellation);
        }
        else
        {
            Show(await ResultJson.ReadAsync(results, files[0], cancellation), request.Top, files);
        }

        return ExitCode.Done;
    }

    private static void Show(SweepResult result, int top, IReadOnlyList<string> files)
    {
        HeatmapTable heatmap = HeatmapTable.Of(result);
        AnsiConsole.WriteLine();
        AnsiConsole.Write(new TerminalHeatmap(heatmap));
        AnsiConsole.Write(RankedTable.Of(result.Heads, top));
        foreach (string warning in result.Warnings)
        {
            AnsiConsole.MarkupLineInterpolated($"[yellow]Warning: {warning}[/]");
        }

        string important = result.ImportantHeads.Count == 0 ? "none" : string.Join(", ", result.ImportantHeads.Select(head => head.Name));
        AnsiConsole.WriteLine(FormattableString.Invariant($"{char.ToUpperInvariant(heatmap.Unit[0])}{heatmap.Unit[1..]}s above {result.Threshold}{(result.Heads.Any(head => head.ConfidenceInterval is not null) ? ", intervals without 0" : "")}: {important}"));
        double clean = result.CleanMetric ?? result.Pairs.Average(pair => pair.CleanMetric); // of an earlier version, which had every pair
        double corrupted = result.CorruptedMetric ?? result.Pairs.Average(pair => pair.CorruptedMetric);
        AnsiConsole.WriteLine(FormattableString.Invariant(
            $"Clean metric {clean:G4}, corrupted {corrupted:G4} ({result.Metric}, mean of {result.Dataset.Pairs} pairs)"));
        AnsiConsole.WriteLine($"Effect = {result.Normalisation}");
        AnsiConsole.WriteLine();
        foreach (string file in files)
        {
            // Paths are not wrapped: they are for copying.
            Console.WriteLine(Path.GetRelativePath(Environment.CurrentDirectory, file));
        }
    }
}
