using System.Globalization;
using System.Text;

namespace HeadPatching.Core.Prompts.Tokenizers;

/// <summary>When the mark of a space is put before a text, so that its first word is written like every other.</summary>
internal enum LeadingMark
{
    /// <summary>Never.</summary>
    Never,

    /// <summary>Before every text, even one that begins with a space.</summary>
    Always,

    /// <summary>Before every text that does not begin with a space.</summary>
    WhereNone,

    /// <summary>The same, but only at the very beginning, and not after an added token.</summary>
    WhereNoneAtStart,
}

/// <summary>
/// The spelling of SentencePiece, which Llama 2 and Mistral have: a text's characters as they are, with a mark for each space (Kudo and
/// Richardson 2018). Bytes of characters that are no tokens read <c>&lt;0xE6&gt;</c>.
/// </summary>
/// <param name="mark">What stands for a space: <c>▁</c>.</param>
/// <param name="leading">When a mark is put before a text.</param>
/// <param name="byNormalizer">
/// Whether spaces are marked before added tokens that are normalized are looked for (Prepend and Replace), or after them (Metaspace).
/// </param>
/// <param name="splitAtMarks">Whether pieces end before each mark.</param>
internal sealed class MarkedSpaceSpelling(char mark, LeadingMark leading, bool byNormalizer, bool splitAtMarks) : ISpelling
{
    /// <inheritdoc/>
    public string Normalize(string text, Standing standing) => byNormalizer ? Marked(text, standing) : text;

    /// <inheritdoc/>
    public IEnumerable<string> Pieces(string normalized, Standing standing)
    {
        string written = byNormalizer ? normalized : Marked(normalized, standing);
        if (!splitAtMarks)
        {
            yield return written;
            yield break;
        }

        int start = 0;
        for (int next = 1; next <= written.Length; next++)
        {
            if (next == written.Length || written[next] == mark)
            {
                yield return written[start..next];
                start = next;
            }
        }
    }

    /// <inheritdoc/>
    public string Readable(string token) =>
        ByteLevelAlphabet.Readable(
            token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal)
            && byte.TryParse(token.AsSpan(3, 2), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out byte b) && token == BytePairEncoder.ByteToken(b)
                ? [b]
                : Encoding.UTF8.GetBytes(token.Replace(mark, ' ')));

    private string Marked(string text, Standing standing)
    {
        string marked = text.Replace(' ', mark);
        bool prepend = standing != Standing.Within && leading switch
        {
            LeadingMark.Always => true,
            LeadingMark.WhereNone => marked[0] != mark,
            LeadingMark.WhereNoneAtStart => standing == Standing.AtStart && marked[0] != mark,
            _ => false,
        };
        return prepend ? mark + marked : marked;
    }
}
