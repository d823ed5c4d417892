using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Parsing;
using HeadPatching.Cli;
using HeadPatching.Cli.Commands;
using HeadPatching.Cli.Terminal;
using HeadPatching.Core.Faults;

if (OpenFileLimit.Fault() is string tooFew)
{
    OpenFileLimit.Say(tooFew);
    return ExitCode.Failed;
}

PlainText.Guard();
var root = new RootCommand(
    "Head-level activation patching: which attention heads carry a behaviour. 'headpatch sweep' with no options sweeps the demo model.");
root.Subcommands.Add(SweepCommand.Create());
root.Subcommands.Add(CompareCommand.Create());
root.Subcommands.Add(ServeCommand.Create());
root.Subcommands.Add(DatasetCommand.Create());
root.Subcommands.Add(ModelCommand.Create());
root.Subcommands.Add(StoreCommand.Create());
root.SetAction(parsed => new HelpAction().Invoke(parsed));

ParseResult parsed = root.Parse(args);
if (parsed.Errors.Count > 0)
{
    foreach (ParseError error in parsed.Errors)
    {
        await Console.Error.WriteLineAsync(error.Message);
    }

    return ExitCode.BadInput;
}

try
{
    // A batch of heads on a large model takes a while to end; until then Ctrl-C has been heard.
    var invocation = new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = TimeSpan.FromMinutes(2) };
    return await parsed.InvokeAsync(invocation);
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
    await Console.Error.WriteLineAsync("Interrupted. The same command again goes on where it stopped.");
    return ExitCode.Interrupted;
}
catch (Exception e)
{
    Exception cause = e is TypeInitializationException ? e.GetBaseException() : e; // the first says nothing but that there is one
    await Console.Error.WriteLineAsync($"{cause.GetType().Name}: {cause.Message}");
    return ExitCode.Failed;
}
