using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Prompts.Datasets;
using HeadPatching.Core.Prompts.Datasets.Ioi;
using HeadPatching.Testing;

namespace HeadPatching.Core.Tests.Prompts.Datasets;

/// <summary>The generated datasets on GPT-2's own tokenizer, and on models for which they cannot be made.</summary>
public class GeneratedDatasetsTests
{
    private static readonly ModelConfig Gpt2 = TestConfig.With(vocabulary: 50257, bosId: 50256);

    [Theory]
    [InlineData("ioi-generated")]
    [InlineData("greater-than")]
    [InlineData("induction")]
    [InlineData("docstring", 5, 5)]
    [InlineData("gendered-pronoun", 2, 2)]
    [InlineData("gender-bias", 1, 1, 200)] // it has no more
    [InlineData("sva", 1, 2)]
    [InlineData("arithmetic-addition", 2, 2)]
    [InlineData("arithmetic-subtraction", 2, 2)]
    [InlineData("colored-objects", 1, 1)]
    [InlineData("mcqa", 4, 4)]
    public void Every_pair_can_be_swept_on_GPT_2(string name, int fewest = 1, int most = 1, int count = 500)
    {
        TextTokenizer tokenizer = Gpt2Files.Tokenizer();
        IReadOnlyList<TokenPair> pairs = Tokenize(Make(name, Gpt2, tokenizer, count), Gpt2, tokenizer);
        Assert.Equal(count, pairs.Count);
        Assert.All(pairs, pair => Assert.InRange(pair.Clean.Zip(pair.Corrupted).Count(token => token.First != token.Second), fewest, most));
        Assert.True(pairs.Select(pair => string.Join(' ', pair.Clean)).Distinct().Count() > 0.9 * count);
    }

    [Theory]
    [InlineData("ioi-generated")]
    [InlineData("ioi-abc")]
    [InlineData("greater-than")]
    [InlineData("induction")]
    [InlineData("docstring")]
    [InlineData("gendered-pronoun")]
    [InlineData("gender-bias")]
    [InlineData("sva")]
    [InlineData("arithmetic-addition")]
    [InlineData("arithmetic-subtraction")]
    [InlineData("colored-objects")]
    [InlineData("mcqa")]
    public void The_same_seed_gives_the_same_pairs_and_more_pairs_begin_with_them(string name)
    {
        TextTokenizer tokenizer = Gpt2Files.Tokenizer();
        string[] pairs = Prompts(Make(name, Gpt2, tokenizer, count: 50, seed: 3));
        Assert.Equal(pairs, Prompts(Make(name, Gpt2, Gpt2Files.Tokenizer(), count: 50, seed: 3)));
        Assert.Equal(pairs[..20], Prompts(Make(name, Gpt2, tokenizer, count: 20, seed: 3)));
        Assert.NotEqual(pairs, Prompts(Make(name, Gpt2, tokenizer, count: 50, seed: 4)));
    }

    [Fact]
    public void Ioi_sentences_name_the_receiver_first_in_every_other_pair_and_the_other_name_gives_in_the_corrupted_one()
    {
        IReadOnlyList<PromptPair> pairs = Make("ioi-generated", Gpt2, Gpt2Files.Tokenizer(), count: 200);
        Assert.All(pairs.Index(), pair =>
        {
            string[] names = Names(pair.Item.Clean), corrupted = Names(pair.Item.Corrupted);
            string receiver = Word(pair.Item.Correct), giver = Word(pair.Item.Incorrect);
            Assert.Equal(pair.Index % 2 == 0 ? [receiver, giver, giver] : [giver, receiver, giver], names);
            Assert.Equal([names[0], names[1], receiver], corrupted);
        });
        Assert.True(pairs.Select(pair => pair.Clean.Text!.Split(' ')[0]).Distinct().Count() > 5); // several templates

        static string[] Names(Prompt prompt) => [.. prompt.Text!.Split(' ', ',').Where(IoiWords.Names.Contains)];
        static string Word(AnswerSet answers) => answers.All.Single().Text![1..];
    }

