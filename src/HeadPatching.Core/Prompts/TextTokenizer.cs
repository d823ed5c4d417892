using System.Text;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts.Tokenizers;

namespace HeadPatching.Core.Prompts;

/// <summary>
/// A model's byte-pair tokenizer, read from its folder: from <c>tokenizer.json</c>, or from <c>vocab.json</c> and <c>merges.txt</c> with
/// GPT-2's rule for where a text is split. May be used from several threads at once.
/// </summary>
public sealed class TextTokenizer
{
    private const string VocabularyFile = "vocab.json";
    private const string MergesFile = "merges.txt";

    /// <summary>The most bytes of UTF-8 that normal form C makes one of: three letters of a Korean syllable, 9 bytes, become 3.</summary>
    private const int MostComposing = 3;

    private readonly BytePairEncoder? _encoder;
    private readonly ISpelling? _spelling;
    private readonly AddedTokens? _added;
    private readonly Dictionary<int, string> _tokens = [];
    private readonly int _longestToken = int.MaxValue;

    /// <summary>Puts a tokenizer together.</summary>
    /// <param name="vocabulary">Tokens and merges.</param>
    /// <param name="encoder">Merges within a piece.</param>
    /// <param name="spelling">Makes pieces of a text.</param>
    /// <param name="added">The tokens that are looked for in the text itself.</param>
    /// <param name="composes">Whether the spelling composes characters, and so makes a text shorter than it is.</param>
    internal TextTokenizer(
        BytePairVocabulary vocabulary, BytePairEncoder encoder, ISpelling spelling, IReadOnlyList<AddedToken> added, bool composes = false)
    {
        _encoder = encoder;
        _spelling = spelling;
        _added = new AddedTokens(added, spelling);
        _tokens = vocabulary.Tokens.ToDictionary(entry => entry.Value, entry => entry.Key);
        int longest = Math.Max(1, vocabulary.Tokens.Keys.Concat(_added.Contents.Values).Max(Encoding.UTF8.GetByteCount));
        _longestToken = composes ? (int)Math.Min(int.MaxValue, (long)longest * MostComposing) : longest;
        VocabularySize = _tokens.Keys.Concat(_added.Contents.Keys).Max() + 1;
    }

    private TextTokenizer(string unsupported) => Unsupported = unsupported;

    /// <summary>The highest token id plus one. A model's vocabulary may be larger (padded), never smaller.</summary>
    public int VocabularySize { get; }

    /// <summary>
    /// Why no text can be encoded, though the folder has a tokenizer: it is of a kind, or has a rule, that is not known here. Null where texts
    /// can. Token-id prompts need no tokenizer.
    /// </summary>
    public string? Unsupported { get; }

    /// <summary>Reads the tokenizer of a model folder.</summary>
    /// <param name="modelFolder">
    /// The folder that holds <c>tokenizer.json</c>, or <c>vocab.json</c> and <c>merges.txt</c>. Where it has all of them, the two are read for
    /// a GPT-2 or an OPT and the one for every other model: the two do not say where texts are split, and only GPT-2's rule is known without.
    /// </param>
    /// <returns>The tokenizer, or null where the folder has none of the files: such a model takes token-id prompts only.</returns>
    /// <exception cref="InvalidInputException">Only one of the two files is there, or a file cannot be read or is malformed.</exception>
    public static TextTokenizer? Load(string modelFolder)
    {
        string json = Path.Combine(modelFolder, TokenizerJson.FileName);
        string vocabularyPath = Path.Combine(modelFolder, VocabularyFile);
        string mergesPath = Path.Combine(modelFolder, MergesFile);
        bool hasVocabulary = File.Exists(vocabularyPath);
        bool hasMerges = File.Exists(mergesPath);
        bool splitsLikeGpt2 = ModelConfigReader.ModelType(modelFolder) is null or "gpt2" or "opt";
        if (File.Exists(json) && !(hasVocabulary && hasMerges && splitsLikeGpt2))
        {
            return TokenizerJson.Read(json, unsupported => new TextTokenizer(unsupported));
        }

        if (!hasVocabulary && !hasMerges)
        {
            return null;
        }

        if (!splitsLikeGpt2)
        {
            return new TextTokenizer(
                $"{VocabularyFile} and {MergesFile} do not say where texts are split; put the model's {TokenizerJson.FileName} into the folder as well.");
        }

        if (!hasVocabulary || !hasMerges)
        {
            (string missing, string present) = hasVocabulary ? (mergesPath, VocabularyFile) : (vocabularyPath, MergesFile);
            throw new InvalidInputException(
                FaultKinds.NotFound, missing, $"The file is missing. A tokenizer is {VocabularyFile} and {MergesFile}, and only {present} is there.");
        }

        BytePairVocabulary vocabulary = BytePairVocabulary.ReadFiles(vocabularyPath, mergesPath);
        var spelling = new ByteLevelSpelling([PieceSplitter.Gpt2], composed: false, vocabulary);
        return new TextTokenizer(vocabulary, new BytePairEncoder(vocabulary), spelling, []);
    }

