using System.Text;
using System.Text.Json;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Prompts.Datasets.Ioi;
using HeadPatching.Testing;

namespace HeadPatching.Core.Tests.Prompts;

public class TextTokenizerTests
{
    [Fact]
    [NeedsShared]
    public void GPT_2s_tokenizer_gives_every_golden_id() => AssertGoldenIds(Gpt2Files.Tokenizer());

    /// <summary>
    /// Words, numbers, signs, contractions, white space and scripts in every order. Left out is where the package's encoder is not GPT-2's own:
    /// runs of commas (it takes two merges for one another) and U+0085, U+FEFF (JavaScript's white space is not Unicode's).
    /// </summary>
    [Fact]
    public async Task GPT_2s_tokens_are_those_of_the_encoder_that_comes_with_its_files()
    {
        TextTokenizer tokenizer = Gpt2Files.Tokenizer();
        string[] parts =
        [
            "When", " Mary", "and", " John", "'s", "'ll", "'D", " I'm", "store", ", ", ".", "...", "!?", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "7", " 42",
            "1732", "3.14", "½", "Ⅷ", "naïve", "e\u0301", "Ελληνικά", "привет", "日本語", "हिन्दी", "ไทย", "한국어", "עברית", "😀", "👩\u200d🚀", "𝒜", "—", "“", "€", "<|endoftext|>", "_", "[0]", "\\",
        ];
        var random = new Random(0);
        string[] texts = [.. Enumerable.Range(0, 500).Select(_ => string.Concat(random.GetItems(parts, random.Next(1, 12))))];
        int[][] expected = await Gpt2Files.EncodeInJavaScriptAsync(texts);
        Assert.Equal(texts.Length, expected.Length);
        Assert.All(texts.Zip(expected), text => Assert.Equal(text.Second, tokenizer.Encode(text.First)));
    }

    [Fact]
    public void GPT_2s_tokens_read_as_their_text()
    {
        TextTokenizer tokenizer = Gpt2Files.Tokenizer();
        Assert.Equal(" Mary", tokenizer.TokenText(5335));
        Assert.Equal("<|endoftext|>", tokenizer.TokenText(50256));
        Assert.Equal(@"\n\n", tokenizer.TokenText(628));
    }

    [Fact]
    public void Built_in_datasets_can_be_swept_on_GPT_2()
    {
        TextTokenizer tokenizer = Gpt2Files.Tokenizer();
        foreach (FixedIoi dataset in new[] { FixedIoi.SubjectSwapped, FixedIoi.NamesSwapped })
        {
            IReadOnlyList<TokenPair> pairs = PairTokenizer.Tokenize(
                dataset.Pairs, TestConfig.With(vocabulary: 50257, bosId: 50256), tokenizer, null, PairTokenizer.PathUnder(dataset.Name), "");
            Assert.Equal(5, pairs.Count);
            Assert.All(pairs, pair => Assert.Equal(15, pair.Length));
            Assert.All(pairs, pair => Assert.Equal(dataset.Name == "ioi" ? 10 : 2, pair.FirstDifference));
        }
    }

    [Fact]
    public void Merges_are_applied_in_their_order_and_within_words_only()
    {
        TextTokenizer tokenizer = SmallTokenizer.Load();
        Assert.Equal("ab|Ġab|Ġ|xy", SmallTokenizer.Written(tokenizer.Encode("ab ab xy")));
        Assert.Equal("Ġ|Ġab", SmallTokenizer.Written(tokenizer.Encode("  ab")));
    }

    [Theory]
    [InlineData("𝒜's", 6)] // a letter beyond U+FFFF is 4 bytes, then 's: a contraction, not part of a run of signs
    [InlineData("𝟗9", 5)]
    [InlineData("😀!", 5)]
    public void Text_beyond_the_basic_plane_keeps_every_byte(string text, int tokens) =>
        Assert.Equal(tokens, SmallTokenizer.Load().Encode(text).Count);

    [Fact]
    public void A_contraction_after_a_letter_beyond_the_basic_plane_is_split_as_after_any_letter()
    {
        using var folder = new TemporaryFolder();
        Dictionary<string, int> vocabulary = SmallTokenizer.Vocabulary();
        vocabulary["'s"] = 500;
        SmallTokenizer.Write(folder, vocabulary, [.. SmallTokenizer.Merges, "' s"]);
        Assert.Equal(500, TextTokenizer.Load(folder.Path)!.Encode("𝒜's")[^1]);
    }

    [Fact]
    public void Every_byte_comes_back_from_the_tokens()
    {
        TextTokenizer tokenizer = SmallTokenizer.Load();
        const string Text = "naïve — 日本語 😀👩‍🚀 it's 3.14";
        Assert.Equal(Encoding.UTF8.GetByteCount(Text), tokenizer.Encode(Text).Count);
    }

    [Theory]
    [InlineData("ab", "ab")]
    [InlineData("Ġab", " ab")]
    [InlineData("æĹ¥", "日")]
    [InlineData("æĹ", @"\xE6\x97")]
    [InlineData("Ġæ", @" \xE6")]
    [InlineData("Ċ", @"\n")]
    [InlineData("ÄĽ[31m", "ě[31m")]
    [InlineData("Ľ", @"\x9B")]
    [InlineData("ě", @"\x1B")]
    [InlineData("âĢ®", @"\xE2\x80\xAE")] // right-to-left override
    [InlineData("[added token]", "[added token]")]
    public void A_tokens_text_is_readable_on_one_line(string token, string text)
    {
        using var folder = new TemporaryFolder();
        Dictionary<string, int> vocabulary = SmallTokenizer.Vocabulary();
        vocabulary.TryAdd(token, 400);
        SmallTokenizer.Write(folder, vocabulary);
        Assert.Equal(text, TextTokenizer.Load(folder.Path)!.TokenText(vocabulary[token]));
    }