    [Fact]
    public void The_same_sentences_are_corrupted_with_three_other_names_that_come_once_each()
    {
        IReadOnlyList<PromptPair> swapped = Make("ioi-generated", Gpt2, Gpt2Files.Tokenizer(), count: 200), abc = Make("ioi-abc", Gpt2, Gpt2Files.Tokenizer(), count: 200);
        Assert.All(swapped.Zip(abc), pair =>
        {
            Assert.Equal((pair.First.Clean, pair.First.Correct, pair.First.Incorrect, pair.First.Template), (pair.Second.Clean, pair.Second.Correct, pair.Second.Incorrect, pair.Second.Template));
            string[] clean = pair.Second.Clean.Text!.Split(' '), corrupted = pair.Second.Corrupted.Text!.Split(' ');
            int[] changed = [.. Enumerable.Range(0, clean.Length).Where(word => clean[word] != corrupted[word])];
            string[] names = [.. changed.Select(word => corrupted[word].TrimEnd(','))];
            Assert.Equal((3, 3), (names.Distinct().Count(), names.Length));
            Assert.Empty(names.Intersect(clean));
        });
        Assert.True(abc.SelectMany(pair => pair.Corrupted.Text!.Split(' ')).Intersect(IoiWords.Names).Count() > 50);
    }

    [Theory]
    [InlineData("ioi", "IO S1 S1+1 S2 END")]
    [InlineData("ioi-order", "IO S1 S1+1 S2 END")]
    [InlineData("ioi-generated", "IO S1 S1+1 S2 END")]
    [InlineData("ioi-abc", "IO S1 S1+1 S2 END")]
    [InlineData("greater-than", "NOUN XX1 YY END")]
    [InlineData("induction", "A B END")]
    public void Every_pair_names_its_roles_and_they_stand_where_they_should(string name, string roles)
    {
        TextTokenizer tokenizer = Gpt2Files.Tokenizer();
        foreach (ModelConfig config in new[] { Gpt2, Gpt2 with { BosId = null } })
        {
            IReadOnlyList<PromptPair> given = Make(name, config, tokenizer, count: 100);
            Assert.All(given.Zip(Tokenize(given, config, tokenizer)), both =>
            {
                TokenPair pair = both.Second;
                Assert.Equal(roles.Split(' ').Order(), pair.Roles!.Keys.Order());
                Assert.Equal(pair.Length - 1, pair.PositionOf("END"));
                int Token(string role, int after = 0) => pair.Clean[pair.PositionOf(role)!.Value + after];
                if (name.StartsWith("ioi", StringComparison.Ordinal))
                {
                    Assert.Equal((pair.Correct.Ids[0], pair.Incorrect.Ids[0], pair.Incorrect.Ids[0]), (Token("IO"), Token("S1"), Token("S2")));
                    Assert.True(pair.PositionOf("S1") < pair.PositionOf("S2") && pair.PositionOf("S1+1") == pair.PositionOf("S1") + 1);
                    Assert.Equal(name is "ioi" or "ioi-generated" ? pair.PositionOf("S2") : Math.Min(pair.PositionOf("IO")!.Value, pair.PositionOf("S1")!.Value), pair.FirstDifference);
                }
                else if (name == "greater-than")
                {
                    Assert.Equal((pair.FirstDifference, Token("END")), (pair.PositionOf("YY"), Token("XX1")));
                    Assert.Equal(both.First.Clean.Text!.Split(' ')[1], tokenizer.TokenText(Token("NOUN")).Trim());
                }
                else
                {
                    Assert.Equal((pair.FirstDifference, Token("END"), pair.Correct.Ids[0]), (pair.PositionOf("B"), Token("A"), Token("A", after: 1)));
                }
            });
        }
    }

    [Fact]
    public void All_names_and_words_are_one_token_of_GPT_2()
    {
        TextTokenizer tokenizer = Gpt2Files.Tokenizer(); // outside Assert.All, which would take a skipped test for a failed one
        Assert.All(IoiWords.Names.Concat(IoiWords.Places).Concat(IoiWords.Objects), word => Assert.Single(tokenizer.Encode($" {word}")));
    }

