using System.Text.Json.Nodes;
using HeadPatching.Core.Prompts;
using HeadPatching.Testing;

namespace HeadPatching.Core.Tests.Prompts;

/// <summary>Tokenizers of every form that is supported give the token ids that Hugging Face's tokenizers give.</summary>
public class TokenizerReferenceTests
{
    private const string Qwen =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    // gpt-oss's and Phi-4's.
    private const string O200k =
        @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        + @"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        + @"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private const string WithoutLookaround = @" ?\p{L}+| ?[^\s\p{L}\p{N}]+|\p{N}{1,2}|\s+?\n|\s+";

    private static readonly string[] Parts =
    [
        "When", " Mary", " and", " John", "'s", "'LL", " I'm", "store", ", ", ".", "...", "!?", " ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\u00a0", "\u3000", "7", " 42", "1732",
        "3.14", "½", "Ⅷ", "𝟗", "naïve", "cafe\u0301", "e\u0301\u0323", "\u212B", "\u1112\u1161\u11AB", "한국어", "Ελληνικά", "привет", "日本語", "हिन्दी में", "क\u093C", "ไทยน้ำ", "বাংলা ভাষা", "தமிழ் கொ",
        "עברית", "עִבְרִית", "العَرَبِيَّة", "😀", "👩\u200d🚀", "𝒜", "—", "“", "€", "_", "[0]", "\\", "</s>", "<pad>", " <pad>", "<m>", "p d", "ab", " ab", "xy", "▁", "a▁b",
    ];

    public static TheoryData<string> Forms { get; } =
    [
        "byte-level", "byte-level, Llama 3", "byte-level NFC, Qwen", "byte-level, without lookaround", "byte-level, o200k",
        "byte-level, only matches", "byte-level, digits", "byte-level, each digit", "Prepend and Replace", "Replace", "Replace, Gemma",
        "Metaspace always", "Metaspace first", "Metaspace never", "Metaspace always, split", "Metaspace first, split", "Metaspace never, split",
    ];

    [Theory]
    [MemberData(nameof(Forms))]
    public async Task Every_token_is_that_of_Hugging_Faces_tokenizers(string form)
    {
        JsonObject json = Form(form);
        var random = new Random(0);
        string[] texts = [.. Parts, .. Enumerable.Range(0, 1000).Select(_ => string.Concat(random.GetItems(Parts, random.Next(1, 12))))];
        TextTokenizer ours = Load(json);
        int[][] theirs = await ReferenceTokenizers.EncodeAsync(json, texts);
        Assert.Equal(texts.Length, theirs.Length);
        Assert.All(texts.Zip(theirs), text => Assert.Equal(text.Second, ours.Encode(text.First)));
        Assert.All(texts.Zip(theirs), text => Assert.InRange(ours.FewestTokens(text.First), 0, text.Second.Length));
    }

    /// <summary>Wherever their tokens of prompt and answer are those of the prompt and one more, that one is the answer's token, and the pair is taken with it.</summary>
    [Theory]
    [MemberData(nameof(Forms))]
    public async Task An_answer_is_the_token_with_which_the_text_goes_on(string form)
    {
        JsonObject json = Form(form);
        var random = new Random(1);
        (string Prompt, string Answer)[] cases =
            [.. Enumerable.Range(0, 600).Select(_ => (string.Concat(random.GetItems(Parts, random.Next(1, 6))), string.Concat(random.GetItems(Parts, random.Next(1, 3)))))];
        int[][] prompts = await ReferenceTokenizers.EncodeAsync(json, [.. cases.Select(one => one.Prompt)]);
        int[][] wholes = await ReferenceTokenizers.EncodeAsync(json, [.. cases.Select(one => one.Prompt + one.Answer)]);
        TextTokenizer ours = Load(json);
        int continuations = 0;
        foreach (var ((prompt, answer), before, whole) in cases.Zip(prompts, wholes))
        {
            if (whole.Length != before.Length + 1 || !whole.Take(before.Length).SequenceEqual(before) || before.Length == 0)
            {
                continue;
            }

            continuations++;
            var pair = new PromptPair(Prompt.Of(prompt), Prompt.Of(prompt), Answer.Of(answer), Answer.Of(whole[^1] == 5 ? 6 : 5));
            TokenPair tokens = Assert.Single(PairTokenizer.Tokenize([pair], TestConfig.With(ours.VocabularySize, context: 4096), ours, null, PairTokenizer.PathUnder("pairs"), ""));
            Assert.Equal(before, tokens.Clean);
            Assert.Equal(whole[^1], Assert.Single(tokens.Correct.Ids));
        }

        Assert.True(continuations > 20, $"Only {continuations} cases are continuations.");
    }