    [Fact]
    public void An_id_without_a_token_still_has_a_text() => Assert.Equal("[9999]", SmallTokenizer.Load().TokenText(9999));

    [Fact]
    public void A_folder_without_tokenizer_files_has_no_tokenizer()
    {
        using var folder = new TemporaryFolder();
        Assert.Null(TextTokenizer.Load(folder.Path));
    }

    [Theory]
    [InlineData("vocab.json", "merges.txt")]
    [InlineData("merges.txt", "vocab.json")]
    public void Half_a_tokenizer_is_refused_and_the_missing_file_named(string missing, string present)
    {
        using var folder = new TemporaryFolder();
        SmallTokenizer.Write(folder);
        File.Delete(Path.Combine(folder.Path, missing));
        Fault fault = LoadFault(folder);
        Assert.Equal(FaultKinds.NotFound, fault.Kind);
        Assert.Equal(Path.Combine(folder.Path, missing), fault.Where);
        Assert.Contains($"only {present} is there", fault.Message);
    }

    [Theory]
    [InlineData("{\"a\": 0, \"b\": 1", "not a JSON object")]
    [InlineData("", "not a JSON object")]
    [InlineData("[\"a\"]", "not a JSON object")]
    [InlineData("{\"a\": \"0\"}", "not a JSON object")]
    [InlineData("{\"a\": 1.5}", "not a JSON object")]
    [InlineData("{\"a\": 0, \"a\": 1}", "not a JSON object")]
    [InlineData("{\"\\ud83d\": 0}", "not a JSON object")]
    [InlineData("null", "no tokens")]
    [InlineData("{}", "no tokens")]
    [InlineData("{\"a\": -1}", "id -1")]
    [InlineData("{\"a\": 2147483647}", "id 2147483647")]
    [InlineData("{\"a\": 3, \"b\": 3}", "Two tokens have the id 3: \"a\" and \"b\"")]
    public void A_malformed_vocabulary_is_refused(string vocabulary, string message)
    {
        using var folder = new TemporaryFolder();
        folder.Write("vocab.json", vocabulary);
        folder.Write("merges.txt", "#version: 0.2\n");
        Fault fault = LoadFault(folder);
        Assert.Equal(FaultKinds.Malformed, fault.Kind);
        Assert.Contains("vocab.json", fault.Where);
        Assert.Contains(message, fault.Message);
    }

    [Theory]
    [InlineData("a b\nab", 3, "two tokens with one space")]
    [InlineData("a b c", 2, "two tokens with one space")]
    [InlineData("a ", 2, "two tokens with one space")]
    [InlineData("a b\na c", 3, "needs the token \"ac\"")]
    [InlineData("a b\na b", 3, "twice")]
    public void A_malformed_merge_is_refused_with_its_line(string merges, int line, string message)
    {
        using var folder = new TemporaryFolder();
        SmallTokenizer.Write(folder, merges: merges.Split('\n'));
        Fault fault = LoadFault(folder);
        Assert.Equal(FaultKinds.Malformed, fault.Kind);
        Assert.EndsWith($"merges.txt:{line}", fault.Where);
        Assert.Contains(message, fault.Message);
    }

    [Fact]
    public void Merges_may_have_Windows_line_ends_and_no_header()
    {
        using var folder = new TemporaryFolder();
        SmallTokenizer.Write(folder);
        folder.Write("merges.txt", string.Join("\r\n", SmallTokenizer.Merges));
        Assert.Equal("ab|Ġab", SmallTokenizer.Written(TextTokenizer.Load(folder.Path)!.Encode("ab ab")));
    }

    [Fact]
    public void A_character_whose_bytes_have_no_tokens_is_refused_and_not_dropped()
    {
        using var folder = new TemporaryFolder();
        SmallTokenizer.Write(folder, new() { ["a"] = 0, ["b"] = 1, ["ab"] = 2 }, ["a b"]);
        TextTokenizer tokenizer = TextTokenizer.Load(folder.Path)!;
        Assert.Equal([2, 0], tokenizer.Encode("aba"));
        Fault fault = Assert.Single(Assert.Throws<InvalidInputException>(() => tokenizer.Encode("abc")).Faults);
        Assert.Equal(FaultKinds.OutsideVocabulary, fault.Kind);
        Assert.Contains("U+0063", fault.Message);
    }

    private static Fault LoadFault(TemporaryFolder folder) =>
        Assert.Single(Assert.Throws<InvalidInputException>(() => TextTokenizer.Load(folder.Path)).Faults);

    /// <summary>Every id of the reference values, and the size of the vocabulary.</summary>
    internal static void AssertGoldenIds(TextTokenizer tokenizer)
    {
        Assert.Equal(50257, tokenizer.VocabularySize);
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllText(SharedFolder.Require("golden/gpt2-tokenizer/golden-tokens.json")));
        Assert.All(golden.RootElement.GetProperty("cases").EnumerateArray(), testCase =>
        {
            int[] ids = testCase.GetProperty("ids").Deserialize<int[]>()!;
            Assert.Equal(ids, tokenizer.Encode(testCase.GetProperty("text").GetString()!));
        });
    }
}
