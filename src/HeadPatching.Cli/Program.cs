using System.CommandLine;
using System.CommandLine.Help;
using HeadPatching.Cli;
using HeadPatching.Cli.Commands;
using HeadPatching.Cli.Commands.Circuits;
using HeadPatching.Cli.Terminal;
using HeadPatching.Core.Faults;

if (OpenFileLimit.Fault() is string tooFew)
{
    OpenFileLimit.Say(tooFew);
    return ExitCode.Failed;
}

PlainText.Guard();
using var interruption = new Interruption();
var root = new RootCommand(
    "Head-level activation patching: which attention heads carry a behaviour. 'headpatch sweep' with no options sweeps the demo model.");
root.Subcommands.Add(SweepCommand.Create());
root.Subcommands.Add(CompareCommand.Create());
root.Subcommands.Add(CircuitCommand.Create());
root.Subcommands.Add(ServeCommand.Create());
root.Subcommands.Add(DatasetCommand.Create());
root.Subcommands.Add(ModelCommand.Create());
root.Subcommands.Add(StoreCommand.Create());
root.SetAction(parsed => new HelpAction().Invoke(parsed));

ParseResult parsed = root.Parse(args);
if (ParseFaults.Of(parsed) is { Count: > 0 } faults)
{
    foreach (string fault in faults)
    {
        await Console.Error.WriteLineAsync(fault);
    }

    return ExitCode.BadInput;
}

Notes.BeQuiet(parsed.GetValue(OutputOptions.Quiet));
try
{
    var invocation = new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null };
    return await parsed.InvokeAsync(invocation, interruption.Token);
}
catch (InvalidInputException e)
{
    foreach (Fault fault in e.Faults)
    {
        await Console.Error.WriteLineAsync(fault.ToString());
    }

    return ExitCode.BadInput;
}
catch (OperationCanceledException)
{
    string again = Interruption.CommandAgain(args) is string command ? $": {command}" : ".";
    await Console.Error.WriteLineAsync($"Interrupted. The same command again goes on where it stopped{again}");
    return ExitCode.Interrupted;
}
catch (Exception e)
{
    Exception cause = e is TypeInitializationException ? e.GetBaseException() : e; // the first says nothing but that there is one
    await Console.Error.WriteLineAsync($"{cause.GetType().Name}: {cause.Message}");
    return ExitCode.Failed;
}
