using System.Text.RegularExpressions;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Prompts.Datasets;
using HeadPatching.Testing;

namespace HeadPatching.Core.Tests.Prompts.Datasets;

/// <summary>Datasets of other people's papers: that prompts, corruptions, answers and roles are what the papers say.</summary>
public partial class PublishedDatasetsTests
{
    private static readonly ModelConfig Gpt2 = TestConfig.With(vocabulary: 50257, bosId: 50256);

    [Fact]
    public void A_docstring_asks_for_the_argument_after_those_that_it_describes_and_the_corrupted_one_says_nothing_of_it()
    {
        foreach (Pair pair in Make("docstring", count: 200))
        {
            (string function, string[] arguments, string[] described) = Read(pair.Clean);
            Assert.Equal(arguments[2..4], described); // two come before them
            Assert.Equal([" " + arguments[4]], pair.Correct);

            (string sameFunction, string[] others, string[] otherDescribed) = Read(pair.Corrupted);
            Assert.Equal((function, arguments[0], arguments[1], arguments[5]), (sameFunction, others[0], others[1], others[5]));
            string[] all = [function, .. arguments, .. others[2..5], .. otherDescribed];
            Assert.Equal((12, 12), (all.Length, all.Distinct().Count()));
            Assert.Equal(all.Skip(1).Except([arguments[4]]).Select(name => " " + name).Order(), pair.Incorrect.Order());

            Assert.Equal([" " + arguments[2], " " + arguments[3], ",", " " + arguments[4]], pair.Tokens("A_def", "B_def", "B_def+1", "C_def"));
            Assert.Equal([" " + described[0], "param", " " + described[1], "param"], pair.Tokens("A_doc", "param_2", "B_doc", "END"));
        }

        Assert.Single(Make("docstring", count: 200).Select(pair => pair.Positions).Distinct());

        static (string Function, string[] Arguments, string[] Described) Read(string prompt)
        {
            Match match = Function().Match(prompt);
            Assert.True(match.Success, prompt);
            return (match.Groups["function"].Value, match.Groups["arguments"].Value.Split(", "), [match.Groups["first"].Value, match.Groups["second"].Value]);
        }
    }

    [Fact]
    public void Half_of_the_pronouns_are_of_men_and_the_corrupted_sentence_names_nobody()
    {
        IReadOnlyList<Pair> pairs = Make("gendered-pronoun", count: 200);
        Assert.All(pairs.Index(), of =>
        {
            Pair pair = of.Item;
            Match match = Regex.Match(pair.Clean, "^So (?<name>[A-Z][a-z]+)(?<rest> is (a really|such a|a very) [a-z]+ [a-z]+, isn't)$");
            Assert.True(match.Success, pair.Clean);
            Assert.Equal("That person" + match.Groups["rest"].Value, pair.Corrupted);
            Assert.Equal(of.Index % 2 == 0 ? (" he", " she") : (" she", " he"), (pair.Correct.Single(), pair.Incorrect.Single()));
            Assert.Equal([" " + match.Groups["name"].Value, " is"], pair.Tokens("NAME", "NAME+1"));
            Assert.Equal(pair.Clean[..pair.Clean.IndexOf(',', StringComparison.Ordinal)].Split(' ')[^2..].Select(word => " " + word), pair.Tokens("ADJ", "NOUN"));
        });

        // Everyone is only one of the two.
        Assert.All(pairs.GroupBy(pair => pair.Clean.Split(' ')[1]), name => Assert.Single(name.Select(pair => pair.Correct.Single()).Distinct()));
        Assert.True(pairs.Select(pair => pair.Clean.Split(' ')[1]).Distinct().Count() > 50);
    }

    [Fact]
    public void A_profession_is_against_the_word_for_the_others()
    {
        IReadOnlyList<Pair> pairs = Make("gender-bias", count: 100);
        Assert.All(pairs, pair =>
        {
            string[] words = pair.Clean.Split(' ');
            string other = pair.Correct.Single() == " he" ? "woman" : "man";
            Assert.Equal($"The {other} {string.Join(' ', words[2..])}", pair.Corrupted);
            Assert.Contains(words[^1], (string[])["that", "because"]);
            Assert.Equal([" " + words[1], " " + words[^1]], pair.Tokens("SUBJECT", "END"));
        });
        Assert.Equal(50, pairs.Count(pair => pair.Correct.Single() == " he"));
        Assert.Equal(100, pairs.Select(pair => pair.Clean).Distinct().Count());
    }

