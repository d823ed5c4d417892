using System.Text.Json;
using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts.Tokenizers;

/// <summary>
/// Reads a <c>tokenizer.json</c>, the form of Hugging Face's tokenizers: byte-pair encodings in the byte-level spelling (GPT-2, GPT-NeoX,
/// Llama 3, Qwen, OLMo 2, gpt-oss) and in SentencePiece's (Llama 2, Mistral, Gemma). Whatever is in it that would tokenise text otherwise than is done here makes
/// it unsupported, by the field's name; nothing is passed over but what only concerns decoding, padding, cutting off and special tokens
/// around a text.
/// </summary>
internal static class TokenizerJson
{
    /// <summary>The file's name in a model folder.</summary>
    public const string FileName = "tokenizer.json";

    /// <summary>The rules of an added token about the text around it.</summary>
    private static readonly string[] Surroundings = ["single_word", "lstrip", "rstrip"];

    /// <summary>Reads the file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="unsupported">Makes a tokenizer that refuses texts, and says why.</param>
    /// <exception cref="InvalidInputException">The file cannot be read or is malformed.</exception>
    public static TextTokenizer Read(string path, Func<string, TextTokenizer> unsupported)
    {
        try
        {
            return StrictJson.ReadFile(path, root => Read(root, path));
        }
        catch (InvalidInputException e) when (e.Faults is [{ Kind: FaultKinds.NoTokenizer }])
        {
            return unsupported(e.Faults[0].Message);
        }
    }

    private static TextTokenizer Read(JsonElement root, string path)
    {
        // Not used: truncation and padding, which transformers sets anew for every call; post_processor, which puts special tokens around a
        // text (what begins a prompt is in config.json); decoder.
        Know(root, "", "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model");
        JsonElement model = Object(root, "model") ?? throw Malformed(path, "model is missing.");
        Know(model, "model.", "type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges");
        if (Text(model, "type") is { } type and not "BPE")
        {
            throw Unsupported($"model.type is {Untrusted.Show(type)}; supported is BPE.");
        }

        RefuseAny(model, "dropout");
        RefuseAny(model, "continuing_subword_prefix");
        RefuseAny(model, "end_of_word_suffix");
        BytePairVocabulary vocabulary = ReadVocabulary(model, path);
        List<JsonElement> normalizers = Flatten(Object(root, "normalizer"), "normalizers");
        List<JsonElement> splits = Flatten(Object(root, "pre_tokenizer"), "pretokenizers");
        bool wholeTokensFirst = Flag(model, "ignore_merges", false);
        if (splits.Count > 0 && Text(splits[^1], "type") == "ByteLevel")
        {
            if (splits.SkipLast(1).Any(split => Text(split, "type") == "ByteLevel"))
            {
                throw Unsupported("pre_tokenizer has ByteLevel before its last part.");
            }

            bool composed = normalizers.Count > 0;
            if (normalizers.FirstOrDefault(normalizer => Text(normalizer, "type") != "NFC") is { ValueKind: JsonValueKind.Object } other)
            {
                throw Unsupported($"normalizer.type is {Show(other, "type")}; supported for byte-level tokenizers is NFC.");
            }

            return new TextTokenizer(
                vocabulary,
                new BytePairEncoder(vocabulary, wholeTokensFirst),
                new ByteLevelSpelling([.. splits.SelectMany(Splitters)], composed, vocabulary),
                ReadAddedTokens(root, path, vocabulary),
                composes: composed);
        }

        if (!Flag(model, "byte_fallback", false))
        {
            throw Unsupported("It is neither a byte-level tokenizer (pre_tokenizer ByteLevel) nor one with model.byte_fallback.");
        }

        if (vocabulary.Merges.Any(merge => merge.Contains("<0x", StringComparison.Ordinal)))
        {
            throw Unsupported("model.merges merges byte tokens.");
        }

        return new TextTokenizer(
            vocabulary,
            new BytePairEncoder(vocabulary, wholeTokensFirst, byteFallback: true),
            ReadMarkedSpaces(normalizers, splits),
            ReadAddedTokens(root, path, vocabulary));
    }

