using System.Text;
using System.Text.Json;
using HeadPatching.Core.Faults;
using Microsoft.ML.Tokenizers;

namespace HeadPatching.Core.Prompts;

/// <summary>
/// A model's byte-level BPE tokenizer, read from the <c>vocab.json</c> and <c>merges.txt</c> of its folder, with GPT-2's rule for where a
/// text is split. May be used from several threads at once.
/// </summary>
public sealed class TextTokenizer
{
    private const string VocabularyFile = "vocab.json";
    private const string MergesFile = "merges.txt";

    private static readonly JsonSerializerOptions Strict = new() { AllowDuplicateProperties = false };

    private readonly BpeTokenizer _bpe;
    private readonly Dictionary<int, string> _tokens;
    private readonly HashSet<byte> _missingBytes;
    private readonly int _longestToken;

    private TextTokenizer(Dictionary<string, int> vocabulary, List<string> merges)
    {
        _bpe = BpeTokenizer.Create(new BpeOptions(vocabulary)
        {
            Merges = merges,
            ByteLevel = true,
            PreTokenizer = new Gpt2PreTokenizer(),
        });
        _tokens = vocabulary.ToDictionary(entry => entry.Value, entry => entry.Key);
        _missingBytes = [.. Enumerable.Range(0, 256).Select(b => (byte)b)
            .Where(b => !vocabulary.ContainsKey(ByteLevelAlphabet.Character(b).ToString()))];
        _longestToken = Math.Max(1, vocabulary.Keys.Max(token => Encoding.UTF8.GetByteCount(token)));
        VocabularySize = _tokens.Keys.Max() + 1;
    }

    /// <summary>The highest token id plus one. A model's vocabulary may be larger (padded), never smaller.</summary>
    public int VocabularySize { get; }

    /// <summary>Reads the tokenizer of a model folder.</summary>
    /// <param name="modelFolder">The folder that holds <c>vocab.json</c> and <c>merges.txt</c>.</param>
    /// <returns>The tokenizer, or null where the folder has neither file: such a model takes token-id prompts only.</returns>
    /// <exception cref="InvalidInputException">Only one of the files is there, or one cannot be read or is malformed.</exception>
    public static TextTokenizer? Load(string modelFolder)
    {
        string vocabularyPath = Path.Combine(modelFolder, VocabularyFile);
        string mergesPath = Path.Combine(modelFolder, MergesFile);
        bool hasVocabulary = File.Exists(vocabularyPath);
        bool hasMerges = File.Exists(mergesPath);
        if (!hasVocabulary && !hasMerges)
        {
            return null;
        }

        if (!hasVocabulary || !hasMerges)
        {
            (string missing, string present) = hasVocabulary ? (mergesPath, VocabularyFile) : (vocabularyPath, MergesFile);
            throw new InvalidInputException(
                FaultKinds.NotFound, missing, $"The file is missing. A tokenizer is {VocabularyFile} and {MergesFile}, and only {present} is there.");
        }

        Dictionary<string, int> vocabulary = ReadVocabulary(vocabularyPath);
        return new TextTokenizer(vocabulary, ReadMerges(mergesPath, vocabulary));
    }

    /// <summary>Token ids of a text. No BOS is added; the name of a special token in it is text like any other.</summary>
    /// <param name="text">Any text; empty text has no tokens.</param>
    /// <exception cref="InvalidInputException">
    /// The vocabulary lacks the token of a byte of the text (full byte-level vocabularies lack none), so that it cannot be encoded whole.
    /// </exception>
    public IReadOnlyList<int> Encode(string text)
    {
        if (_missingBytes.Count > 0)
        {
            RefuseMissingBytes(text);
        }

        return _bpe.EncodeToIds(text);
    }

    /// <summary>
    /// A lower bound of how many tokens a text has, without encoding it: encoding takes time that grows with the square of the longest
    /// word, minutes for a megabyte without a space, so texts that cannot fit are better refused by this.
    /// </summary>
    public int FewestTokens(string text) => (int)Math.Ceiling(Encoding.UTF8.GetByteCount(text) / (double)_longestToken);

