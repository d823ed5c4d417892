using System.CommandLine;
using HeadPatching.Cli.Terminal;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Native;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;

namespace HeadPatching.Cli.Commands.Circuits;

/// <summary><c>headpatch circuit</c>: do the heads that a sweep ranks do the task together, and alone? The same sweep with a circuit, whose runs it finds in the store.</summary>
internal static class CircuitCommand
{
    // What the sweep's options are called here.
    private static readonly Dictionary<string, string> Flags = new()
    {
        ["circuitGiven"] = "--given",
        ["circuitSizes"] = "--sizes",
        ["circuitRandom"] = "--random",
        ["circuitHoldout"] = "--holdout",
        ["circuitTolerance"] = "--tolerance",
        ["circuitSeed"] = "--seed",
    };

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var sweep = new Argument<string>("SWEEP")
        {
            Description = "A finished sweep of z, which ranks the heads: the folder of its files (headpatch-out), its results.json, or its id in the store",
        };
        var mlps = new Option<bool>("--mlps") { Description = "Make circuits of heads and MLPs (otherwise of heads; MLPs are left to themselves)" };
        var model = new Option<string?>("--model") { Description = "The model, where it is no longer where the sweep found it: a name or a folder", HelpName = "MODEL" };
        var store = StoreOption.WithDefault("Where ids are looked up, and where runs are kept", "store");
        var output = new Option<string>("--out") { Description = "The folder for the files", HelpName = "FOLDER", DefaultValueFactory = _ => "headpatch-circuit" };
        var force = new Option<bool>("--force") { Description = "Write over another sweep's results in that folder" };
        RequestOptions options = RequestOptions.Of(Flags);
        var command = new Command("circuit", "Find the fewest nodes that do the task together, and prove it on pairs they were not chosen on") { sweep, mlps };
        foreach (Option option in options.All.Concat([model, store, output, force, OutputOptions.Json, OutputOptions.Quiet]))
        {
            command.Options.Add(option);
        }

        command.SetAction(async (parsed, cancellation) =>
        {
            LibTorch.Load();
            string given = parsed.GetRequiredValue(sweep), location = parsed.GetRequiredValue(store);
            CircuitSource source = await CircuitSource.ReadAsync(given, location, cancellation);
            SweepRequest asked = options.Read(parsed).Request;
            string? named = parsed.GetValue(model);
            SweepRequest request = source.Request with
            {
                Model = named ?? source.Request.Model,
                Callback = null,
                Circuit = parsed.GetValue(mlps) ? CircuitOf.HeadsAndMlps : CircuitOf.Heads,
                CircuitGiven = asked.CircuitGiven,
                CircuitSizes = asked.CircuitSizes,
                CircuitRandom = asked.CircuitRandom,
                CircuitHoldout = asked.CircuitHoldout,
                CircuitTolerance = asked.CircuitTolerance,
                CircuitSeed = asked.CircuitSeed,
            };
            var places = new FaultPlaces(name => Flags.GetValueOrDefault(name) ?? (name == "model" && named is not null ? "--model" : given), PairTokenizer.PathUnder(given));
            await using var sweeps = new CommandedSweeps(location, places, parsed.GetValue(force));
            return await RunAsync(sweeps, request, source.Result.Model, parsed.GetRequiredValue(output), parsed.GetValue(OutputOptions.Json), cancellation);
        });
        return command;
    }

    private static async Task<int> RunAsync(
        CommandedSweeps sweeps, SweepRequest request, ModelSummary swept, string output, bool json, CancellationToken cancellation)
    {
        if (await sweeps.FingerprintAsync(request.Model, cancellation) != swept.Fingerprint) // another's tokens may not even be this one's
        {
            throw new InvalidInputException(
                FaultKinds.InvalidOption, "--model", $"'{request.Model}' is not the model that was swept: its weights or its config.json are other ones. Name that model's folder, or sweep this one.");
        }

        PlannedSweep plan = await sweeps.PlanAsync(request, cancellation);
        CommandedSweep sweep = await sweeps.PrepareAsync(request, plan, output, cancellation);
        SweepStatus status = await sweeps.RunAsync(sweep, cancellation);
        if (status.Status != SweepState.Completed)
        {
            return await CommandedSweeps.SayWhyAsync(status);
        }

        var (result, files) = await sweeps.TakeAsync(sweep, cancellation);
        if (json)
        {
            await JsonOutput.WriteAsync(result.Circuit!, cancellation);
            return ExitCode.Done;
        }

        ProofDisplay.Write(result.Circuit!);
        foreach (string file in files)
        {
            Console.WriteLine(Path.GetRelativePath(Environment.CurrentDirectory, file));
        }

        return ExitCode.Done;
    }
}
