using System.CommandLine;
using System.CommandLine.Parsing;
using HeadPatching.Cli.Commands.Circuits;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Prompts.Datasets;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;

namespace HeadPatching.Cli.Commands;

/// <summary>Options of a sweep as options of a command, made from <see cref="SweepOptions.All"/>; and the request that a command line makes of them.</summary>
internal sealed class RequestOptions
{
    private readonly IReadOnlyList<(SweepOption Option, Option<object?> OnCommandLine)> _options;

    private RequestOptions(IEnumerable<SweepOption> options)
    {
        _options = [.. options.Select(option => (option, OnCommandLine(option)))];
    }

    /// <summary>The options, in the order of the help.</summary>
    public IEnumerable<Option> All => _options.Select(option => option.OnCommandLine);

    /// <summary>All that the command line has.</summary>
    public static RequestOptions Every() => new(SweepOptions.All.Where(option => option.Flag is not null));

    /// <summary>Some, by their names in a request.</summary>
    public static RequestOptions Of(params string[] names) => new(names.Select(name => SweepOptions.Find(name)!));

    /// <summary>Some, by their names in a request, with names of a command's own on the command line.</summary>
    public static RequestOptions Of(IReadOnlyDictionary<string, string> flags) => new(flags.Select(flag => SweepOptions.Find(flag.Key)! with { Flag = flag.Value }));

    /// <summary>Whether an option was said, by its name in a request.</summary>
    public bool IsSaid(ParseResult parsed, string name) =>
        _options.Any(option => string.Equals(option.Option.Name, name, StringComparison.OrdinalIgnoreCase) && parsed.GetResult(option.OnCommandLine) is { Implicit: false });

    /// <summary>The request of a parsed command line, and how its faults name places.</summary>
    /// <exception cref="Core.Faults.InvalidInputException">The pairs file cannot be read.</exception>
    public (SweepRequest Request, FaultPlaces Places) Read(ParseResult parsed)
    {
        var request = new SweepRequest();
        PairsFile? file = null, reference = null;
        foreach (var (option, onCommandLine) in _options)
        {
            if (parsed.GetValue(onCommandLine) is not object value)
            {
                continue;
            }

            if (option.Type is OptionType.PromptPairs)
            {
                file = PairsFile.Read((string)value);
                request = request with { Pairs = file.Pairs, Name = Path.GetFileName((string)value) };
            }
            else if (option.Type is OptionType.PromptReference)
            {
                reference = BuiltInDatasets.Find((string)value) is null ? DatasetCommand.ReadFile((string)value, option.Flag!) : null;
                request = request with { Reference = reference is null ? ReferencePrompts.Of((string)value) : ReferencePrompts.Of(reference.Pairs) };
            }
            else if (option.Type is OptionType.NodeSet)
            {
                request = option.Set(request, NodeSetsFile.ReadOne((string)value, option.Flag!));
            }
            else if (option.Type is OptionType.NodeSets)
            {
                request = option.Set(request, NodeSetsFile.Read((string)value, option.Flag!));
            }
            else
            {
                request = option.Set(request, value);
            }
        }

        Func<int, string?, string> pairs = file is null ? PairTokenizer.PathUnder("pairs") : file.Where;
        return (request, reference is null ? new FaultPlaces(SweepOptions.FlagOf, pairs) : new FaultPlaces(SweepOptions.FlagOf, pairs) { ReferencePair = reference.Where });
    }

    /// <summary>An option of a command's own whose value is a whole number.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="description">What it is.</param>
    /// <param name="fallback">What it is where it is not said.</param>
    /// <param name="range">What it may be; null: any whole number.</param>
    public static Option<int> Whole(string name, string description, int fallback, OptionType.Whole? range = null) => new(name)
    {
        Description = description,
        HelpName = "N",
        DefaultValueFactory = _ => fallback,
        CustomParser = result => Checked(result, name, range ?? new OptionType.Whole()) as int? ?? fallback,
    };

    /// <summary>An option of a command's own whose value is a number from 0 on, and which may be left out.</summary>
    public static Option<double?> NumberIfSaid(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "NUMBER",
        CustomParser = result => Checked(result, name, new OptionType.Number(0)) as double?,
    };

    private static object? Checked(ArgumentResult result, string name, OptionType type)
    {
        object? value = Parse(result, name, type);
        if (value is not null && type.FaultOf(value) is string fault)
        {
            result.AddError($"{name}: {fault}");
        }

        return value;
    }

    private static Option<object?> OnCommandLine(SweepOption option) => new(option.Flag!)
    {
        Description = option.Help + (option.Default() is string known ? $" (default: {known})" : ""),
        HelpName = option.Type.Form,
        Arity = option.Type is OptionType.Flag ? ArgumentArity.Zero : ArgumentArity.ExactlyOne,
        CustomParser = result => option.Type is OptionType.Flag ? true : Parse(result, option.Flag!, option.Type),
    };

    private static object? Parse(ArgumentResult result, string name, OptionType type)
    {
        if (result.Tokens[0].Value.Length == 0)
        {
            result.AddError($"{name}: The value is empty.");
            return null;
        }

        return type.Parse(result.Tokens[0].Value, fault => result.AddError($"{name}: {fault}"));
    }
}