    [Fact]
    public void Only_names_that_are_one_token_are_used_and_two_are_enough()
    {
        using var folder = new TemporaryFolder();
        string[] merges = ["Ġ B", "o b", "ĠB ob", "Ġ T", "o m", "ĠT om", "M a"];
        TextTokenizer tokenizer = Load(folder, merges);
        ModelConfig config = TestConfig.With(400, context: 200);
        IReadOnlyList<PromptPair> pairs = Make("ioi-generated", config, tokenizer, count: 30);
        Assert.All(pairs, pair => Assert.Equal([" Bob", " Tom"], new[] { pair.Correct.All[0].Text, pair.Incorrect.All[0].Text }.Order()));
        Assert.Equal(30, Tokenize(pairs, config, tokenizer).Count);
    }

    [Fact]
    public void With_fewer_than_two_names_the_fault_says_how_many_there_are()
    {
        using var folder = new TemporaryFolder();
        Fault fault = Refused("ioi-generated", TestConfig.With(400), Load(folder, ["Ġ B", "o b", "ĠB ob"]));
        Assert.Equal((FaultKinds.AnswerNotOneToken, "dataset"), (fault.Kind, fault.Where));
        Assert.Contains("of the 60 names of ioi-generated this model's tokenizer has 1 as one token", fault.Message);
    }

    [Fact]
    public void Greater_than_has_every_ending_as_an_answer_on_its_own_side_of_the_year()
    {
        TextTokenizer tokenizer = Gpt2Files.Tokenizer();
        IReadOnlyList<PromptPair> pairs = Make("greater-than", Gpt2, tokenizer, count: 300);
        Assert.All(pairs, pair =>
        {
            string[] words = pair.Clean.Text!.Split(' ');
            Assert.Equal(["The", words[1], "lasted", "from", "the", "year", words[6], "to", "the", "year", words[6][..2]], words);
            Assert.Equal(pair.Clean.Text.Replace(words[6], words[6][..2] + "01"), pair.Corrupted.Text);
            int year = int.Parse(words[6][2..]);
            Assert.InRange(year, 2, 98);
            Assert.Equal(Enumerable.Range(year + 1, 99 - year), pair.Correct.All.Select(answer => int.Parse(answer.Text!)));
            Assert.Equal(Enumerable.Range(0, year + 1), pair.Incorrect.All.Select(answer => int.Parse(answer.Text!)));

            // Two tokens: years such as " 1700", which are one, are left out.
            Assert.Equal([tokenizer.Encode($" {words[6][..2]}")[0], tokenizer.Encode(words[6][2..])[0]], tokenizer.Encode($" {words[6]}"));
        });
        Assert.Single(Tokenize(pairs, Gpt2, tokenizer).Select(pair => pair.Length).Distinct());
    }

    [Fact]
    public void A_tokenizer_that_cuts_years_neither_in_two_nor_into_digits_is_refused()
    {
        using var folder = new TemporaryFolder();
        Fault fault = Refused("greater-than", TestConfig.With(400), Load(folder, [.. Enumerable.Range(1, 7).Select(digit => $"1 {digit}")]));
        Assert.Equal((FaultKinds.AnswerNotOneToken, "dataset"), (fault.Kind, fault.Where));
        Assert.Contains("years of two tokens", fault.Message);
    }

    [Theory]
    [InlineData("ioi-generated")]
    [InlineData("greater-than")]
    [InlineData("docstring")]
    [InlineData("gendered-pronoun")]
    [InlineData("gender-bias")]
    [InlineData("sva")]
    [InlineData("arithmetic-addition")]
    [InlineData("arithmetic-subtraction")]
    [InlineData("colored-objects")]
    [InlineData("mcqa")]
    public void Texts_need_a_tokenizer(string name)
    {
        Fault fault = Refused(name, Gpt2, tokenizer: null);
        Assert.Equal((FaultKinds.NoTokenizer, "dataset"), (fault.Kind, fault.Where));
        Assert.Contains("induction", fault.Message);

        using var folder = new TemporaryFolder();
        folder.Write("tokenizer.json", """{"version": "1.0", "added_tokens": [], "model": {"type": "Unigram", "vocab": []}}""");
        fault = Refused(name, Gpt2, TextTokenizer.Load(folder.Path));
        Assert.Equal((FaultKinds.NoTokenizer, "dataset"), (fault.Kind, fault.Where));
        Assert.Contains("cannot be used", fault.Message);
    }

