using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.ML.Tokenizers;

namespace HeadPatching.Core.Prompts;

/// <summary>Splits text into the pieces within which GPT-2's byte-pair encoding merges: contractions, words, numbers, signs, white space.</summary>
internal sealed partial class Gpt2PreTokenizer : PreTokenizer
{
    /// <inheritdoc/>
    public override IEnumerable<(int Offset, int Length)> PreTokenize(string text)
    {
        foreach (Match match in Pieces().Matches(WithoutSurrogateLetters(text)))
        {
            yield return (match.Index, match.Length);
        }
    }

    /// <inheritdoc/>
    public override IEnumerable<(int Offset, int Length)> PreTokenize(ReadOnlySpan<char> text) => PreTokenize(text.ToString());

    [GeneratedRegex(@"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", RegexOptions.CultureInvariant)]
    private static partial Regex Pieces();

    /// <summary>
    /// The same text, as long, with each letter or digit beyond U+FFFF replaced by two plain ones: .NET's regular expressions see only the
    /// halves of such a character, which are neither letter nor digit to them.
    /// </summary>
    private static string WithoutSurrogateLetters(string text)
    {
        if (!text.Any(char.IsSurrogate))
        {
            return text;
        }

        var shadow = new StringBuilder(text.Length);
        foreach (Rune rune in text.EnumerateRunes())
        {
            shadow.Append(rune switch
            {
                { IsBmp: false } when Rune.IsLetter(rune) => "aa",
                { IsBmp: false } when IsNumber(rune) => "00",
                _ => rune.ToString(),
            });
        }

        return shadow.ToString();
    }

    private static bool IsNumber(Rune rune) => Rune.GetUnicodeCategory(rune) is
        UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber;
}