    /// <summary>
    /// One token's text for display, on one line: bytes that are no whole character and control characters are escaped (<c>\xE6</c>,
    /// <c>\n</c>). An id that has no token gives <c>[id]</c>.
    /// </summary>
    public string TokenText(int id) => _tokens.TryGetValue(id, out string? token) ? ByteLevelAlphabet.Readable(token) : $"[{id}]";

    private static Dictionary<string, int> ReadVocabulary(string path)
    {
        Dictionary<string, int>? vocabulary;
        try
        {
            using FileStream stream = File.OpenRead(path);
            vocabulary = JsonSerializer.Deserialize<Dictionary<string, int>>(stream, Strict);
        }
        catch (JsonException e)
        {
            string where = e.LineNumber is long line ? $"{path}:{line + 1}" : path;
            throw new InvalidInputException(
                FaultKinds.Malformed, where, "The vocabulary is not a JSON object of distinct tokens with their ids, such as {\"a\": 64}.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InvalidInputException(FaultKinds.NotFound, path, $"The vocabulary cannot be read: {e.Message}");
        }

        if (vocabulary is null || vocabulary.Count == 0)
        {
            throw new InvalidInputException(FaultKinds.Malformed, path, "The vocabulary has no tokens.");
        }

        var tokens = new Dictionary<int, string>(vocabulary.Count);
        foreach ((string token, int id) in vocabulary)
        {
            // The highest id is left out because the vocabulary's size, one more, must be a whole number too.
            if (id is < 0 or int.MaxValue)
            {
                throw new InvalidInputException(
                    FaultKinds.Malformed, path, $"The token \"{ByteLevelAlphabet.Readable(token)}\" has the id {id}, which no token can have.");
            }

            if (!tokens.TryAdd(id, token))
            {
                throw new InvalidInputException(
                    FaultKinds.Malformed,
                    path,
                    $"Two tokens have the id {id}: \"{ByteLevelAlphabet.Readable(tokens[id])}\" and \"{ByteLevelAlphabet.Readable(token)}\".");
            }
        }

        return vocabulary;
    }

    private static List<string> ReadMerges(string path, Dictionary<string, int> vocabulary)
    {
        var merges = new List<string>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        int number = 0;
        try
        {
            foreach (string line in File.ReadLines(path))
            {
                number++;
                // Only the first line can be the header: "# #" further down is a merge of two number signs.
                if (line.Length == 0 || (number == 1 && line.StartsWith("#version", StringComparison.Ordinal)))
                {
                    continue;
                }

                string[] parts = line.Split(' ');
                if (parts.Length != 2 || parts.Any(part => part.Length == 0))
                {
                    throw Malformed("A merge is two tokens with one space between them.");
                }

                if (Array.Find([parts[0], parts[1], parts[0] + parts[1]], token => !vocabulary.ContainsKey(token)) is string absent)
                {
                    throw Malformed($"The merge needs the token \"{ByteLevelAlphabet.Readable(absent)}\", which {VocabularyFile} does not have.");
                }

                if (!seen.Add(line))
                {
                    throw Malformed("The merge is in the file twice.");
                }

                merges.Add(line);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InvalidInputException(FaultKinds.NotFound, path, $"The merges cannot be read: {e.Message}");
        }

        return merges;

        InvalidInputException Malformed(string message) => new(FaultKinds.Malformed, $"{path}:{number}", message);
    }

    // The library leaves out what has no token, without a word; a prompt must not change silently.
    private void RefuseMissingBytes(string text)
    {
        foreach (Rune rune in text.EnumerateRunes())
        {
            if (Encoding.UTF8.GetBytes(rune.ToString()).Any(_missingBytes.Contains))
            {
                throw new InvalidInputException(
                    FaultKinds.OutsideVocabulary,
                    string.Empty,
                    $"The character U+{rune.Value:X4} cannot be encoded: {VocabularyFile} has no tokens for its bytes.");
            }
        }
    }
}