    [Theory]
    [InlineData(0, 50, 1024, 16)]
    [InlineData(0, 50, 16, 10)]
    [InlineData(null, 6, 7, 4)]
    [InlineData(3, 9, 1024, 7)]
    public void Induction_repeats_random_tokens_and_breaks_the_first_occurrence(int? bos, int vocabulary, int context, int period)
    {
        ModelConfig config = TestConfig.With(vocabulary, bos, context);
        IReadOnlyList<PromptPair> pairs = Make("induction", config, tokenizer: null, count: 100);
        Assert.All(Tokenize(pairs, config, tokenizer: null), pair =>
        {
            int[] clean = [.. pair.Clean], corrupted = [.. pair.Corrupted];
            int first = bos is null ? 0 : 1;
            Assert.Equal(bos, bos is null ? null : clean[0]);
            Assert.Equal(first + period + (period / 2), clean.Length);
            int[] sequence = clean[first..(first + period)];
            Assert.Equal(period, sequence.Distinct().Count());
            Assert.DoesNotContain(sequence, id => id == bos);
            Assert.Equal(sequence[..(period / 2)], clean[(first + period)..]);

            int followed = first + (period / 2);
            Assert.Equal((clean[followed], corrupted[followed]), (pair.Correct.Ids.Single(), pair.Incorrect.Ids.Single()));
            Assert.DoesNotContain(corrupted[followed], clean);
            Assert.Equal(followed, pair.FirstDifference);
            Assert.Equal(clean[(followed + 1)..], corrupted[(followed + 1)..]);
        });
    }

    [Fact]
    public void Induction_draws_no_special_token_and_no_id_without_a_token()
    {
        using var folder = new TemporaryFolder();
        Dictionary<string, int> vocabulary = new() { ["<s>"] = 0, ["<|endoftext|>"] = 1, ["<"] = 2, [">"] = 3, ["a"] = 4, ["b"] = 5, ["c"] = 6, ["d"] = 7 };
        SmallTokenizer.Write(folder, vocabulary, []);
        ModelConfig config = TestConfig.With(vocabulary: 64, bosId: 5);
        IReadOnlyList<PromptPair> pairs = Make("induction", config, TextTokenizer.Load(folder.Path), count: 200);
        Assert.Equal([2, 3, 4, 6, 7], pairs.SelectMany(pair => pair.Clean.Ids!.Skip(1)).Distinct().Order());
    }

    [Theory]
    [InlineData(6, 1024)]
    [InlineData(50, 6)]
    public void A_model_too_small_to_repeat_anything_is_refused(int vocabulary, int context)
    {
        Fault fault = Refused("induction", TestConfig.With(vocabulary - 1, bosId: 0, context), tokenizer: null);
        Assert.Equal((FaultKinds.UnsupportedModel, "dataset"), (fault.Kind, fault.Where));
    }

    private static TextTokenizer Load(TemporaryFolder folder, string[] merges)
    {
        string[] tokens = [.. SmallTokenizer.Alphabet, .. merges.Select(merge => merge.Replace(" ", ""))];
        SmallTokenizer.Write(folder, tokens.Select((token, id) => (token, id)).ToDictionary(entry => entry.token, entry => entry.id), merges);
        return TextTokenizer.Load(folder.Path)!;
    }

    private static IReadOnlyList<PromptPair> Make(string name, ModelConfig config, TextTokenizer? tokenizer, int count, int seed = 0) =>
        BuiltInDatasets.Find(name)!.Make(new DatasetInput(config, tokenizer, count, seed, "dataset"));

    private static IReadOnlyList<TokenPair> Tokenize(IReadOnlyList<PromptPair> pairs, ModelConfig config, TextTokenizer? tokenizer) =>
        PairTokenizer.Tokenize(pairs, config, tokenizer, null, PairTokenizer.PathUnder("pairs"), "");

    private static Fault Refused(string name, ModelConfig config, TextTokenizer? tokenizer) =>
        Assert.Single(Assert.Throws<InvalidInputException>(() => Make(name, config, tokenizer, count: 2)).Faults);

    private static string[] Prompts(IReadOnlyList<PromptPair> pairs) =>
        [.. pairs.Select(pair => System.Text.Json.JsonSerializer.Serialize(pair))];
}
