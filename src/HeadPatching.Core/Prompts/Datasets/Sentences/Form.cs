using System.Text;
using System.Text.RegularExpressions;

namespace HeadPatching.Core.Prompts.Datasets.Sentences;

/// <summary>
/// A text with blanks, <c>So {NAME} is a really great {NOUN}, isn't</c>: what a dataset's prompts are made from. A blank's name is the role of
/// the word that is put there.
/// </summary>
internal sealed partial class Form
{
    private readonly (string Text, string? Blank)[] _parts; // each text and the blank that follows it; null after the last

    /// <summary>Reads a form.</summary>
    /// <param name="text">The text; braces are around blanks and nowhere else.</param>
    public Form(string text)
    {
        string[] parts = text.Split('{', '}');
        _parts = [.. parts.Chunk(2).Select(part => (part[0], part.ElementAtOrDefault(1)))];
        Name = Spaces().Replace(Filled(blank => $"[{blank}]"), " ").Trim();
    }

    /// <summary>What pairs are told to be made from: the text with its blanks named, in one line.</summary>
    public string Name { get; }

    /// <summary>The text with a word in each blank.</summary>
    public string Fill(IReadOnlyDictionary<string, string> words) => Filled(blank => words[blank]);

    /// <summary>The positions of the words that were put in, by their roles. What there is no position for is left out.</summary>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="words">What was put into the blanks.</param>
    /// <param name="roles">Blanks; <c>B+1</c>, the token after blank B; <c>END</c>, the last token. Those that the form lacks are left out.</param>
    /// <exception cref="Faults.InvalidInputException">The tokenizer takes too long, as it would with every text.</exception>
    public IReadOnlyDictionary<string, int>? RolesOf(TextTokenizer tokenizer, IReadOnlyDictionary<string, string> words, params IEnumerable<string> roles)
    {
        var ends = new Dictionary<string, string>(); // where a blank's word ends: the text up to there
        var text = new StringBuilder();
        foreach (var (part, blank) in _parts)
        {
            text.Append(part);
            if (blank is not null)
            {
                ends.TryAdd(blank, text.Append(words[blank]).ToString());
            }
        }

        ends["END"] = text.ToString();
        return tokenizer.RolesOf(
            text.ToString(),
            [
                .. from role in roles
                   let next = role.EndsWith("+1", StringComparison.Ordinal)
                   let blank = next ? role[..^2] : role
                   where ends.ContainsKey(blank)
                   select (role, ends[blank], next ? 1 : 0),
            ]);
    }

    private string Filled(Func<string, string> wordOf) => string.Concat(_parts.Select(part => part.Text + (part.Blank is null ? "" : wordOf(part.Blank))));

    [GeneratedRegex("\\s+")]
    private static partial Regex Spaces();
}
