using System.CommandLine;
using HeadPatching.Cli.Terminal;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.Series;
using HeadPatching.Reports.Series;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;
using Spectre.Console;

namespace HeadPatching.Cli.Commands;

/// <summary>
/// <c>headpatch sweep --models</c>: the same sweep of several models or checkpoints, one after another in one store, each with its own files, and
/// a series of all of them.
/// </summary>
internal static class SeriesCommand
{
    private const string Flag = "--models";

    /// <summary>The option.</summary>
    public static Option<string[]> Models() => new(Flag)
    {
        Description = "Several models or checkpoints, swept one after another: names, folders, or folders with * in their names (every one that is a model); each has its files in OUT/NAME, and series.html is of all",
        HelpName = "FOLDER/*",
        AllowMultipleArgumentsPerToken = true,
    };

    /// <summary>Plans all of them, so that every fault is known before anything is run; then runs them.</summary>
    public static async Task<int> RunAsync(
        CommandedSweeps sweeps, RequestOptions options, ParseResult parsed, SweepRequest request, IReadOnlyList<string> given, string output, bool planOnly, bool json, CancellationToken cancellation)
    {
        if (planOnly && json)
        {
            throw new InvalidInputException(FaultKinds.InvalidOption, "--json", "The plans of several models are text alone: leave out --json, or plan one with --model.");
        }

        if (options.IsSaid(parsed, nameof(SweepRequest.Model)))
        {
            throw new InvalidInputException(FaultKinds.InvalidOption, Flag, "Models are named by --model or by --models, not by both.");
        }

        SeriesModels models = SeriesModels.Find(given);
        foreach (string left in models.LeftOut)
        {
            Notes.Say($"Left out: {left} is no model folder (it has no config.json).");
        }

        var planned = new List<(string Name, CommandedSweep Sweep)>();
        OutFolder? folder = planOnly ? null : OutFolder.Open(output);
        foreach (var (name, model) in models.Found)
        {
            SweepRequest own = request with { Model = model };
            PlannedSweep plan = await PlanAsync(sweeps, name, own, cancellation);
            CheckShape(name, plan.Header, planned);
            if (planOnly)
            {
                await PlanDisplay.WriteAsync(plan.Header, json: false, cancellation);
                continue;
            }

            planned.Add((name, await sweeps.PrepareAsync(own, plan, Path.Combine(output, name), cancellation)));
        }

        if (folder is null)
        {
            return ExitCode.Done;
        }

        var results = new List<(string Name, SweepResult Result)>();
        int reused = 0, total = 0;
        foreach (var (name, sweep) in planned)
        {
            Notes.Say($"{name} ({results.Count + 1} of {planned.Count})");
            SweepStatus status = await sweeps.RunAsync(sweep, cancellation);
            if (status.Status != SweepState.Completed)
            {
                await Console.Error.WriteLineAsync($"{name}:");
                return await CommandedSweeps.SayWhyAsync(status);
            }

            SweepResult result = (await sweeps.TakeAsync(sweep, cancellation)).Result;
            results.Add((name, result with { Pairs = [] })); // of many models the pairs would be much
            reused += result.Timings.RunsReused ?? 0;
            total += result.Timings.Runs ?? 0;
        }

        SweepSeries series = SweepSeries.Of(results);
        IReadOnlyList<string> files = folder.Write(SeriesFiles.All.Select(file => (file.Name, (Action<Stream>)(stream => file.Write(series, stream)))));
        if (json)
        {
            await JsonOutput.WriteAsync(series, cancellation);
            return ExitCode.Done;
        }

        AnsiConsole.Write(SeriesTable.Of(series));
        if (reused > 0)
        {
            Notes.Say(FormattableString.Invariant($"{reused} of {total} stored runs were there already: of the same weights, or from an earlier sweep."));
        }

        AnsiConsole.WriteLine();
        foreach (string written in files)
        {
            Console.WriteLine(Path.GetRelativePath(Environment.CurrentDirectory, written));
        }

        return ExitCode.Done;
    }

    private static async Task<PlannedSweep> PlanAsync(CommandedSweeps sweeps, string name, SweepRequest request, CancellationToken cancellation)
    {
        try
        {
            return await sweeps.PlanAsync(request, cancellation);
        }
        catch (InvalidInputException e)
        {
            throw new InvalidInputException([.. e.Faults.Select(fault => fault with { Message = $"{fault.Message} (model {name})" })]);
        }
    }

    // A series is a picture of one shape; better said before hours of sweeps than after.
    private static void CheckShape(string name, SweepPlan plan, List<(string Name, CommandedSweep Sweep)> before)
    {
        if (before.Count > 0 && before[0].Sweep.Plan.Model is var first
            && (first.Layers != plan.Model.Layers || (!plan.Request.Patch.IsOfLayer() && (first.Heads, first.KeyValueHeads) != (plan.Model.Heads, plan.Model.KeyValueHeads))))
        {
            throw new InvalidInputException(
                FaultKinds.OutOfRange,
                Flag,
                $"A series is of models of one shape. {before[0].Name} has {first.Layers} layers x {first.Heads} heads, {name} {plan.Model.Layers} x {plan.Model.Heads}.");
        }
    }
}
