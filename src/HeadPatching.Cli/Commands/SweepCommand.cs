using System.CommandLine;
using HeadPatching.Cli.Terminal;
using HeadPatching.Core.Native;
using HeadPatching.Core.Results;
using HeadPatching.Reports;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;
using Spectre.Console;

namespace HeadPatching.Cli.Commands;

/// <summary><c>headpatch sweep</c>: every head of every layer, patched; the heatmap in the terminal, the files in a folder.</summary>
internal static class SweepCommand
{
    private const string ByEffect = "effect", BySure = "sure";

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
        var rank = new Option<string>("--rank")
        {
            Description = "The order of the ranked table: by |effect|, or by what of it is sure with all heads taken together",
            DefaultValueFactory = _ => ByEffect,
        };
        rank.AcceptOnlyFromAmong(ByEffect, BySure);
        var planOnly = new Option<bool>("--plan") { Description = "Print how the sweep is cut into activities, and what it would cost; run nothing" };
        Option<string[]> models = SeriesCommand.Models();
        var command = new Command("sweep", "Patch every head of every layer and measure how much of the behaviour each carries");
        foreach (Option option in options.All.Concat([models, store, output, force, rank, planOnly, OutputOptions.Json, OutputOptions.Quiet]))
        {
            command.Options.Add(option);
        }

        command.SetAction(async (parsed, cancellation) =>
        {
            LibTorch.Load();
            var (request, places) = options.Read(parsed);
            bool plansOnly = parsed.GetValue(planOnly), json = parsed.GetValue(OutputOptions.Json);
            await using var sweeps = new CommandedSweeps(parsed.GetRequiredValue(store), places, parsed.GetValue(force));
            return parsed.GetValue(models) is { Length: > 0 } several
                ? await SeriesCommand.RunAsync(sweeps, options, parsed, request, several, parsed.GetRequiredValue(output), plansOnly, json, cancellation)
                : await RunAsync(sweeps, request, parsed.GetRequiredValue(output), parsed.GetValue(rank) == BySure ? Ranking.Sure : Ranking.Effect, plansOnly, json, cancellation);
        });
        return command;
    }

    private static async Task<int> RunAsync(CommandedSweeps sweeps, SweepRequest request, string output, Ranking ranking, bool planOnly, bool json, CancellationToken cancellation)
    {
        PlannedSweep plan = await sweeps.PlanAsync(request, cancellation);
        if (planOnly)
        {
            await PlanDisplay.WriteAsync(plan.Header, json, cancellation);
            return ExitCode.Done;
        }

        CommandedSweep sweep = await sweeps.PrepareAsync(request, plan, output, cancellation);
        if (!json)
        {
            AnsiConsole.WriteLine(SweepDisplay.Heading(plan.Header));
        }

        SweepStatus status = await sweeps.RunAsync(sweep, cancellation);
        if (status.Status != SweepState.Completed)
        {
            return await CommandedSweeps.SayWhyAsync(status);
        }

        if (status.Progress.TasksReused > 0)
        {
            Notes.Say(FormattableString.Invariant($"{status.Progress.TasksReused} of {status.Progress.TasksTotal} stored runs were there from an earlier sweep."));
        }

        var (result, files) = await sweeps.TakeAsync(sweep, cancellation);
        if (json)
        {
            await using FileStream results = File.OpenRead(files[0]);
            await JsonOutput.CopyAsync(results, cancellation);
        }
        else
        {
            Show(result, request.Top, ranking, files);
        }

        return ExitCode.Done;
    }

    private static void Show(SweepResult result, int top, Ranking ranking, IReadOnlyList<string> files)
    {
        HeatmapTable heatmap = HeatmapTable.Of(result);
        AnsiConsole.WriteLine();
        AnsiConsole.Write(new TerminalHeatmap(heatmap));
        AnsiConsole.Write(RankedTable.Of(result.Heads, top, result.Threshold, ranking));
        foreach (string warning in result.Warnings)
        {
            AnsiConsole.MarkupLineInterpolated($"[yellow]Warning: {warning}[/]");
        }

        string important = result.ImportantHeads.Count == 0 ? "none" : string.Join(", ", result.ImportantHeads.Select(head => head.Name));
        AnsiConsole.WriteLine(FormattableString.Invariant($"{char.ToUpperInvariant(heatmap.Unit[0])}{heatmap.Unit[1..]}s above {result.Threshold}{(result.Heads.Any(head => head.ConfidenceInterval is not null) ? ", intervals without 0" : "")}: {important}"));
        if (result.JointIntervals is not null)
        {
            AnsiConsole.WriteLine(FormattableString.Invariant(
                $"Of these, all {result.Heads.Count} {heatmap.Unit}s taken together: {result.ImportantHeads.Count(head => head.ExcludesZero == true)} surely not 0, {result.ImportantHeads.Count(head => head.ExcludesThreshold == true)} surely above {result.Threshold}"));
        }

        if (result.Adaptive is { } adaptive)
        {
            AnsiConsole.WriteLine(FormattableString.Invariant(
                $"Decided: {adaptive.Above} above {result.Threshold}, {adaptive.Below} not, {adaptive.Undecided} left open, by {adaptive.Runs:N0} of {adaptive.RunsOfExact:N0} runs ({100.0 * adaptive.Runs / Math.Max(1, adaptive.RunsOfExact):0.#} %) in {adaptive.Rounds} rounds. In {100 * adaptive.Confidence:0.##} of 100 such sweeps every interval holds the effect over these pairs."));
        }

        double clean = result.CleanMetric ?? result.Pairs.Average(pair => pair.CleanMetric); // of an earlier version, which had every pair
        double corrupted = result.CorruptedMetric ?? result.Pairs.Average(pair => pair.CorruptedMetric);
        AnsiConsole.WriteLine(FormattableString.Invariant(
            $"Clean metric {clean:G4}, corrupted {corrupted:G4} ({result.Metric}, mean of {result.Dataset.Pairs} pairs)"));
        AnsiConsole.WriteLine($"Effect = {result.Normalisation}");
        AnsiConsole.WriteLine();
        if (result is { Senders: not null, Receivers: not null })
        {
            AnsiConsole.Write(SetsTable.OfSenders(result.Senders, result.Receivers));
        }

        if (result.PatchSets is not null)
        {
            AnsiConsole.Write(SetsTable.Of(result.PatchSets));
        }

        if (result.Edges is not null)
        {
            AnsiConsole.Write(EdgesTable.Of(result.Edges, top));
        }

        if (result.Circuit is not null)
        {
            ProofDisplay.Write(result.Circuit);
            AnsiConsole.WriteLine();
        }

        foreach (string file in files)
        {
            // Paths are not wrapped: they are for copying.
            Console.WriteLine(Path.GetRelativePath(Environment.CurrentDirectory, file));
        }
    }
}