    [Fact]
    public void Verbs_agree_with_the_subject_and_in_the_corrupted_prompt_that_has_the_other_number()
    {
        IReadOnlyList<Pair> pairs = Make("sva", count: 440);
        Assert.Equal(11, pairs.Select(pair => pair.Template).Distinct().Count());
        foreach (IGrouping<string, Pair> form in pairs.GroupBy(pair => pair.Template))
        {
            Assert.Equal(20, form.Count(pair => pair.Correct.Contains(" are")));
            Assert.All(form, pair =>
            {
                string subject = pair.Token("SUBJECT"), corrupted = pair.Token("SUBJECT", ofCorrupted: true);
                bool plural = subject.Length > corrupted.Length;
                Assert.Equal(plural ? corrupted + "s" : subject + "s", plural ? subject : corrupted);
                Assert.Contains(plural ? " are" : " is", pair.Correct);
                Assert.Contains(plural ? " is" : " are", pair.Incorrect);
                Assert.True(pair.Correct.Length > 50 && pair.Correct.Length == pair.Incorrect.Length);
                Assert.All(pair.Correct.Zip(pair.Incorrect).Skip(5), verb => Assert.StartsWith(plural ? verb.First : verb.Second, plural ? verb.Second : verb.First, StringComparison.Ordinal));

                // Nothing else differs but a verb of the subject's own.
                string[] clean = pair.Clean.Split(' '), other = pair.Corrupted.Split(' ');
                string[] differing = [.. clean.Zip(other).Where(words => words.First != words.Second).Select(words => words.First)];
                Assert.Equal(pair.Template.Contains("[likes]", StringComparison.Ordinal) || pair.Template.Contains("[rests]", StringComparison.Ordinal) ? 2 : 1, differing.Length);
                Assert.Contains(subject.Trim(), differing);
                if (pair.Template.Contains("[ATTRACTOR] [liked]", StringComparison.Ordinal))
                {
                    string attractor = pair.Token("ATTRACTOR");
                    Assert.NotEqual(attractor.EndsWith('s'), clean[^1].EndsWith('s')); // "the kings love"
                }
            });
        }
    }

    [Theory]
    [InlineData("arithmetic-addition")]
    [InlineData("arithmetic-subtraction")]
    public void Results_are_right_and_wrong_is_the_result_of_two_other_numbers(string name)
    {
        IReadOnlyList<Pair> pairs = Make(name, count: 300);
        Assert.Equal(6, pairs.Select(pair => pair.Template).Distinct().Count());
        Assert.Equal(300, pairs.Select(pair => pair.Clean).Distinct().Count());
        Assert.All(pairs, pair =>
        {
            int[] clean = Numbers(pair.Clean), corrupted = Numbers(pair.Corrupted);
            Assert.All(clean.Concat(corrupted), number => Assert.InRange(number, 10, 99));
            Assert.Equal((Result(clean), Result(corrupted)), (int.Parse(pair.Correct.Single()), int.Parse(pair.Incorrect.Single())));
            Assert.True(clean[0] != corrupted[0] && clean[1] != corrupted[1] && pair.Correct[0] != pair.Incorrect[0]);
            Assert.Equal(Digits().Replace(pair.Clean, "N"), Digits().Replace(pair.Corrupted, "N"));
            Assert.Equal([clean[0], clean[1]], pair.Tokens("op1", "op2").Select(int.Parse));
            Assert.StartsWith(" ", pair.Correct[0], StringComparison.Ordinal);
        });

        int Result(int[] numbers) => name == "arithmetic-addition" ? numbers[0] + numbers[1] : numbers[0] - numbers[1];
        static int[] Numbers(string prompt) => [.. Digits().Matches(prompt).Select(match => int.Parse(match.Value))];
    }

