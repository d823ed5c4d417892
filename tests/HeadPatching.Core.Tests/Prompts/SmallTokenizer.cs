using System.Text;
using System.Text.Json;
using HeadPatching.Core.Prompts;
using HeadPatching.Testing;

namespace HeadPatching.Core.Tests.Prompts;

/// <summary>
/// A byte-level BPE tokenizer small enough to see through: ids 0 to 255 are the bytes' characters in ascending order of the character,
/// then one token for each merge.
/// </summary>
internal static class SmallTokenizer
{
    public static readonly string[] Merges = ["a b", "Ġ ab", "x y", "Ġ x", "Ġx y", "Ġ c", "Ġc d"];

    /// <summary>The 256 characters of the byte-level alphabet: the printable ones, and U+0100 to U+0143 for the other bytes.</summary>
    public static IEnumerable<string> Alphabet { get; } =
    [
        .. Enumerable.Range('!', '~' - '!' + 1)
            .Concat(Enumerable.Range(0xA1, 12))
            .Concat(Enumerable.Range(0xAE, 82))
            .Concat(Enumerable.Range(0x100, 68))
            .Select(c => ((char)c).ToString()),
    ];

    public static Dictionary<string, int> Vocabulary() =>
        Alphabet.Concat(Merges.Select(merge => merge.Replace(" ", string.Empty))).Select((token, id) => (token, id)).ToDictionary(t => t.token, t => t.id);

    public static void Write(TemporaryFolder folder, Dictionary<string, int>? vocabulary = null, IEnumerable<string>? merges = null)
    {
        folder.Write("vocab.json", JsonSerializer.Serialize(vocabulary ?? Vocabulary()));
        folder.Write("merges.txt", "#version: 0.2\n" + string.Concat((merges ?? Merges).Select(merge => merge + "\n")));
    }

    public static TextTokenizer Load()
    {
        using var folder = new TemporaryFolder();
        Write(folder);
        return TextTokenizer.Load(folder.Path)!;
    }

    /// <summary>The id of a token as the vocabulary writes it.</summary>
    public static int Id(string token) => Vocabulary()[token];

    /// <summary>A text's tokens as the vocabulary writes them.</summary>
    public static string Written(IReadOnlyList<int> ids)
    {
        Dictionary<int, string> tokens = Vocabulary().ToDictionary(entry => entry.Value, entry => entry.Key);
        return new StringBuilder().AppendJoin('|', ids.Select(id => tokens[id])).ToString();
    }
}