    private static BytePairVocabulary ReadVocabulary(JsonElement model, string path)
    {
        JsonElement vocab = Object(model, "vocab") ?? throw Malformed(path, "model.vocab is missing.");
        var tokens = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (JsonProperty token in vocab.EnumerateObject())
        {
            tokens.Add(token.Name, token.Value.ValueKind == JsonValueKind.Number && token.Value.TryGetInt32(out int id)
                ? id
                : throw Malformed(path, $"model.vocab gives the token {Untrusted.Show(token.Name)} no whole number as its id."));
        }

        if (BytePairVocabulary.WhatIsWrong(tokens) is string wrong)
        {
            throw Malformed(path, $"model.vocab: {wrong}");
        }

        if (!model.TryGetProperty("merges", out JsonElement list) || list.ValueKind != JsonValueKind.Array)
        {
            throw Malformed(path, "model.merges is missing.");
        }

        var merges = new List<string>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (JsonElement item in list.EnumerateArray())
        {
            // "a b", or ["a", "b"] in newer files
            string[] parts = item.ValueKind switch
            {
                JsonValueKind.String => item.GetString()!.Split(' '),
                JsonValueKind.Array => [.. item.EnumerateArray().Select(part => part.ValueKind == JsonValueKind.String ? part.GetString()! : "")],
                _ => [],
            };
            string merge = string.Join(' ', parts);
            if ((BytePairVocabulary.WhatIsWrong(parts, tokens, "model.vocab") ?? (seen.Add(merge) ? null : "The merge is there twice.")) is string bad)
            {
                throw Malformed(path, $"model.merges[{merges.Count}]: {bad}");
            }

            merges.Add(merge);
        }

        return new BytePairVocabulary(tokens, merges, FileName);
    }

    /// <param name="root">The whole file.</param>
    /// <param name="path">Its path.</param>
    /// <param name="vocabulary">The model's own tokens, which may be among the added ones.</param>
    private static List<AddedToken> ReadAddedTokens(JsonElement root, string path, BytePairVocabulary vocabulary)
    {
        if (!root.TryGetProperty("added_tokens", out JsonElement list) || list.ValueKind == JsonValueKind.Null)
        {
            return [];
        }

        var tokens = new List<AddedToken>();
        Dictionary<int, string> known = vocabulary.Tokens.ToDictionary(entry => entry.Value, entry => entry.Key);
        var contents = new HashSet<string>(StringComparer.Ordinal);
        foreach (JsonElement item in list.ValueKind == JsonValueKind.Array ? list.EnumerateArray() : throw Malformed(path, "added_tokens is not an array."))
        {
            string where = $"added_tokens[{tokens.Count}]";
            if (item.ValueKind != JsonValueKind.Object
                || Text(item, "content") is not { Length: > 0 } content
                || !item.TryGetProperty("id", out JsonElement number) || number.ValueKind != JsonValueKind.Number || !number.TryGetInt32(out int id) || id is < 0 or int.MaxValue)
            {
                throw Malformed(path, $"{where} is not a token with its id and content.");
            }

            Know(item, where + ".", "id", "content", "single_word", "lstrip", "rstrip", "normalized", "special");
            bool sameElsewhere = vocabulary.Tokens.TryGetValue(content, out int own) && own != id;
            if (sameElsewhere || !contents.Add(content) || (known.TryGetValue(id, out string? other) && other != content))
            {
                throw Malformed(path, $"{where} has the id {id} and the content {Untrusted.Show(content)}, of which one belongs to another token.");
            }

            known[id] = content;
            tokens.Add(new AddedToken(id, content, Flag(item, "normalized", true), Array.Find(Surroundings, rule => Flag(item, rule, false))));
        }

        return tokens;
    }