    /// <summary>
    /// Token ids of a text. No BOS is added. The name of an added token of <c>tokenizer.json</c> (<c>&lt;|endoftext|&gt;</c>) in it is that
    /// token; with <c>vocab.json</c> and <c>merges.txt</c>, which name none, it is text like any other.
    /// </summary>
    /// <param name="text">Any text; empty text has no tokens.</param>
    /// <exception cref="InvalidInputException">
    /// The text cannot be encoded whole: the vocabulary lacks the token of a byte of it (full byte-level vocabularies lack none), it holds an
    /// added token with a rule that is not supported, the tokenizer takes too long (<see cref="FaultKinds.SlowTokenizer"/>), or it is
    /// <see cref="Unsupported"/>.
    /// </exception>
    public IReadOnlyList<int> Encode(string text) => Encode(text, Standing.AtStart);

    /// <summary>
    /// Token ids of a text as it is written in the middle of another, which is where an answer stands: no mark of a space is put before it, as
    /// the tokenizers of Llama 2 and Mistral put one before every text.
    /// </summary>
    /// <inheritdoc cref="Encode(string)"/>
    public IReadOnlyList<int> EncodeWithin(string text) => Encode(text, Standing.Within);

    /// <summary>
    /// A lower bound of how many tokens a text has, without encoding it: encoding takes time that grows with the square of the longest
    /// word, minutes for a megabyte without a space, so texts that cannot fit are better refused by this.
    /// </summary>
    public int FewestTokens(string text) => (int)Math.Ceiling(Encoding.UTF8.GetByteCount(text) / (double)_longestToken);

    /// <summary>
    /// One token's text for display, on one line: bytes that are no whole character and control characters are escaped (<c>\xE6</c>,
    /// <c>\n</c>). An id that has no token gives <c>[id]</c>.
    /// </summary>
    public string TokenText(int id) =>
        _added?.Contents.TryGetValue(id, out string? content) == true ? ByteLevelAlphabet.Readable(Encoding.UTF8.GetBytes(content))
        : _tokens.TryGetValue(id, out string? token) ? _spelling!.Readable(token)
        : $"[{id}]";

    /// <summary>
    /// Encodes texts on which the regular expressions of a bad tokenizer.json take for ever: long runs of one character, and something else
    /// after them. Takes a few milliseconds with a good one.
    /// </summary>
    /// <exception cref="InvalidInputException">It takes too long (<see cref="FaultKinds.SlowTokenizer"/>).</exception>
    public void TryOut()
    {
        string[] ends = ["", "a", "A", "é", "1", " ", "\n", "-", "'", "日"];
        foreach (string text in ends.SelectMany(run => ends.Select(end => string.Concat(Enumerable.Repeat(run, 64)) + end)))
        {
            try
            {
                _ = Encode(text, Standing.AtStart);
            }
            catch (InvalidInputException e) when (e.Faults[0].Kind != FaultKinds.SlowTokenizer)
            {
                // A vocabulary without a token for every character is no matter of time.
            }
        }
    }

    private List<int> Encode(string text, Standing standing)
    {
        if (Unsupported is not null)
        {
            throw new InvalidInputException(FaultKinds.NoTokenizer, "", Unsupported);
        }

        var ids = new List<int>();
        foreach (TextPart part in _added!.Split(text, standing))
        {
            if (part.Id is int added)
            {
                ids.Add(added);
                continue;
            }

            foreach (string piece in _spelling!.Pieces(part.Text, part.Standing))
            {
                _encoder!.Encode(piece, ids);
            }
        }

        return ids;
    }
}