    /// <summary>"38" is a token and " 38" is none, as with Llama 3; or only digits are, as with Gemma and Qwen.</summary>
    [Theory]
    [InlineData("arithmetic-addition", true, 20, 99)]
    [InlineData("arithmetic-subtraction", true, 0, 89)]
    [InlineData("arithmetic-addition", false, 2, 9)]
    [InlineData("arithmetic-subtraction", false, 0, 9)]
    public void Where_a_number_has_no_token_with_its_space_the_prompt_ends_in_the_space(string name, bool twoDigits, int least, int most)
    {
        using var folder = new TemporaryFolder();
        TextTokenizer tokenizer = Load(folder, twoDigits ? [.. Enumerable.Range(10, 90).Select(number => $"{number / 10} {number % 10}")] : []);
        ModelConfig config = TestConfig.With(400, context: 200);
        IReadOnlyList<PromptPair> pairs = BuiltInDatasets.Find(name)!.Make(new DatasetInput(config, tokenizer, Count: 300, Seed: 0, "dataset"));
        Assert.All(pairs, pair =>
        {
            Assert.EndsWith(" ", pair.Clean.Text, StringComparison.Ordinal);
            int[] results = [.. new[] { pair.Correct, pair.Incorrect }.Select(answer => int.Parse(answer.All.Single().Text!))];
            Assert.All(results, result => Assert.InRange(result, least, most));
            Assert.DoesNotContain(" ", pair.Correct.All.Single().Text!, StringComparison.Ordinal);
        });
        Assert.Equal(300, Tokenize(pairs, config, tokenizer).Count);
    }

    [Fact]
    public void An_object_is_asked_for_by_its_color_and_the_corrupted_prompt_asks_for_another()
    {
        IReadOnlyList<Pair> pairs = Make("colored-objects", count: 120);
        Assert.Equal(6, pairs.Select(pair => pair.Template).Distinct().Count());
        Assert.All(pairs, pair =>
        {
            string[] questions = pair.Clean.Split('\n'); // Q, A with its answer, Q, A
            Assert.Equal(4, questions.Length);
            Assert.Equal("A:" + Color(questions[0]), questions[1]);
            Assert.Equal((Color(questions[2]), "A:"), (pair.Correct.Single(), questions[3]));
            string[] corrupted = pair.Corrupted.Split('\n');
            Assert.Equal(questions[..2], corrupted[..2]);
            Assert.Equal([Color(corrupted[2])], pair.Incorrect);
            string list = questions[2][..questions[2].IndexOf('?', StringComparison.Ordinal)];
            Assert.Equal(list[..list.LastIndexOf(' ')], corrupted[2][..corrupted[2].LastIndexOf(' ')]);
            Assert.NotEqual(pair.Correct, pair.Incorrect);
            Assert.Equal(6, Items(questions[0]).Concat(Items(questions[2])).Select(item => item.Color).Distinct().Count());
            Assert.Equal(6, Items(questions[0]).Concat(Items(questions[2])).Select(item => item.Name).Distinct().Count());
            Assert.Equal(pair.Correct.Single().ToLowerInvariant(), pair.Token("COLOR"));
            Assert.Equal(pair.Incorrect.Single().ToLowerInvariant(), pair.Token("OTHER_COLOR"));
            Assert.Equal((pair.Token("OBJECT"), pair.Token("OTHER_OBJECT")), (pair.Token("ASKED"), pair.Token("ASKED", ofCorrupted: true)));
        });

        static string Color(string question)
        {
            string asked = Regex.Match(question, "What color is the ([a-z]+)\\?$").Groups[1].Value;
            string color = Items(question).Single(item => item.Name == asked).Color;
            return $" {char.ToUpperInvariant(color[0])}{color[1..]}";
        }

        static (string Color, string Name)[] Items(string question)
        {
            MatchCollection items = Regex.Matches(question, "\\b(a|an) (?<color>[a-z]+) (?<name>[a-z]+)[,.]");
            Assert.All(items, item => Assert.Equal("aeiou".Contains(item.Groups["color"].Value[0], StringComparison.Ordinal) ? "an" : "a", item.Groups[1].Value));
            Assert.Equal(3, items.Count);
            return [.. items.Select(item => (item.Groups["color"].Value, item.Groups["name"].Value))];
        }
    }