    /// <summary>What a pre-tokenizer of a byte-level tokenizer splits by.</summary>
    private static IEnumerable<PieceSplitter> Splitters(JsonElement split)
    {
        switch (Text(split, "type"))
        {
            case "ByteLevel":
                Know(split, "pre_tokenizer.", "type", "add_prefix_space", "trim_offsets", "use_regex");
                return Flag(split, "add_prefix_space", true)
                    ? throw Unsupported("pre_tokenizer.add_prefix_space is true; supported is false.")
                    : Flag(split, "use_regex", true) ? [PieceSplitter.Gpt2] : [];

            case "Split":
                Know(split, "pre_tokenizer.", "type", "pattern", "behavior", "invert");
                JsonElement pattern = Object(split, "pattern") ?? throw Unsupported("pre_tokenizer.pattern is missing.");
                // Removed and inverted: what is between the matches is removed.
                bool onlyMatches = Text(split, "behavior") == "Removed" && Flag(split, "invert", false);
                if (!onlyMatches && (Text(split, "behavior") != "Isolated" || Flag(split, "invert", false)))
                {
                    throw Unsupported(
                        $"pre_tokenizer.behavior is {Show(split, "behavior")}, invert {Show(split, "invert")}; supported are Isolated and false, or Removed and true.");
                }

                return Text(pattern, "Regex") is { } regex && PieceSplitter.OfPattern(regex, onlyMatches) is { } splitter
                    ? [splitter]
                    : throw Unsupported($"pre_tokenizer.pattern is {Untrusted.Show(pattern.GetRawText())}, which is not surely understood as it is meant.");

            case "Digits":
                Know(split, "pre_tokenizer.", "type", "individual_digits");
                return [PieceSplitter.OfPattern(Flag(split, "individual_digits", false) ? @"\p{N}" : @"\p{N}+")!];

            default:
                throw Unsupported($"pre_tokenizer.type is {Show(split, "type")}; supported for byte-level tokenizers are Split, Digits and ByteLevel.");
        }
    }

    /// <summary>SentencePiece's spelling, which is said in one of two ways: by normalizers, or by a pre-tokenizer.</summary>
    private static MarkedSpaceSpelling ReadMarkedSpaces(List<JsonElement> normalizers, List<JsonElement> splits)
    {
        string?[] types = [.. normalizers.Concat(splits).Select(part => Text(part, "type"))];
        switch (types)
        {
            case ["Prepend", "Replace"] when splits.Count == 0:
            case ["Replace"] when splits.Count == 0:
            case ["Replace", "Split"] when normalizers.Count == 1 && SplitsAtSpaces(splits[0]): // Gemma's: the normalizer has left no space to split at
                JsonElement replace = normalizers[^1];
                Know(replace, "normalizer.", "type", "pattern", "content");
                if (Object(replace, "pattern") is not { } pattern || Text(pattern, "String") != " " || Text(replace, "content") is not { Length: 1 } content)
                {
                    throw Unsupported($"normalizer is {Untrusted.Show(replace.GetRawText())}; supported is a Replace of the space by one character.");
                }

                if (normalizers.Count == 2)
                {
                    Know(normalizers[0], "normalizer.", "type", "prepend");
                    if (Text(normalizers[0], "prepend") != content)
                    {
                        throw Unsupported($"normalizer.prepend is {Show(normalizers[0], "prepend")}; supported is what stands for a space.");
                    }
                }

                return new MarkedSpaceSpelling(content[0], normalizers.Count == 2 ? LeadingMark.Always : LeadingMark.Never, byNormalizer: true, splitAtMarks: false);

            case ["Metaspace"] when normalizers.Count == 0:
                JsonElement metaspace = splits[0];
                Know(metaspace, "pre_tokenizer.", "type", "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep");
                string scheme = Text(metaspace, "prepend_scheme") ?? (Flag(metaspace, "add_prefix_space", true) ? "always" : "never");
                LeadingMark leading = scheme switch
                {
                    "always" => LeadingMark.WhereNone,
                    "first" => LeadingMark.WhereNoneAtStart,
                    "never" => LeadingMark.Never,
                    _ => throw Unsupported($"pre_tokenizer.prepend_scheme is {Untrusted.Show(scheme)}; supported are always, first, never."),
                };
                if (Text(metaspace, "replacement") is not { Length: 1 } mark || (leading != LeadingMark.Never && !Flag(metaspace, "add_prefix_space", true)))
                {
                    throw Unsupported($"pre_tokenizer is {Untrusted.Show(metaspace.GetRawText())}, which contradicts itself.");
                }

                return new MarkedSpaceSpelling(mark[0], leading, byNormalizer: false, Flag(metaspace, "split", true));

            default:
                throw Unsupported(
                    $"normalizer and pre_tokenizer are {Untrusted.ShowSome([.. types.Select(type => type ?? "null")])}; "
                    + "supported with model.byte_fallback are Prepend and Replace, or Metaspace.");
        }
    }