    private static JsonObject Form(string form)
    {
        string[] parts = form.Split(", ");
        JsonObject json = form.StartsWith("byte-level", StringComparison.Ordinal) ? ByteLevel(parts) : MarkedSpaceTokenizer.Json();
        JsonArray added = json["added_tokens"]!.AsArray();
        int next = json["model"]!["vocab"]!.AsObject().Count;
        added.Add(TokenizerJsonTests.Added(next, "<pad>", normalized: true));
        added.Add(TokenizerJsonTests.Added(next + 1, "p d", normalized: true));
        added.Add(TokenizerJsonTests.Added(next + 2, "e\u0323\u0301", normalized: true)); // in another order than normal form C has them
        added.Add(TokenizerJsonTests.Added(next + 3, "<m>"));
        if (parts[0] == "Replace")
        {
            json["normalizer"] = json["normalizer"]!["normalizers"]![1]!.DeepClone();
            if (parts.Length > 1)
            {
                json["pre_tokenizer"] = JsonNode.Parse("""{"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false}""");
                added.Add(TokenizerJsonTests.Added(next + 4, "\n\n"));
                added.Add(TokenizerJsonTests.Added(next + 5, "▁▁"));
            }
        }
        else if (parts[0].StartsWith("Metaspace", StringComparison.Ordinal))
        {
            json["normalizer"] = null;
            json["pre_tokenizer"] = new JsonObject
            {
                ["type"] = "Metaspace",
                ["replacement"] = "▁",
                ["prepend_scheme"] = parts[0].Split(' ')[1],
                ["split"] = parts.Length > 1,
            };
        }

        return json;
    }

    private static JsonObject ByteLevel(string[] parts)
    {
        JsonObject json = TokenizerJsonTests.Json(_ => { });
        if (parts[0].EndsWith("NFC", StringComparison.Ordinal))
        {
            json["normalizer"] = new JsonObject { ["type"] = "NFC" };
        }

        string? pattern = parts.ElementAtOrDefault(1) switch
        {
            "Llama 3" => TokenizerJsonTests.Llama3,
            "Qwen" => Qwen,
            "without lookaround" => WithoutLookaround,
            "o200k" => O200k,
            "only matches" => TokenizerJsonTests.Llama3,
            _ => null,
        };
        if (pattern is not null)
        {
            json["pre_tokenizer"] = TokenizerJsonTests.Split(pattern);
        }

        switch (parts.ElementAtOrDefault(1))
        {
            case "only matches": // OLMo 2's
                json["pre_tokenizer"]!["pretokenizers"]![0]!["behavior"] = "Removed";
                json["pre_tokenizer"]!["pretokenizers"]![0]!["invert"] = true;
                break;

            case "digits" or "each digit": // Granite's
                json["pre_tokenizer"] = new JsonObject
                {
                    ["type"] = "Sequence",
                    ["pretokenizers"] = new JsonArray(
                        new JsonObject { ["type"] = "Digits", ["individual_digits"] = parts[1] == "each digit" },
                        new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = true, ["use_regex"] = true }),
                };
                break;
        }

        return json;
    }

    private static TextTokenizer Load(JsonObject json)
    {
        using var folder = new TemporaryFolder();
        folder.Write("tokenizer.json", json.ToJsonString());
        TextTokenizer tokenizer = TextTokenizer.Load(folder.Path)!;
        Assert.Null(tokenizer.Unsupported);
        return tokenizer;
    }
}
