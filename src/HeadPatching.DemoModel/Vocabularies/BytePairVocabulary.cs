using System.Text.Encodings.Web;
using System.Text.Json;
using HeadPatching.Core.Prompts;

namespace HeadPatching.DemoModel.Vocabularies;

/// <summary>A byte-level byte-pair vocabulary (BPE) in GPT-2's form.</summary>
/// <remarks>
/// <see cref="Train"/> is the standard algorithm (Sennrich et al. 2016, as in GPT-2) carried on until no word is left in pieces. A
/// tokenizer applies the merges in the order in which they were found, so it repeats for every trained word what training did to it,
/// and ends where training ended: each trained word is exactly one token. Any other text still has tokens, down to single bytes.
/// </remarks>
public sealed class BytePairVocabulary
{
    /// <summary>The token that begins every text, and that ends it: GPT-2 has one for both.</summary>
    public const string EndOfText = "<|endoftext|>";

    private static readonly JsonSerializerOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private BytePairVocabulary(IReadOnlyList<(string Left, string Right)> merges)
    {
        Merges = merges;
        var joined = merges.Select(merge => merge.Left + merge.Right).Distinct();
        Tokens = [.. ByteLevelAlphabet.Letters.Select(letter => letter.ToString()), .. joined, EndOfText];
    }

    /// <summary>All tokens, spelled in the <see cref="ByteLevelAlphabet"/>; a token's place is its id. The end of text is last.</summary>
    public IReadOnlyList<string> Tokens { get; }

    /// <summary>Which two tokens are joined, the first to be applied first.</summary>
    public IReadOnlyList<(string Left, string Right)> Merges { get; }

    /// <summary>The id of <see cref="EndOfText"/>.</summary>
    public int EndOfTextId => Tokens.Count - 1;

    /// <summary>Finds the merges that make each of these words one token.</summary>
    /// <param name="words">Words as a sentence has them, those after a space with that space: "When", " Mary", ",".</param>
    public static BytePairVocabulary Train(IEnumerable<string> words)
    {
        var spellings = words.Distinct().Select(word => ByteLevelAlphabet.Spell(word).Select(letter => letter.ToString()).ToList()).ToList();
        var merges = new List<(string Left, string Right)>();
        while (spellings.Any(pieces => pieces.Count > 1))
        {
            // The pair of neighbours that comes most often; among equals the first by spelling, so that the outcome is always the same.
            var (left, right) = spellings
                .SelectMany(pieces => pieces.Zip(pieces.Skip(1)))
                .CountBy(pair => pair)
                .OrderByDescending(count => count.Value)
                .ThenBy(count => count.Key.First, StringComparer.Ordinal)
                .ThenBy(count => count.Key.Second, StringComparer.Ordinal)
                .First().Key;
            merges.Add((left, right));
            spellings.ForEach(pieces => Join(pieces, left, right));
        }

        return new BytePairVocabulary(merges);
    }

    /// <summary>Writes vocab.json and merges.txt, which any GPT-2 tokenizer reads.</summary>
    /// <param name="folder">An existing folder; files of these names are replaced.</param>
    public void Save(string folder)
    {
        var ids = Tokens.Select((token, id) => (token, id)).ToDictionary(entry => entry.token, entry => entry.id);
        File.WriteAllText(Path.Combine(folder, "vocab.json"), JsonSerializer.Serialize(ids, Readable));
        var lines = Merges.Select(merge => $"{merge.Left} {merge.Right}");
        File.WriteAllText(Path.Combine(folder, "merges.txt"), string.Join('\n', ["#version: 0.2", .. lines, ""]));
    }

    private static void Join(List<string> pieces, string left, string right)
    {
        for (var i = 0; i + 1 < pieces.Count; i++)
        {
            if (pieces[i] == left && pieces[i + 1] == right)
            {
                pieces[i] = left + right;
                pieces.RemoveAt(i + 1);
            }
        }
    }
}