    [Fact]
    public void The_right_choice_has_another_letter_in_the_corrupted_prompt()
    {
        IReadOnlyList<Pair> pairs = Make("mcqa", count: 100);
        Assert.Equal([25, 25, 25, 25], pairs.GroupBy(pair => pair.Correct.Single()).OrderBy(letter => letter.Key, StringComparer.Ordinal).Select(letter => letter.Count()));
        Assert.All(pairs, pair =>
        {
            var (question, choices) = Read(pair.Clean);
            var (sameQuestion, corrupted) = Read(pair.Corrupted);
            Assert.Equal(question, sameQuestion);
            Assert.Equal("ABCD", string.Concat(choices.Select(choice => choice.Letter)));
            Assert.Equal(choices.Select(choice => choice.Color), corrupted.Select(choice => choice.Color));
            Assert.Equal(8, choices.Concat(corrupted).Select(choice => choice.Letter).Distinct().Count());
            Match said = Regex.Match(question, "^Question: The (?<name>[a-z]+) is (?<color>[a-z]+)\\. What color is the \\k<name>\\?$");
            int right = Array.FindIndex(choices, choice => choice.Color == said.Groups["color"].Value);
            Assert.Equal(($" {choices[right].Letter}", $" {corrupted[right].Letter}"), (pair.Correct.Single(), pair.Incorrect.Single()));
            Assert.Equal(
                [" " + said.Groups["name"].Value, " " + choices[right].Color, choices[right].Letter, " " + choices[right].Color],
                pair.Tokens("OBJECT", "COLOR", "SYMBOL", "CHOICE"));
        });

        static (string Question, (string Letter, string Color)[] Choices) Read(string prompt)
        {
            string[] lines = prompt.Split('\n');
            Assert.Equal((6, "Answer:"), (lines.Length, lines[^1]));
            return (lines[0], [.. lines[1..5].Select(line => (line[..1], line[3..]))]);
        }
    }

    [Theory]
    [InlineData("gender-bias")]
    [InlineData("sva")]
    [InlineData("arithmetic-addition")]
    [InlineData("colored-objects")]
    [InlineData("mcqa")]
    public void Some_templates_are_made_equally_often_as_means_by_template_need_them(string name)
    {
        TextTokenizer tokenizer = Gpt2Files.Tokenizer();
        string[] all = [.. Make(name, count: 100).Select(pair => pair.Template).Distinct()], wanted = [all[0], all[^1]];
        var input = new DatasetInput(Gpt2, tokenizer, Count: 20, Seed: 0, "dataset") { Templates = wanted };
        IReadOnlyList<PromptPair> made = BuiltInDatasets.Find(name)!.Make(input);
        Assert.Equal([10, 10], wanted.Select(template => made.Count(pair => pair.Template == template)));

        // Those of another dataset are none of its own.
        Assert.Equal(all.Length, BuiltInDatasets.Find(name)!.Make(input with { Count = 100, Templates = ["When [IO]"] }).Select(pair => pair.Template).Distinct().Count());
    }

