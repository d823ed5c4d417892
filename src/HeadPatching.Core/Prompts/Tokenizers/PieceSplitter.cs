using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts.Tokenizers;

/// <summary>Splits text by a regular expression into the pieces within which byte-pair encoding merges: its matches, and what is between them.</summary>
internal sealed partial class PieceSplitter
{
    /// <summary>
    /// How long one match, and one whole text, may take. A pattern comes from outside, and one with nested repetitions can take time that
    /// doubles with each character: (a|aa)+b. Any real one splits a megabyte in less than a second.
    /// </summary>
    private static readonly TimeSpan LongestMatch = TimeSpan.FromSeconds(2), LongestSplit = TimeSpan.FromSeconds(10);

    /// <summary>
    /// What means the same to .NET and to the engine that tokenizer.json is written for (Oniguruma): groups, choices, repetitions, plain ASCII
    /// characters, and classes of Unicode's letters, numbers and white space. Not ^, $, . and \w, and no class within a class.
    /// </summary>
    private const string SharedSyntax =
        @"^(?:\\[pP]\{[A-Z][a-z]?\}|\\[sSrntdD]|\\[!-/:-@\[-`{-~]|\[\^?(?:\\[pP]\{[A-Z][a-z]?\}|\\[sSrntdD]|\\[!-/:-@\[-`{-~]|(?!&&)[ -Z_-~])+\]"
        + @"|\((?:\?(?:[:=!]|i:|<!|<=)|(?!\?))|[)|?*+]|\{[0-9]+(?:,[0-9]*)?\}|[ !""#%&',/0-9:;<=>@A-Z_`a-z~-])*$";

    /// <summary>
    /// For each category, one of its characters that .NET's regular expressions can see: of a character beyond U+FFFF they see only two halves,
    /// which are neither letter nor number to them. None is ASCII, which patterns name.
    /// </summary>
    private static readonly Dictionary<UnicodeCategory, char> Stand = Enumerable.Range(0xA1, 0xFFFF - 0xA1)
        .Select(c => (char)c)
        .GroupBy(char.GetUnicodeCategory)
        .ToDictionary(group => group.Key, group => group.First());

    private readonly Regex _pattern;
    private readonly bool _onlyMatches;

    private PieceSplitter(Regex pattern, bool onlyMatches = false) => (_pattern, _onlyMatches) = (pattern, onlyMatches);

    /// <summary>GPT-2's rule: contractions, words, numbers, signs, white space.</summary>
    public static PieceSplitter Gpt2 { get; } = new(Gpt2Pieces());

    /// <summary>A splitter of a pattern that tokenizer.json has; null where .NET might read it otherwise than it is meant.</summary>
    /// <param name="pattern">The pattern.</param>
    /// <param name="onlyMatches">
    /// Whether what is between its matches is no piece, but dropped. No pattern that is published so leaves anything between them; a text of
    /// which one would is refused, for a tokenizer that drops some of it cannot be meant.
    /// </param>
    public static PieceSplitter? OfPattern(string pattern, bool onlyMatches = false)
    {
        if (!Regex.IsMatch(pattern, SharedSyntax, RegexOptions.CultureInvariant))
        {
            return null;
        }

        try
        {
            // Not RegexOptions.NonBacktracking, which needs no bound on time: up to .NET 10 it drops matches of patterns that begin with
            // something optional, as " ?\p{L}+" does (dotnet/runtime#130176), and a token would be wrong without a word.
            return new PieceSplitter(new Regex(pattern, RegexOptions.CultureInvariant, LongestMatch), onlyMatches);
        }
        catch (ArgumentException)
        {
            return null;
        }
    }

    /// <summary>The pieces, which together are the text.</summary>
    public IReadOnlyList<string> Split(string text)
    {
        var pieces = new List<string>();
        if (!text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF'))
        {
            foreach (var (start, end) in Pieces(text))
            {
                pieces.Add(text[start..end]);
            }

            return pieces;
        }

        // One character for each, so that the pattern counts right; then back from its places to the text's.
        var shadow = new StringBuilder(text.Length);
        var places = new List<int>(text.Length);
        int place = 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            shadow.Append(rune.IsBmp ? (char)rune.Value : Stand[Rune.GetUnicodeCategory(rune)]);
            places.Add(place);
            place += rune.Utf16SequenceLength;
        }

        places.Add(place);
        foreach (var (start, end) in Pieces(shadow.ToString()))
        {
            pieces.Add(text[places[start]..places[end]]);
        }

        return pieces;
    }

    private List<(int Start, int End)> Pieces(string text)
    {
        var pieces = new List<(int Start, int End)>();
        int done = 0;
        long started = Stopwatch.GetTimestamp();
        try
        {
            foreach (ValueMatch match in _pattern.EnumerateMatches(text))
            {
                if (match.Index > done)
                {
                    ThrowIfDropped(text, done, match.Index);
                    pieces.Add((done, match.Index));
                }

                done = match.Index + match.Length;
                if (match.Length > 0)
                {
                    pieces.Add((match.Index, done));
                }

                if (Stopwatch.GetElapsedTime(started) > LongestSplit)
                {
                    throw TooSlow(text.Length);
                }
            }
        }
        catch (RegexMatchTimeoutException)
        {
            throw TooSlow(text.Length);
        }

        if (done < text.Length)
        {
            ThrowIfDropped(text, done, text.Length);
            pieces.Add((done, text.Length));
        }

        return pieces;
    }

    private void ThrowIfDropped(string text, int from, int to)
    {
        if (_onlyMatches)
        {
            throw new InvalidInputException(
                FaultKinds.NoTokenizer,
                "",
                $"{TokenizerJson.FileName} is not supported for this text: its pre_tokenizer.pattern matches all but {Untrusted.Show(text[from..to])}, which would be dropped. "
                + "Token-id prompts work.");
        }
    }

    private static InvalidInputException TooSlow(int length) => new(
        FaultKinds.SlowTokenizer,
        "",
        $"{TokenizerJson.FileName} is not supported: its pre_tokenizer.pattern, a regular expression, takes too long to split a text of {length} characters; "
        + "such a pattern can take twice as long with each further one. Token-id prompts work.");

    [GeneratedRegex(@"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", RegexOptions.CultureInvariant)]
    private static partial Regex Gpt2Pieces();
}
