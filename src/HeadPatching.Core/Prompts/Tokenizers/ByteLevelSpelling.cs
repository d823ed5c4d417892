using System.Buffers;
using System.Text;
using ADRaffy.ENSNormalize;
using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts.Tokenizers;

/// <summary>The spelling of GPT-2, GPT-NeoX, Llama 3 and Qwen: a character of <see cref="ByteLevelAlphabet"/> for each byte of UTF-8.</summary>
internal sealed class ByteLevelSpelling : ISpelling
{
    private const char FirstComposing = '\u0300'; // below it, every text is in normal form C

    private readonly IReadOnlyList<PieceSplitter> _splitters;
    private readonly bool _composed;
    private readonly HashSet<byte> _missingBytes;
    private readonly SearchValues<char> _knownAscii;                          // nearly all that texts are made of, looked through at once
    private readonly string _source;

    /// <summary>Makes a spelling.</summary>
    /// <param name="splitters">What splits a text; each splits the pieces of the one before.</param>
    /// <param name="composed">Whether text is brought into Unicode's normal form C.</param>
    /// <param name="vocabulary">The vocabulary.</param>
    public ByteLevelSpelling(IReadOnlyList<PieceSplitter> splitters, bool composed, BytePairVocabulary vocabulary)
    {
        _splitters = splitters;
        _composed = composed;
        _missingBytes = [.. Enumerable.Range(0, 256).Select(b => (byte)b)
            .Where(b => !vocabulary.Tokens.ContainsKey(ByteLevelAlphabet.Character(b).ToString()))];
        _knownAscii = SearchValues.Create([.. Enumerable.Range(0, 128).Where(c => !_missingBytes.Contains((byte)c)).Select(c => (char)c)]);
        _source = vocabulary.Source;
    }

    /// <inheritdoc/>
    // string.Normalize would need ICU, a native library that this program does without: in invariant globalization it composes nothing.
    public string Normalize(string text, Standing standing) => _composed && text.Any(c => c >= FirstComposing) ? ENSNormalize.NF.NFC(text) : text;

    /// <inheritdoc/>
    public IEnumerable<string> Pieces(string normalized, Standing standing)
    {
        RefuseMissingBytes(normalized);
        IReadOnlyList<string> pieces = [normalized];
        foreach (PieceSplitter splitter in _splitters)
        {
            pieces = pieces.Count == 1 ? splitter.Split(pieces[0]) : [.. pieces.SelectMany(splitter.Split)];
        }

        return pieces.Select(ByteLevelAlphabet.Spell);
    }

    /// <inheritdoc/>
    public string Readable(string token) => ByteLevelAlphabet.Readable(token);

    // Merging leaves out what has no token, without a word; a prompt must not change silently.
    private void RefuseMissingBytes(string text)
    {
        if (_missingBytes.Count == 0 || !text.AsSpan().ContainsAnyExcept(_knownAscii))
        {
            return;
        }

        foreach (Rune rune in text.EnumerateRunes())
        {
            if (Encoding.UTF8.GetBytes(rune.ToString()).Any(_missingBytes.Contains))
            {
                throw new InvalidInputException(
                    FaultKinds.OutsideVocabulary, "", $"The character U+{rune.Value:X4} cannot be encoded: {_source} has no tokens for its bytes.");
            }
        }
    }
}
