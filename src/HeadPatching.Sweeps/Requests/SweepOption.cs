using System.Text.Json;
using HeadPatching.Core.Faults;
using HeadPatching.Sweeps.Plans;

namespace HeadPatching.Sweeps.Requests;

/// <summary>Where a form shows an option.</summary>
public enum FormPlace
{
    /// <summary>Not at all, or in a field made by hand (models, prompts).</summary>
    None,

    /// <summary>Among the options that most sweeps choose from.</summary>
    Options,

    /// <summary>Among the further ones.</summary>
    Advanced,
}

/// <summary>
/// One option of a sweep. The command line, the reader of requests, the OpenAPI document, the page's form and the checks before a sweep
/// are all made from <see cref="SweepOptions.All"/>.
/// </summary>
public sealed record SweepOption
{
    /// <summary>Its name in a request, such as <c>screenTop</c>.</summary>
    public required string Name { get; init; }

    /// <summary>What its values are.</summary>
    public required OptionType Type { get; init; }

    /// <summary>What it is, as help and the OpenAPI document say it.</summary>
    public required string Help { get; init; }

    /// <summary>The value in a request; null where there is none.</summary>
    public required Func<SweepRequest, object?> Get { get; init; }

    /// <summary>The request with another value.</summary>
    public required Func<SweepRequest, object?, SweepRequest> Set { get; init; }

    /// <summary>Its name on the command line; null where it has none.</summary>
    public string? Flag { get; init; }

    /// <summary>The default where it follows from something else, such as <c>10</c>; null: what a new request has.</summary>
    public string? DefaultText { get; init; }

    /// <summary>Whether a request may say null, which is the default.</summary>
    public bool Nullable => Get(Defaults) is null;

    /// <summary>Which values do not go with the rest of a request: each returns a message, or null where it holds.</summary>
    public IReadOnlyList<Func<SweepRequest, string?>> Rules { get; init; } = [];

    /// <summary>Where a form shows it.</summary>
    public FormPlace Place { get; init; }

    /// <summary>What a form calls it.</summary>
    public string? Label { get; init; }

    /// <summary>
    /// When a form shows it: <c>method=screen</c>, with <c>|</c> between several values, or <c>receivers</c> for whenever that has a value; null
    /// for always.
    /// </summary>
    public string? ShownWhen { get; init; }

    /// <summary>What a form says where there is no value; only of options that may be null.</summary>
    public string? NoneLabel { get; init; }

    private static SweepRequest Defaults { get; } = new();

    /// <summary>The default in words, or null where there is none.</summary>
    public string? Default() => DefaultText ?? (Get(Defaults) is object value && Type is not OptionType.Flag ? Type.Text(value) : null);

    /// <summary>The faults of its value in a request: out of range, or at odds with another option.</summary>
    public IEnumerable<Fault> Faults(SweepRequest request, FaultPlaces places)
    {
        if (Get(request) is object value && Type.FaultOf(value) is string outOfRange)
        {
            yield return new Fault(FaultKinds.InvalidOption, places.Option(Name), outOfRange);
        }

        foreach (string message in Rules.Select(rule => rule(request)).OfType<string>())
        {
            yield return new Fault(FaultKinds.InvalidOption, places.Option(Name), message);
        }
    }

    /// <summary><c>--screen-top</c> of <c>screenTop</c>.</summary>
    internal static string FlagOf(string name) => "--" + JsonNamingPolicy.KebabCaseLower.ConvertName(name);
}
