using System.Collections.Concurrent;
using System.Text;
using HeadPatching.Core.Faults;
using Microsoft.ML.Tokenizers;

namespace HeadPatching.Core.Prompts.Tokenizers;

/// <summary>Byte-pair encoding of one piece of text after another (Sennrich et al. 2016). May be used from several threads at once.</summary>
internal sealed class BytePairEncoder
{
    /// <summary>Words come again and again; so many of them, none longer than this, are not merged anew.</summary>
    private const int MostKnown = 20_000, LongestKnown = 32;

    private readonly ConcurrentDictionary<string, IReadOnlyList<int>> _known = new(StringComparer.Ordinal);
    private readonly BpeTokenizer _bpe;
    private readonly IReadOnlyDictionary<string, int> _tokens;
    private readonly bool _wholeTokensFirst;
    private readonly bool _byteFallback;

    /// <summary>Makes an encoder.</summary>
    /// <param name="vocabulary">Tokens and merges.</param>
    /// <param name="wholeTokensFirst">Whether a piece that is a token stays one, though merges might not lead there (<c>ignore_merges</c>).</param>
    /// <param name="byteFallback">Whether a character that is no token becomes tokens <c>&lt;0xE6&gt;</c>, one for each byte of its UTF-8.</param>
    public BytePairEncoder(BytePairVocabulary vocabulary, bool wholeTokensFirst = false, bool byteFallback = false)
    {
        _bpe = BpeTokenizer.Create(new BpeOptions(vocabulary.Tokens) { Merges = vocabulary.Merges });
        _tokens = vocabulary.Tokens;
        _wholeTokensFirst = wholeTokensFirst;
        _byteFallback = byteFallback;
    }

    /// <summary>The token that stands for a byte where a character is no token.</summary>
    public static string ByteToken(byte b) => $"<0x{b:X2}>";

    /// <summary>Adds the ids of a piece's tokens.</summary>
    /// <param name="piece">A piece as the vocabulary writes it. Without byte fallback, each of its characters is a token.</param>
    /// <param name="ids">Where they go.</param>
    /// <exception cref="InvalidInputException">A character is no token, and the vocabulary lacks one for a byte of it.</exception>
    public void Encode(string piece, List<int> ids)
    {
        if (_wholeTokensFirst && _tokens.TryGetValue(piece, out int whole))
        {
            ids.Add(whole);
            return;
        }

        if (!_byteFallback)
        {
            ids.AddRange(Merged(piece));
            return;
        }

        // Byte tokens take part in no merge, so the piece can be cut where they stand.
        int start = 0, at = 0;
        foreach (Rune rune in piece.EnumerateRunes())
        {
            int next = at + rune.Utf16SequenceLength;
            if (!_tokens.ContainsKey(piece[at..next]))
            {
                ids.AddRange(Merged(piece[start..at]));
                ids.AddRange(Encoding.UTF8.GetBytes(piece[at..next]).Select(b => ByteId(b, rune)));
                start = next;
            }

            at = next;
        }

        ids.AddRange(Merged(piece[start..]));
    }

    // Texts come split and as the vocabulary writes them: of the library, only its merging is used. It remembers words too, but behind a lock.
    private IReadOnlyList<int> Merged(string symbols)
    {
        if (_known.TryGetValue(symbols, out IReadOnlyList<int>? known))
        {
            return known;
        }

        IReadOnlyList<int> ids = _bpe.EncodeToIds(symbols, considerPreTokenization: false, considerNormalization: false);
        if (symbols.Length <= LongestKnown && _known.Count < MostKnown)
        {
            _known.TryAdd(symbols, ids);
        }

        return ids;
    }

    private int ByteId(byte b, Rune rune) => _tokens.TryGetValue(ByteToken(b), out int id)
        ? id
        : throw new InvalidInputException(
            FaultKinds.OutsideVocabulary, "", $"The character U+{rune.Value:X4} cannot be encoded: the vocabulary has no token for it, and none for its bytes.");
}
