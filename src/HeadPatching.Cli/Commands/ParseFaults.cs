using System.CommandLine;
using System.CommandLine.Parsing;
using HeadPatching.Core.Faults;

namespace HeadPatching.Cli.Commands;

/// <summary>What is wrong with a command line, a line each: names that there are none of, with what was probably meant, and values that cannot be.</summary>
internal static class ParseFaults
{
    /// <summary>The faults; empty where there is none.</summary>
    public static IReadOnlyList<string> Of(ParseResult parsed)
    {
        if (parsed.Errors.Count == 0)
        {
            return [];
        }

        Command command = parsed.CommandResult.Command;
        string help = $"'{PathOf(parsed.CommandResult)} --help'";
        IReadOnlyList<string> unknown = parsed.UnmatchedTokens;
        if (command.Subcommands.Count > 0 && unknown.FirstOrDefault(token => !IsOption(token)) is string misspelt)
        {
            // All that follows was meant for that command.
            return [$"There is no command '{misspelt}'.{DidYouMean(misspelt, command.Subcommands.Select(known => known.Name), $"{help} lists them.")}"];
        }

        var faults = new List<string>();
        string[] options = [.. command.Options.SelectMany(option => option.Aliases.Prepend(option.Name))];
        foreach (var (index, token) in unknown.Index())
        {
            string name = token.Split('=')[0];
            if (IsOption(token))
            {
                faults.Add($"There is no option '{name}'.{DidYouMean(name, options, $"{help} lists them.")}");
            }
            else if (index == 0 || !IsOption(unknown[index - 1])) // otherwise it is that option's value
            {
                faults.Add($"'{token}' is one argument too many; {help} says what there is.");
            }
        }

        return [.. faults, .. parsed.Errors.Select(error => error.Message).Where(message => !unknown.Any(token => message.Contains($"'{token}'", StringComparison.Ordinal)))];
    }

    private static bool IsOption(string token) => token.Length > 1 && token[0] == '-';

    private static string DidYouMean(string given, IEnumerable<string> known, string otherwise) =>
        Suggestion.DidYouMean(given, known) is { Length: > 0 } suggestion ? suggestion : " " + otherwise;

    private static string PathOf(CommandResult result) =>
        result.Parent is CommandResult parent ? $"{PathOf(parent)} {result.Command.Name}" : "headpatch";
}
