using System.CommandLine;
using HeadPatching.Core.Results;

namespace HeadPatching.Cli.Commands;

/// <summary>Options whose value is one of a few words.</summary>
internal static class Choice
{
    /// <summary>An option for an enumeration, its values named as everywhere in results and requests; null where it is not given.</summary>
    public static Option<T?> Of<T>(string name, string description, T fallback)
        where T : struct, Enum =>
        Of<T>(name, $"{description} (default: {fallback.NameOf()})");

    /// <summary>The same where the default follows from other options, or there is none.</summary>
    public static Option<T?> Of<T>(string name, string description)
        where T : struct, Enum
    {
        Dictionary<string, T> values = Enum.GetValues<T>().ToDictionary(value => value.NameOf());
        return new Option<T?>(name)
        {
            Description = description,
            HelpName = string.Join('|', values.Keys),
            CustomParser = result =>
            {
                string text = result.Tokens[0].Value;
                if (values.TryGetValue(text, out T value))
                {
                    return value;
                }

                result.AddError($"{name}: there is no '{text}'. Known: {string.Join(", ", values.Keys)}.");
                return null;
            },
        };
    }
}
