using System.Text.Json;
using System.Text.Json.Nodes;
using HeadPatching.Core.Prompts.Datasets.Ioi;

namespace HeadPatching.Testing;

/// <summary>
/// A tokenizer.json of the form that Llama 2 and Mistral have (Prepend and Replace, byte fallback, no pre-tokenizer), small enough to see
/// through: special tokens, bytes, characters, and words of the built-in datasets, of each as many as it needs, as one token with the mark of a space before it.
/// Digits are one token each, as theirs are.
/// </summary>
internal static class MarkedSpaceTokenizer
{
    public const int Bos = 1;

    private static readonly string[] Further =
    [
        "The", "lasted", "from", "the", "year", "to", "war", "siege", "voyage", "reign", "famine", "truce", "feud", "trial",
        .. "width height color depth weight speed price count limit offset level mode So That person he she man woman nurse captain is are has have".Split(' '),
        .. "teacher teachers student students likes like laughs laugh Red Orange Yellow Green Blue Purple pencil cup plate bottle bowl phone".Split(' '),
        .. Enumerable.Range('A', 26).Select(letter => $"{(char)letter}"),
    ];

    /// <summary>The tokens in the order of their ids, and the merges.</summary>
    /// <param name="yearsInTwo">Whether " 17" and "32" are tokens, too.</param>
    public static (string[] Tokens, string[] Merges) Vocabulary(bool yearsInTwo = false)
    {
        IEnumerable<string> words = IoiWords.Names.Concat(IoiWords.Places).Concat(IoiWords.Objects)
            .Concat(IoiTemplates.All.SelectMany(template => template.Split(' ', ',')).Where(word => word.Length > 0 && word[0] != '{'))
            .Concat(Further)
            .Concat(yearsInTwo ? Enumerable.Range(11, 7).Select(century => $"{century}") : [])
            .Distinct();
        // Each word grows by one character at a time from its mark, and nothing else merges: whatever stands beside it, it comes out whole.
        IEnumerable<(string Left, string Right)> merges = words
            .SelectMany(word => Enumerable.Range(0, word.Length).Select(end => ("▁" + word[..end], word[end].ToString())))
            .Concat(yearsInTwo ? Enumerable.Range(0, 100).Select(ending => ($"{ending / 10}", $"{ending % 10}")) : [])
            .Distinct();
        string[] characters = ["▁", .. Enumerable.Range('!', '~' - '!' + 1).Select(c => ((char)c).ToString())];
        string[] tokens =
            ["<unk>", "<s>", "</s>", .. Enumerable.Range(0, 256).Select(b => $"<0x{b:X2}>"), .. characters, .. merges.Select(merge => merge.Left + merge.Right)];
        return (tokens, [.. merges.Select(merge => $"{merge.Left} {merge.Right}")]);
    }

    /// <summary>The file.</summary>
    public static JsonObject Json(bool yearsInTwo = false)
    {
        var (tokens, merges) = Vocabulary(yearsInTwo);
        var json = (JsonObject)JsonNode.Parse(
            """
            {
              "version": "1.0", "truncation": null, "padding": null,
              "added_tokens": [
                {"id": 0, "content": "<unk>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
                {"id": 1, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
                {"id": 2, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}
              ],
              "normalizer": {"type": "Sequence", "normalizers": [
                {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
              "pre_tokenizer": null, "post_processor": null, "decoder": null,
              "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null, "end_of_word_suffix": null,
                "fuse_unk": true, "byte_fallback": true, "ignore_merges": false}
            }
            """)!;
        json["model"]!["vocab"] = JsonSerializer.SerializeToNode(tokens.Select((token, id) => (token, id)).ToDictionary(entry => entry.token, entry => entry.id));
        json["model"]!["merges"] = new JsonArray([.. merges.Select(merge => JsonValue.Create(merge))]);
        return json;
    }
}
