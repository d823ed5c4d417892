using System.Text.RegularExpressions;
using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts;

/// <summary>The added tokens of a tokenizer, and how they are found: from left to right, the longest that fits.</summary>
internal sealed class AddedTokens
{
    private readonly Dictionary<string, int> _ids;
    private readonly Dictionary<int, string> _contents;
    private readonly AddedToken[] _refused;
    private readonly Regex?[] _searches; // those that are looked for first, and later

    public AddedTokens(IReadOnlyList<AddedToken> tokens)
    {
        _ids = tokens.ToDictionary(token => token.Content, token => token.Id, StringComparer.Ordinal);
        _contents = tokens.ToDictionary(token => token.Id, token => token.Content);
        _refused = [.. tokens.Where(token => token.Rule is not null)];
        _searches = [Search(tokens.Where(token => !token.Later)), Search(tokens.Where(token => token.Later))];
    }

    /// <summary>No added tokens.</summary>
    public static AddedTokens None { get; } = new([]);

    /// <summary>Every id and text.</summary>
    public IReadOnlyDictionary<int, string> Contents => _contents;

    /// <summary>The parts of a text in their order: added tokens by their ids, and what is between them.</summary>
    /// <exception cref="InvalidInputException">The text holds a token with a rule that is not known here.</exception>
    public IEnumerable<(string Text, int? Id, bool AtStart)> Split(string text)
    {
        if (_refused.FirstOrDefault(token => text.Contains(token.Content, StringComparison.Ordinal)) is { } refused)
        {
            throw new InvalidInputException(
                FaultKinds.NoTokenizer,
                "",
                $"The text holds the added token \"{refused.Content}\", which the tokenizer treats by a rule that is not supported ({refused.Rule}); give token ids.");
        }

        IEnumerable<(string Text, int? Id, bool AtStart)> parts = text.Length == 0 ? [] : [(text, null, true)];
        foreach (Regex search in _searches.OfType<Regex>())
        {
            parts = parts.SelectMany(part => part.Id is null ? Split(search, part.Text, part.AtStart) : [part]);
        }

        return parts;
    }

    private static Regex? Search(IEnumerable<AddedToken> tokens)
    {
        // The first alternative that fits is taken, so the longest come first.
        string[] contents = [.. tokens.Select(token => token.Content).OrderByDescending(content => content.Length).Select(Regex.Escape)];
        return contents.Length == 0 ? null : new Regex(string.Join('|', contents), RegexOptions.CultureInvariant);
    }

    private IEnumerable<(string Text, int? Id, bool AtStart)> Split(Regex search, string text, bool atStart)
    {
        int done = 0;
        foreach (Match match in search.Matches(text))
        {
            if (match.Index > done)
            {
                yield return (text[done..match.Index], null, atStart && done == 0);
            }

            yield return (match.Value, _ids[match.Value], false);
            done = match.Index + match.Length;
        }

        if (done < text.Length)
        {
            yield return (text[done..], null, atStart && done == 0);
        }
    }
}
