using System.Text.Json;
using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts.Tokenizers;

/// <summary>The tokens and merges of a byte-pair encoding.</summary>
/// <param name="Tokens">The tokens as the vocabulary writes them, with their ids.</param>
/// <param name="Merges">The merges, first to last, each two tokens with a space between them.</param>
/// <param name="Source">The name of the file that the tokens are in, for messages.</param>
internal sealed record BytePairVocabulary(IReadOnlyDictionary<string, int> Tokens, IReadOnlyList<string> Merges, string Source)
{
    private const string VocabularyFile = "vocab.json";

    private static readonly JsonSerializerOptions Strict = new() { AllowDuplicateProperties = false };

    /// <summary>Reads a <c>vocab.json</c> and the <c>merges.txt</c> beside it.</summary>
    /// <exception cref="InvalidInputException">A file cannot be read or is malformed.</exception>
    public static BytePairVocabulary ReadFiles(string vocabularyPath, string mergesPath)
    {
        foreach (string path in new[] { vocabularyPath, mergesPath })
        {
            StrictJson.CheckLength(path);
        }

        Dictionary<string, int> tokens = ReadTokens(vocabularyPath);
        return new BytePairVocabulary(tokens, ReadMerges(mergesPath, tokens), Path.GetFileName(vocabularyPath));
    }

    /// <summary>Says what is wrong with a vocabulary's tokens; null where nothing is.</summary>
    public static string? WhatIsWrong(IReadOnlyDictionary<string, int> tokens)
    {
        if (tokens.Count == 0)
        {
            return "The vocabulary has no tokens.";
        }

        var known = new Dictionary<int, string>(tokens.Count);
        foreach ((string token, int id) in tokens)
        {
            // The highest id is left out because the vocabulary's size, one more, must be a whole number too.
            if (id is < 0 or int.MaxValue)
            {
                return $"The token \"{ByteLevelAlphabet.Readable(token)}\" has the id {id}, which no token can have.";
            }

            if (!known.TryAdd(id, token))
            {
                return $"Two tokens have the id {id}: \"{ByteLevelAlphabet.Readable(known[id])}\" and \"{ByteLevelAlphabet.Readable(token)}\".";
            }
        }

        return null;
    }

    /// <summary>Says what is wrong with a merge; null where nothing is.</summary>
    /// <param name="parts">Its two tokens.</param>
    /// <param name="tokens">The vocabulary.</param>
    /// <param name="source">The file that the vocabulary is in.</param>
    public static string? WhatIsWrong(IReadOnlyList<string> parts, IReadOnlyDictionary<string, int> tokens, string source)
    {
        if (parts.Count != 2 || parts.Any(part => part.Length == 0 || part.Contains(' ')))
        {
            return "A merge is two tokens with one space between them.";
        }

        return Array.Find([parts[0], parts[1], parts[0] + parts[1]], token => !tokens.ContainsKey(token)) is string absent
            ? $"The merge needs the token \"{ByteLevelAlphabet.Readable(absent)}\", which {source} does not have."
            : null;
    }

    private static Dictionary<string, int> ReadTokens(string path)
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

        vocabulary ??= [];
        return WhatIsWrong(vocabulary) is string wrong ? throw new InvalidInputException(FaultKinds.Malformed, path, wrong) : vocabulary;
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

                if (WhatIsWrong(line.Split(' '), vocabulary, VocabularyFile) is string wrong)
                {
                    throw Malformed(wrong);
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
}
