using System.Globalization;
using System.Text;

namespace HeadPatching.Core.Prompts;

/// <summary>
/// The spelling of SentencePiece, which Llama 2 and Mistral have: a text's characters as they are, with a mark for each space (Kudo and
/// Richardson 2018). Bytes of characters that are no tokens read <c>&lt;0xE6&gt;</c>.
/// </summary>
/// <param name="mark">What stands for a space: <c>▁</c>.</param>
/// <param name="leading">When a mark is put before a text.</param>
/// <param name="splitAtMarks">Whether pieces end before each mark.</param>
internal sealed class MarkedSpaceSpelling(char mark, LeadingMark leading, bool splitAtMarks) : ISpelling
{
    /// <inheritdoc/>
    public IEnumerable<string> Pieces(string text, bool atStart)
    {
        string marked = text.Replace(' ', mark);
        bool prepend = leading switch
        {
            LeadingMark.Always => true,
            LeadingMark.WhereNone => marked[0] != mark,
            LeadingMark.WhereNoneAtStart => atStart && marked[0] != mark,
            _ => false,
        };
        string written = prepend ? mark + marked : marked;
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
}