    [Theory]
    [InlineData("docstring", "needs 12 of its 60 argument names as one token each, and this model's tokenizer has 0. It lacks \" width\", \" height\"")]
    [InlineData("gendered-pronoun", "needs its 2 pronouns as one token each, and this model's tokenizer has 0. It lacks \" he\", \" she\"")]
    [InlineData("gender-bias", "needs its 2 pronouns")]
    [InlineData("sva", "needs 2 of its 30 nouns in both numbers as one token each, and this model's tokenizer has 0. It lacks \" teacher/teachers\"")]
    [InlineData("colored-objects", "needs 3 of its 10 colors")]
    [InlineData("mcqa", "needs 8 of its 26 letters")]
    public void A_tokenizer_without_the_words_is_told_which_it_lacks(string name, string message)
    {
        using var folder = new TemporaryFolder();
        Fault fault = Refused(name, Load(folder, []), context: 500);
        Assert.Equal((FaultKinds.AnswerNotOneToken, "dataset"), (fault.Kind, fault.Where));
        Assert.Contains(message, fault.Message, StringComparison.Ordinal);
        Assert.Contains("pairs of your own", fault.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gendered-pronoun", "as long after \"So\" as \"That person\", which is 11 tokens")]
    [InlineData("gender-bias", "as many tokens of this model's tokenizer as \" woman\" and \" man\"")]
    public void Who_is_spoken_of_must_be_as_long_as_who_is_in_the_corrupted_prompt(string name, string message)
    {
        using var folder = new TemporaryFolder();
        Fault fault = Refused(name, Load(folder, ["h e", "Ġ he", "s he", "Ġ she", "Ġ m", "Ġm a", "Ġma n", "Ġ w", "Ġw o", "Ġwo m", "Ġwom a", "Ġwoma n"]), context: 500);
        Assert.Equal((FaultKinds.UnequalLength, "dataset"), (fault.Kind, fault.Where));
        Assert.Contains(message, fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Prompts_that_do_not_fit_are_told_of_once()
    {
        Fault fault = Assert.Single(Assert.Throws<InvalidInputException>(() => BuiltInDatasets.Find("docstring")!.Make(
            new DatasetInput(Gpt2 with { Context = 32 }, Gpt2Files.Tokenizer(), Count: 20, Seed: 0, "dataset"))).Faults);
        Assert.Equal((FaultKinds.PromptTooLong, "dataset"), (fault.Kind, fault.Where));
        Assert.Contains("have up to 53 tokens with this model's tokenizer, and the model's context is 32", fault.Message, StringComparison.Ordinal);
    }

    private static Fault Refused(string name, TextTokenizer tokenizer, int context) => Assert.Single(Assert.Throws<InvalidInputException>(
        () => BuiltInDatasets.Find(name)!.Make(new DatasetInput(TestConfig.With(400, context: context), tokenizer, Count: 2, Seed: 0, "dataset"))).Faults);

    private static TextTokenizer Load(TemporaryFolder folder, string[] merges)
    {
        string[] tokens = [.. SmallTokenizer.Alphabet, .. merges.Select(merge => merge.Replace(" ", ""))];
        SmallTokenizer.Write(folder, tokens.Select((token, id) => (token, id)).ToDictionary(entry => entry.token, entry => entry.id), merges);
        return TextTokenizer.Load(folder.Path)!;
    }

    private static IReadOnlyList<TokenPair> Tokenize(IReadOnlyList<PromptPair> pairs, ModelConfig config, TextTokenizer tokenizer) =>
        PairTokenizer.Tokenize(pairs, config, tokenizer, null, PairTokenizer.PathUnder("pairs"), "");

    /// <summary>Pairs for GPT-2, as text and as tokens.</summary>
    private static IReadOnlyList<Pair> Make(string name, int count)
    {
        TextTokenizer tokenizer = Gpt2Files.Tokenizer();
        IReadOnlyList<PromptPair> given = BuiltInDatasets.Find(name)!.Make(new DatasetInput(Gpt2, tokenizer, count, Seed: 0, "dataset"));
        return [.. given.Zip(Tokenize(given, Gpt2, tokenizer), (text, tokens) => new Pair(text, tokens, tokenizer))];
    }

    [GeneratedRegex("""
        ^
        def (?<function>[a-z]+)\(self, (?<arguments>([a-z]+, ){5}[a-z]+)\):
            \"\"\"[a-z]+ [a-z]+ [a-z]+

            :param (?<first>[a-z]+): [a-z]+ [a-z]+
            :param (?<second>[a-z]+): [a-z]+ [a-z]+
            :param$
        """)]
    private static partial Regex Function();

    [GeneratedRegex("[0-9]+")]
    private static partial Regex Digits();

    private sealed class Pair(PromptPair text, TokenPair tokens, TextTokenizer tokenizer)
    {
        public string Clean => text.Clean.Text!;

        public string Corrupted => text.Corrupted.Text!;

        public string[] Correct => [.. text.Correct.All.Select(answer => answer.Text!)];

        public string[] Incorrect => [.. text.Incorrect.All.Select(answer => answer.Text!)];

        public string Template => text.Template!;

        /// <summary>Where its roles are, and how long it is.</summary>
        public string Positions => $"{string.Join(' ', tokens.RolesInOrder())} of {tokens.Length}";

        /// <summary>The token at a role, with the space before it.</summary>
        public string Token(string role, bool ofCorrupted = false) =>
            tokenizer.TokenText((ofCorrupted ? tokens.Corrupted : tokens.Clean)[tokens.PositionOf(role)!.Value]);

        public IEnumerable<string> Tokens(params string[] roles) => roles.Select(role => Token(role));
    }
}