    private static bool SplitsAtSpaces(JsonElement split)
    {
        Know(split, "pre_tokenizer.", "type", "pattern", "behavior", "invert");
        return Object(split, "pattern") is { } pattern && Text(pattern, "String") == " " && !Flag(split, "invert", false);
    }

    /// <summary>The parts of a Sequence, or the one part there is.</summary>
    private static List<JsonElement> Flatten(JsonElement? part, string members)
    {
        if (part is not { } one)
        {
            return [];
        }

        if (Text(one, "type") != "Sequence")
        {
            return [one];
        }

        return one.TryGetProperty(members, out JsonElement list) && list.ValueKind == JsonValueKind.Array
            ? [.. list.EnumerateArray().SelectMany(item => Flatten(item.ValueKind == JsonValueKind.Object ? item : throw Unsupported($"{members} holds {Untrusted.Show(item.GetRawText())}."), members))]
            : throw Unsupported($"A Sequence has no {members}.");
    }

    /// <summary>Refuses fields that are not known: they may change how text is tokenised.</summary>
    private static void Know(JsonElement element, string prefix, params ReadOnlySpan<string> names)
    {
        foreach (JsonProperty property in element.EnumerateObject())
        {
            if (!names.Contains(property.Name) && !IsNothing(property.Value))
            {
                throw Unsupported($"The field {Untrusted.Show(prefix + property.Name)} is not known.");
            }
        }
    }

    private static void RefuseAny(JsonElement model, string name)
    {
        if (model.TryGetProperty(name, out JsonElement value) && !IsNothing(value))
        {
            throw Unsupported($"model.{name} is {Untrusted.Show(value.GetRawText())}; supported is none.");
        }
    }

    private static bool IsNothing(JsonElement value) =>
        value.ValueKind is JsonValueKind.Null or JsonValueKind.False
        || (value.ValueKind == JsonValueKind.String && value.GetString()!.Length == 0)
        || (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number) && number == 0);

    private static JsonElement? Object(JsonElement element, string name) =>
        !element.TryGetProperty(name, out JsonElement value) || value.ValueKind == JsonValueKind.Null ? null
        : value.ValueKind == JsonValueKind.Object ? value
        : throw Unsupported($"{name} is {Untrusted.Show(value.GetRawText())}, not an object.");

    private static string? Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static bool Flag(JsonElement element, string name, bool missing) =>
        !element.TryGetProperty(name, out JsonElement value) || value.ValueKind == JsonValueKind.Null ? missing
        : value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean()
        : throw Unsupported($"{name} is {Untrusted.Show(value.GetRawText())}; it must be true or false.");

    private static string Show(JsonElement element, string name) =>
        element.TryGetProperty(name, out JsonElement value) ? Untrusted.Show(value.GetRawText()) : "missing";

    private static InvalidInputException Unsupported(string what) =>
        new(FaultKinds.NoTokenizer, "", $"{FileName} is not supported: {what} Token-id prompts work.");

    private static InvalidInputException Malformed(string path, string message) => new(FaultKinds.Malformed, path, message);
}
