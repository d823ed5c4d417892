using System.Text.Json;
using System.Text.Json.Nodes;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Prompts;
using HeadPatching.Testing;

namespace HeadPatching.Core.Tests.Prompts;

/// <summary>What a tokenizer.json makes of a text is what Hugging Face's tokenizers make of it; what may differ is refused.</summary>
public class TokenizerJsonTests
{
    internal const string Llama3 =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private static readonly int FirstAdded = SmallTokenizer.Vocabulary().Count;

    /// <summary>
    /// GPT-2's own tokenizer.json is not at hand, so it is built of its vocabulary and merges, in both forms that merges have. The golden ids
    /// were made without added tokens: there the name of one is text like any other.
    /// </summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    [NeedsShared]
    public void GPT_2s_tokenizer_gives_every_golden_id(bool mergesAsPairs) =>
        TextTokenizerTests.AssertGoldenIds(LoadGpt2(Gpt2Files.Folder(), mergesAsPairs, []));

    [Fact]
    public void GPT_2s_end_of_text_is_its_token()
    {
        TextTokenizer tokenizer = LoadGpt2(Gpt2Files.Folder(), false, [Added(50256, "<|endoftext|>", normalized: true)]);
        Assert.Equal([50256, 5335], tokenizer.Encode("<|endoftext|> Mary"));
        Assert.Equal("<|endoftext|>", tokenizer.TokenText(50256));
    }

    [Fact]
    public void Added_tokens_are_found_in_the_text_the_longest_first_and_each_side_is_encoded_alone()
    {
        TextTokenizer tokenizer = Load(json => json["added_tokens"] = new JsonArray(
            Added(FirstAdded, "<|x|>"), Added(FirstAdded + 1, "<|x|><|x|>"), Added(FirstAdded + 2, "  ", normalized: true), Added(FirstAdded + 3, "éé")));
        int ab = SmallTokenizer.Id("ab"), spaceAb = SmallTokenizer.Id("Ġab");
        Assert.Equal([ab, FirstAdded, spaceAb], tokenizer.Encode("ab<|x|> ab"));
        Assert.Equal([FirstAdded + 1, FirstAdded, ab], tokenizer.Encode("<|x|><|x|><|x|>ab"));
        Assert.Equal([ab, FirstAdded + 2, spaceAb], tokenizer.Encode("ab   ab"));
        Assert.Equal("éé", tokenizer.TokenText(FirstAdded + 3));
        Assert.Equal("<|x|>", tokenizer.TokenText(FirstAdded));
        Assert.Equal(FirstAdded + 4, tokenizer.VocabularySize);
        Assert.Equal(1, tokenizer.FewestTokens("<|x|><|x|>"));
    }

    /// <summary>A token that is normalized is looked for after those that are not, even where it would begin earlier.</summary>
    [Fact]
    public void Added_tokens_that_are_normalized_come_after_the_others()
    {
        TextTokenizer tokenizer = Load(json => json["added_tokens"] = new JsonArray(Added(FirstAdded, "xy<", normalized: true), Added(FirstAdded + 1, "<ab>")));
        Assert.Equal([SmallTokenizer.Id("xy"), FirstAdded + 1], tokenizer.Encode("xy<ab>"));
        Assert.Equal([FirstAdded, SmallTokenizer.Id("ab")], tokenizer.Encode("xy<ab"));
    }

    /// <summary>Worked out by hand from the pattern, in code points: a digit beyond U+FFFF is one of the three, an emoji one sign.</summary>
    [Theory]
    [InlineData("ab'S ab", "ab|'S| ab")]
    [InlineData("12345", "123|45")]
    [InlineData("𝟏𝟐𝟑𝟒", "𝟏𝟐𝟑|𝟒")]
    [InlineData("😀ab", "😀ab")]
    [InlineData("!ab !! ab\n\n ab", "!ab| !!| ab|\n\n| ab")]
    [InlineData("ab  ab", "ab| | ab")]
    [InlineData("𝒜𝒷 ab", "𝒜𝒷| ab")]
    public void A_split_pattern_counts_characters_and_not_their_halves(string text, string pieces)
    {
        // Each expected piece is a token, and no merge makes one: it is found only if the text is split there.
        string[] tokens = [.. SmallTokenizer.Alphabet, .. pieces.Split('|').Select(ByteLevelAlphabet.Spell).Except(SmallTokenizer.Alphabet)];
        TextTokenizer tokenizer = Load(json =>
        {
            json["pre_tokenizer"] = Split(Llama3);
            json["model"]!["vocab"] = JsonSerializer.SerializeToNode(tokens.Select((token, id) => (token, id)).ToDictionary(t => t.token, t => t.id));
            json["model"]!["merges"] = new JsonArray();
            json["model"]!["ignore_merges"] = true;
        });
        Assert.Equal(pieces.Split('|'), tokenizer.Encode(text).Select(id => tokenizer.TokenText(id).Replace(@"\n", "\n", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData(@"[\p{L}&&\p{Lu}]+")] // Oniguruma: both; .NET: either, or &
    [InlineData("[[:alpha:]]+")]
    [InlineData(@"\w+")]
    [InlineData(@"\h+")]
    [InlineData("^a")]
    [InlineData("a.")]
    [InlineData(@"\p{L}++")]
    [InlineData(@"\p{Han}+")]
    [InlineData("(?x: a b)")]
    [InlineData("[À-ÿ]+")]
    [InlineData("(a")]
    public void A_split_pattern_that_another_engine_may_read_otherwise_is_refused(string pattern) =>
        Assert.Contains("pre_tokenizer.pattern", Load(json => json["pre_tokenizer"] = Split(pattern)).Unsupported);

    [Fact]
    public void A_split_pattern_decides_what_is_merged()
    {
        Assert.Equal("ab|Ġab", SmallTokenizer.Written(Load(json => json["pre_tokenizer"] = Split(Llama3)).Encode("ab ab")));
        Assert.Equal("a|b|Ġ|a|b", SmallTokenizer.Written(Load(json => json["pre_tokenizer"] = Split("[a-b]")).Encode("ab ab")));
    }

    [Fact]
    public void A_piece_that_is_a_token_stays_one_where_merges_are_ignored()
    {
        var tokens = SmallTokenizer.Vocabulary();
        tokens["xyz"] = FirstAdded; // no merge makes it
        int[] Ids(bool ignoreMerges) => [.. Load(json =>
        {
            json["model"]!["vocab"] = JsonSerializer.SerializeToNode(tokens);
            json["model"]!["ignore_merges"] = ignoreMerges;
        }).Encode("xyz xy")];
        Assert.Equal([FirstAdded, SmallTokenizer.Id("Ġxy")], Ids(true));
        Assert.Equal([SmallTokenizer.Id("xy"), SmallTokenizer.Id("z"), SmallTokenizer.Id("Ġ"), SmallTokenizer.Id("xy")], Ids(false));
    }

    /// <summary>Unicode's normal form C: what is in it already is left as it is, the rest is brought into it.</summary>
    [Theory]
    [InlineData("naïve café", null)]
    [InlineData("日本語 한국어", null)]
    [InlineData("हिन्दी में", null)]
    [InlineData("ไทย น้ำ", null)]
    [InlineData("বাংলা ভাষা, কোনো", null)]
    [InlineData("தமிழ் கொடு", null)]
    [InlineData("ગુજરાતી తెలుగు ಕನ್ನಡ മലയാളം සිංහල ქართული ភាសាខ្មែរ မြန်မာ", null)]
    [InlineData("עִבְרִית العَرَبِيَّة", null)]
    [InlineData("😀👩‍🚀", null)]
    [InlineData("cafe\u0301", "café")]
    [InlineData("\u212B", "Å")]
    [InlineData("\u1112\u1161\u11AB", "한")]
    [InlineData("\u0651\u064E", "\u064E\u0651")]
    [InlineData("\u0958", "\u0915\u093C")]
    [InlineData("a\u0344", "ä\u0301")]
    public void Text_is_composed_where_the_tokenizer_composes_it(string text, string? composed)
    {
        TextTokenizer tokenizer = Load(json => json["normalizer"] = new JsonObject { ["type"] = "NFC" }), plain = Load(_ => { });
        Assert.Equal(plain.Encode(composed ?? text), tokenizer.Encode(text));
        Assert.True(composed is null || !plain.Encode(text).SequenceEqual(tokenizer.Encode(text)));
    }

    /// <summary>A pattern that takes twice as long with each further character is given up after a while, and no other text is tried.</summary>
    [Theory]
    [InlineData(@"(?:a|aa)+b")]
    [InlineData(@"(?:[a-z]|[a-z]{2})+(?!\S)\d")]
    public void A_pattern_that_takes_for_ever_is_given_up(string pattern)
    {
        TextTokenizer tokenizer = Load(json => json["pre_tokenizer"] = Split(pattern));
        var watch = System.Diagnostics.Stopwatch.StartNew();
        string text = new('a', 200);
        var pairs = Enumerable.Repeat(new PromptPair(Prompt.Of(text), Prompt.Of(text), Answer.Of("a"), Answer.Of("b")), 1000).ToArray();
        Fault fault = Assert.Single(Assert.Throws<InvalidInputException>(() =>
            PairTokenizer.TokenizeValid(pairs, TestConfig.With(vocabulary: 400), tokenizer, null, PairTokenizer.PathUnder("pairs"), "")).Faults);
        Assert.Equal((FaultKinds.SlowTokenizer, "pairs[0].clean"), (fault.Kind, fault.Where));
        Assert.Contains("pre_tokenizer.pattern", fault.Message);
        Assert.Equal(FaultKinds.SlowTokenizer, Assert.Single(Assert.Throws<InvalidInputException>(tokenizer.TryOut).Faults).Kind);
        Assert.InRange(watch.Elapsed.TotalSeconds, 0, 60);
    }

    /// <summary>.NET's matching in one pass, which would need no such bound, misses the 1 in this text.</summary>
    [Fact]
    public void A_pattern_that_begins_with_something_optional_drops_no_match()
    {
        TextTokenizer tokenizer = Load(json =>
        {
            json["pre_tokenizer"] = Split(@" ?\p{N}");
            json["model"]!["vocab"]!["Ċ1"] = FirstAdded;
            json["model"]!["merges"]!.AsArray().Add("Ċ 1");
        });
        Assert.Equal(["Ġ", "b", "Ċ", "1", "Ġ", "1"], tokenizer.Encode(" b\n1 1").Select(id => SmallTokenizer.Alphabet.ElementAt(id)));
    }

    [Fact]
    public void The_patterns_of_known_models_pass_the_trial()
    {
        Load(_ => { }).TryOut();
        Load(json => json["pre_tokenizer"] = Split(Llama3)).TryOut();
    }

    /// <summary>Worked out by hand. Vocabulary: &lt;unk&gt;, the bytes, and what the merges make.</summary>
    [Theory]
    [InlineData("normalizer", "ab ab", "▁ab|▁ab")]
    [InlineData("normalizer", " ab", "▁|▁ab")] // Prepend adds a mark even before a space
    [InlineData("normalizer", "aéb", "▁|a|<0xC3>|<0xA9>|b")]
    [InlineData("normalizer", "a\n😀b", "▁|a|<0x0A>|<0xF0>|<0x9F>|<0x98>|<0x80>|b")]
    [InlineData("normalizer", "ab</s>ab", "▁ab|</s>|▁ab")]
    [InlineData("always", " ab", "▁ab")]
    [InlineData("always", "ab</s>ab", "▁ab|</s>|▁ab")]
    [InlineData("first", "ab</s>ab ab", "▁ab|</s>|ab|▁ab")]
    [InlineData("first", "</s>ab", "</s>|ab")]
    [InlineData("never", "ab ab", "ab|▁ab")]
    public void A_SentencePiece_vocabulary_is_written_with_marked_spaces_and_bytes(string scheme, string text, string expected)
    {
        string[] tokens = ["<unk>", "<s>", "</s>", .. Enumerable.Range(0, 256).Select(b => $"<0x{b:X2}>"), "▁", "a", "b", "ab", "▁ab"];
        TextTokenizer tokenizer = Load(json =>
        {
            json["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["unk_token"] = "<unk>",
                ["fuse_unk"] = true,
                ["byte_fallback"] = true,
                ["vocab"] = JsonSerializer.SerializeToNode(tokens.Select((token, id) => (token, id)).ToDictionary(t => t.token, t => t.id)),
                ["merges"] = new JsonArray("a b", "▁ ab"),
            };
            json["added_tokens"] = new JsonArray(Added(0, "<unk>"), Added(1, "<s>"), Added(2, "</s>"));
            json["normalizer"] = scheme == "normalizer"
                ? JsonNode.Parse("""{"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}""")
                : null;
            json["pre_tokenizer"] = scheme == "normalizer"
                ? null
                : new JsonObject { ["type"] = "Metaspace", ["replacement"] = "▁", ["prepend_scheme"] = scheme, ["split"] = false };
        });
        Assert.Null(tokenizer.Unsupported);
        Assert.Equal(expected, string.Join('|', tokenizer.Encode(text).Select(id => tokens[id])));
        Assert.Equal(" ab", tokenizer.TokenText(Array.IndexOf(tokens, "▁ab")));
        Assert.Equal(@"\n", tokenizer.TokenText(Array.IndexOf(tokens, "<0x0A>")));
        Assert.Equal(@"\xC3", tokenizer.TokenText(Array.IndexOf(tokens, "<0xC3>")));
    }

    [Theory]
    [InlineData("/model/type", "\"Unigram\"", "model.type")]
    [InlineData("/model/dropout", "0.1", "model.dropout")]
    [InlineData("/model/end_of_word_suffix", "\"</w>\"", "model.end_of_word_suffix")]
    [InlineData("/model/continuing_subword_prefix", "\"##\"", "model.continuing_subword_prefix")]
    [InlineData("/model/cache_of_mine", "7", "model.cache_of_mine")]
    [InlineData("/tricks", "{}", "'tricks'")]
    [InlineData("/normalizer", "{\"type\": \"Lowercase\"}", "normalizer.type is '\"Lowercase\"'")]
    [InlineData("/pre_tokenizer/add_prefix_space", "true", "add_prefix_space")]
    [InlineData("/pre_tokenizer/type", "\"Whitespace\"", "model.byte_fallback")]
    [InlineData("/pre_tokenizer", "null", "model.byte_fallback")]
    [InlineData("/pre_tokenizer/fancy", "true", "pre_tokenizer.fancy")]
    [InlineData("/pre_tokenizer", "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Punctuation\"}, {\"type\": \"ByteLevel\", \"add_prefix_space\": false}]}", "Punctuation")]
    [InlineData("/pre_tokenizer", "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": {\"Regex\": \"a\"}, \"behavior\": \"Removed\"}, {\"type\": \"ByteLevel\", \"add_prefix_space\": false}]}", "Removed")]
    public void What_would_tokenise_otherwise_is_refused_by_its_name_but_token_ids_work(string at, string value, string message)
    {
        TextTokenizer tokenizer = Load(json =>
        {
            string[] path = at.Split('/');
            JsonNode parent = path.Length == 3 ? json[path[1]]! : json;
            parent[path[^1]] = JsonNode.Parse(value);
        });
        Assert.Contains(message, tokenizer.Unsupported);
        Fault fault = Assert.Single(Assert.Throws<InvalidInputException>(() => tokenizer.Encode("ab")).Faults);
        Assert.Equal((FaultKinds.NoTokenizer, tokenizer.Unsupported), (fault.Kind, fault.Message));
        Assert.Equal("[3]", tokenizer.TokenText(3));

        var ids = new PromptPair(Prompt.Of([1, 2]), Prompt.Of([1, 3]), Answer.Of(4), Answer.Of(5));
        Assert.Single(PairTokenizer.Tokenize([ids], TestConfig.With(vocabulary: 10), tokenizer, null, PairTokenizer.PathUnder("pairs"), ""));
        var text = new PromptPair(Prompt.Of("ab"), Prompt.Of("ab"), Answer.Of("a"), Answer.Of("b"));
        fault = Assert.Single(Assert.Throws<InvalidInputException>(() =>
            PairTokenizer.Tokenize([text], TestConfig.With(vocabulary: 10), tokenizer, null, PairTokenizer.PathUnder("pairs"), "")).Faults);
        Assert.Equal("pairs[0].clean", fault.Where);
        Assert.Contains(message, fault.Message);
    }

    [Theory]
    [InlineData("lstrip")]
    [InlineData("rstrip")]
    [InlineData("single_word")]
    public void An_added_token_with_a_rule_about_the_text_around_it_is_refused_where_a_text_has_it(string rule)
    {
        TextTokenizer tokenizer = Load(json =>
        {
            JsonObject token = Added(FirstAdded, "<mask>");
            token[rule] = true;
            json["added_tokens"] = new JsonArray(token);
        });
        Assert.Equal("ab", SmallTokenizer.Written(tokenizer.Encode("ab")));
        Assert.Contains(rule, Assert.Single(Assert.Throws<InvalidInputException>(() => tokenizer.Encode("ab <mask>")).Faults).Message);
    }

    [Theory]
    [InlineData("{\"model\": {\"vocab\": {\"a\": 0}, \"merges\": []", "not valid JSON")]
    [InlineData("{}", "model is missing")]
    [InlineData("{\"model\": {\"merges\": []}}", "model.vocab is missing")]
    [InlineData("{\"model\": {\"vocab\": {\"a\": \"0\"}, \"merges\": []}}", "'a' no whole number")]
    [InlineData("{\"model\": {\"vocab\": {\"a\": 0, \"b\": 0}, \"merges\": []}}", "Two tokens have the id 0")]
    [InlineData("{\"model\": {\"vocab\": {\"a\": 0}}}", "model.merges is missing")]
    [InlineData("{\"model\": {\"vocab\": {\"a\": 0}, \"merges\": [\"a a\"]}}", "model.merges[0]: The merge needs the token \"aa\"")]
    [InlineData("{\"model\": {\"vocab\": {\"a\": 0, \"aa\": 1}, \"merges\": [\"a a\", [\"a\", \"a\"]]}}", "model.merges[1]: The merge is there twice")]
    [InlineData("{\"model\": {\"vocab\": {\"a\": 0, \"aa\": 1}, \"merges\": [7]}}", "model.merges[0]")]
    public void A_malformed_file_is_refused(string json, string message)
    {
        using var folder = new TemporaryFolder();
        folder.Write("tokenizer.json", json);
        Fault fault = Assert.Single(Assert.Throws<InvalidInputException>(() => TextTokenizer.Load(folder.Path)).Faults);
        Assert.Equal(FaultKinds.Malformed, fault.Kind);
        Assert.Contains("tokenizer.json", fault.Where);
        Assert.Contains(message, fault.Message);
    }

    /// <summary>Each part of a file in place of which something else stands is a fault that says what it is about, or makes no difference.</summary>
    [Theory]
    [InlineData("byte-level")]
    [InlineData("marked spaces")]
    public void Whatever_stands_in_place_of_a_part_is_refused_in_words(string form)
    {
        JsonObject whole = form == "byte-level"
            ? Json(json =>
            {
                json["pre_tokenizer"] = Split("[a-b]");
                json["normalizer"] = new JsonObject { ["type"] = "NFC" };
                json["added_tokens"] = new JsonArray(Added(FirstAdded, "<|x|>"));
                json["model"]!["vocab"] = new JsonObject { ["a"] = 0, ["b"] = 1, ["ab"] = 2 };
                json["model"]!["merges"] = new JsonArray("a b");
            })
            : MarkedSpaceTokenizer.Json();
        if (form != "byte-level")
        {
            whole["model"]!["vocab"] = new JsonObject { ["<unk>"] = 0, ["<s>"] = 1, ["</s>"] = 2, ["a"] = 3, ["b"] = 4, ["ab"] = 5 };
            whole["model"]!["merges"] = new JsonArray(new JsonArray("a", "b"));
        }

        string[] others = ["null", "true", "7", "-0.5", "\"x\"", "\"\"", "[]", "[7]", "{}", "{\"type\": \"Sequence\"}"];
        int refused = 0;
        foreach (string path in Paths(whole).ToArray())
        {
            foreach (string other in others)
            {
                JsonObject changed = (JsonObject)whole.DeepClone();
                Replace(changed, path, JsonNode.Parse(other));
                using var folder = new TemporaryFolder();
                folder.Write("tokenizer.json", changed.ToJsonString());
                try
                {
                    refused += TextTokenizer.Load(folder.Path)!.Unsupported is null ? 0 : 1;
                }
                catch (InvalidInputException e)
                {
                    refused++;
                    Assert.All(e.Faults, fault => Assert.DoesNotContain("not Unicode text", fault.Message));
                }
            }
        }

        Assert.True(refused > 200, $"{refused}");

        static IEnumerable<string> Paths(JsonNode node) => node switch
        {
            JsonObject part => part.SelectMany(child => Under(child.Key, child.Value)),
            JsonArray part => part.SelectMany((child, index) => Under($"{index}", child)),
            _ => [],
        };

        static IEnumerable<string> Under(string name, JsonNode? child) => (child is null ? [] : Paths(child).Select(path => $"{name}\n{path}")).Prepend(name);

        static void Replace(JsonNode root, string path, JsonNode? other)
        {
            string[] names = path.Split('\n');
            JsonNode parent = names.SkipLast(1).Aggregate(root, (node, name) => node is JsonArray array ? array[int.Parse(name)]! : node[name]!);
            if (parent is JsonArray inArray)
            {
                inArray[int.Parse(names[^1])] = other;
            }
            else
            {
                parent[names[^1]] = other;
            }
        }
    }

    [Theory]
    [InlineData(0, "<|x|>")] // another token's id
    [InlineData(9999, "a")]  // another token's text
    public void An_added_token_that_contradicts_the_vocabulary_is_refused(int id, string content)
    {
        using var folder = new TemporaryFolder();
        folder.Write("tokenizer.json", Json(json => json["added_tokens"] = new JsonArray(Added(id, content))).ToJsonString());
        Assert.Contains("added_tokens[0]", Assert.Single(Assert.Throws<InvalidInputException>(() => TextTokenizer.Load(folder.Path)).Faults).Message);
    }

    /// <summary>vocab.json and merges.txt do not say where text is split, so only a GPT-2 is read from them.</summary>
    [Theory]
    [InlineData(null, false)]
    [InlineData("gpt2", false)]
    [InlineData("qwen2", true)]
    public void Of_both_forms_GPT_2_reads_the_two_files_and_others_tokenizer_json(string? modelType, bool readsJson)
    {
        using var folder = new TemporaryFolder();
        SmallTokenizer.Write(folder);
        if (modelType is not null)
        {
            folder.Write("config.json", new JsonObject { ["model_type"] = modelType }.ToJsonString());
            Assert.Equal(readsJson, TextTokenizer.Load(folder.Path)!.Unsupported is not null);
        }

        folder.Write("tokenizer.json", Json(json => json["pre_tokenizer"] = Split("[a-b]")).ToJsonString());
        Assert.Equal(readsJson ? "a|b" : "ab", SmallTokenizer.Written(TextTokenizer.Load(folder.Path)!.Encode("ab")));
    }

    /// <summary>A tokenizer.json in the form of GPT-2's, with the small vocabulary, after a change.</summary>
    internal static JsonObject Json(Action<JsonObject> change)
    {
        var json = (JsonObject)JsonNode.Parse(
            """
            {
              "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
              "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
              "post_processor": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false},
              "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true},
              "model": {"dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": false}
            }
            """)!;
        json["model"]!["vocab"] = JsonSerializer.SerializeToNode(SmallTokenizer.Vocabulary());
        json["model"]!["merges"] = new JsonArray([.. SmallTokenizer.Merges.Select(merge => JsonValue.Create(merge))]);
        change(json);
        return json;
    }

    private static TextTokenizer Load(Action<JsonObject> change)
    {
        using var folder = new TemporaryFolder();
        folder.Write("tokenizer.json", Json(change).ToJsonString());
        return TextTokenizer.Load(folder.Path)!;
    }

    private static TextTokenizer LoadGpt2(string source, bool mergesAsPairs, JsonArray added) => Load(json =>
    {
        var merges = File.ReadLines(Path.Combine(source, "merges.txt")).Skip(1).Where(line => line.Length > 0);
        json["added_tokens"] = added;
        json["model"]!["vocab"] = JsonNode.Parse(File.ReadAllText(Path.Combine(source, "vocab.json")));
        json["model"]!["merges"] = new JsonArray([.. merges.Select(merge => mergesAsPairs ? Pair(merge) : (JsonNode)JsonValue.Create(merge))]);
    });

    internal static JsonObject Added(int id, string content, bool normalized = false) => new()
    {
        ["id"] = id,
        ["content"] = content,
        ["single_word"] = false,
        ["lstrip"] = false,
        ["rstrip"] = false,
        ["normalized"] = normalized,
        ["special"] = !normalized,
    };

    /// <summary>As Llama 3 and Qwen have it: a pattern, then the alphabet without GPT-2's own pattern.</summary>
    internal static JsonObject Split(string pattern) => new JsonObject
    {
        ["type"] = "Sequence",
        ["pretokenizers"] = new JsonArray(
            new JsonObject { ["type"] = "Split", ["pattern"] = new JsonObject { ["Regex"] = pattern }, ["behavior"] = "Isolated", ["invert"] = false },
            new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = false, ["use_regex"] = false }),
    };

    private static JsonArray Pair(string merge) => [.. merge.Split(' ').Select(part => JsonValue.Create(part))];
}
