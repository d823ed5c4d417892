using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using HeadPatching.Testing;

namespace HeadPatching.Core.Tests.Prompts;

public class PairTokenizerTests
{
    private const int Begins = 300; // the id of BOS

    private static readonly TextTokenizer Tokenizer = SmallTokenizer.Load();

    [Fact]
    public void Text_prompts_get_BOS_and_id_prompts_are_taken_as_given()
    {
        TokenPair pair = Assert.Single(Tokenize([new(Prompt.Of("ab"), Prompt.Of([7, 8]), Answer.Of(" ab"), Answer.Of(3))]));
        Assert.Equal([Begins, SmallTokenizer.Id("ab")], pair.Clean);
        Assert.Equal([7, 8], pair.Corrupted);
        Assert.Equal(SmallTokenizer.Id("Ġab"), pair.Correct);
        Assert.Equal(3, pair.Incorrect);
    }

    [Fact]
    public void Roles_count_BOS_and_from_the_end_where_negative_and_must_be_within_the_prompt()
    {
        TokenPair pair = Assert.Single(Tokenize([Text("ab", "xy") with { Roles = new Dictionary<string, int> { ["A"] = 1, ["END"] = -1, ["BOS"] = -2 }, Template = "t" }]));
        Assert.Equal([("BOS", 0), ("A", 1), ("END", 1)], pair.RolesInOrder());
        Assert.Equal("t", pair.Template);

        IReadOnlyList<Fault> faults = Faults([Text("ab", "xy") with { Roles = new Dictionary<string, int> { ["A"] = 2, ["B"] = -3, ["C"] = 0 } }]);
        Assert.Equal([(FaultKinds.OutOfRange, "pairs[0].roles.A"), (FaultKinds.OutOfRange, "pairs[0].roles.B")], faults.Select(fault => (fault.Kind, fault.Where)));
        Assert.Contains("0 to 1 or -2 to -1", faults[0].Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_model_without_BOS_gets_none()
    {
        TokenPair pair = Assert.Single(Tokenize([Text("ab", "xy")], config: TestConfig.With(400)));
        Assert.Equal([SmallTokenizer.Id("ab")], pair.Clean);
    }

    [Fact]
    public void Unequal_lengths_are_told_with_both_token_lists_and_the_first_difference()
    {
        Fault fault = Assert.Single(Faults([Text("ab ab xy", "ab xy")]));
        Assert.Equal(FaultKinds.UnequalLength, fault.Kind);
        Assert.Equal("pairs[0]", fault.Where);
        (int ab, int spaceAb, int space, int xy) = (SmallTokenizer.Id("ab"), SmallTokenizer.Id("Ġab"), SmallTokenizer.Id("Ġ"), SmallTokenizer.Id("xy"));
        Assert.Equal(
            "Clean has 5 tokens and corrupted 4; they must have equally many. They first differ at position 2 "
            + $"({spaceAb} \" ab\" / {space} \" \"). Clean: [{Begins} \"[{Begins}]\", {ab} \"ab\", {spaceAb} \" ab\", {space} \" \", {xy} \"xy\"]. "
            + $"Corrupted: [{Begins} \"[{Begins}]\", {ab} \"ab\", {space} \" \", {xy} \"xy\"].",
            fault.Message);
    }

    [Fact]
    public void A_prompt_that_is_the_others_beginning_differs_first_at_its_end()
    {
        Fault fault = Assert.Single(Faults([Ids([1, 2, 3], [1, 2])], tokenizer: null));
        Assert.Contains("position 2 (3 / its end). Clean: [1, 2, 3]. Corrupted: [1, 2].", fault.Message);
    }

    [Fact]
    public void Of_long_unequal_prompts_the_tokens_around_the_first_difference_are_shown()
    {
        int[] clean = [.. Enumerable.Range(0, 200)];
        int[] corrupted = [.. clean.Take(100), 0];
        Fault fault = Assert.Single(Faults([Ids(clean, corrupted)], tokenizer: null));
        Assert.Contains("position 100 (100 / 0). Clean: [(76 before), 76, 77,", fault.Message);
        Assert.Contains("123, (76 more)]. Corrupted: [(76 before), 76,", fault.Message);
    }

    [Fact]
    public void An_answer_of_several_tokens_is_refused_with_its_tokens()
    {
        Fault fault = Assert.Single(Faults([Text("ab", "xy", correct: " abxy")]));
        Assert.Equal(FaultKinds.AnswerNotOneToken, fault.Kind);
        Assert.Equal("pairs[0].correct", fault.Where);
        Assert.Contains($"2 tokens: {SmallTokenizer.Id("Ġab")} \" ab\", {SmallTokenizer.Id("xy")} \"xy\"", fault.Message);
        Assert.DoesNotContain("space", fault.Message);
    }

    [Theory]
    [InlineData("cd")]
    [InlineData(" cd ")]
    [InlineData("cd\n")]
    public void An_answer_of_which_only_the_white_space_is_wrong_gets_the_hint(string answer)
    {
        Fault fault = Assert.Single(Faults([Text("ab", "xy", correct: answer)]));
        Assert.EndsWith("With one space before it and none after, \" cd\", it is one.", fault.Message);
    }

    [Fact]
    public void An_empty_answer_is_refused() =>
        Assert.Equal("The answer is empty; it must be exactly one token.", Assert.Single(Faults([Text("ab", "xy", correct: "")])).Message);

    [Fact]
    public void The_same_answer_twice_is_refused_however_it_is_written()
    {
        var pair = new PromptPair(Prompt.Of("ab"), Prompt.Of("xy"), Answer.Of(" ab"), Answer.Of(SmallTokenizer.Id("Ġab")));
        Fault fault = Assert.Single(Faults([pair]));
        Assert.Equal((FaultKinds.SameAnswers, "pairs[0].incorrect"), (fault.Kind, fault.Where));
    }

    [Fact]
    public void Several_answers_keep_their_order_and_each_fault_names_its_own()
    {
        var pair = new PromptPair(Prompt.Of("ab"), Prompt.Of("xy"), AnswerSet.Of([Answer.Of(" ab"), Answer.Of(3)]), AnswerSet.Of([Answer.Of(9), Answer.Of("xy")]));
        TokenPair tokens = Assert.Single(Tokenize([pair]));
        Assert.Equal([SmallTokenizer.Id("Ġab"), 3], tokens.Correct.Ids);
        Assert.Equal([9, SmallTokenizer.Id("xy")], tokens.Incorrect.Ids);

        IReadOnlyList<Fault> faults = Faults([pair with { Correct = AnswerSet.Of([Answer.Of(3), Answer.Of("abxy"), Answer.Of(400)]) }]);
        Assert.Equal(
            [(FaultKinds.AnswerNotOneToken, "pairs[0].correct[1]"), (FaultKinds.OutsideVocabulary, "pairs[0].correct[2]")],
            faults.Select(fault => (fault.Kind, fault.Where)));
    }

    [Fact]
    public void An_answer_twice_on_one_side_or_on_both_is_refused_however_it_is_written()
    {
        int ab = SmallTokenizer.Id("Ġab");
        var twice = new PromptPair(Prompt.Of("ab"), Prompt.Of("xy"), AnswerSet.Of([Answer.Of(" ab"), Answer.Of(ab)]), Answer.Of(1));
        Assert.Equal([(FaultKinds.SameAnswers, "pairs[0].correct")], Faults([twice]).Select(fault => (fault.Kind, fault.Where)));

        PromptPair onBoth = twice with { Correct = AnswerSet.Of([Answer.Of(2), Answer.Of(" ab")]), Incorrect = AnswerSet.Of([Answer.Of(ab), Answer.Of(3)]) };
        Assert.Equal([(FaultKinds.SameAnswers, "pairs[0].incorrect")], Faults([onBoth]).Select(fault => (fault.Kind, fault.Where)));
    }

    [Fact]
    public void Ids_outside_the_vocabulary_are_named()
    {
        IReadOnlyList<Fault> faults = Faults([new(Prompt.Of([1, -1, 400, 400]), Prompt.Of([1, 2, 3, 399]), Answer.Of(400), Answer.Of(-5))]);
        Assert.All(faults, fault => Assert.Equal(FaultKinds.OutsideVocabulary, fault.Kind));
        Assert.Equal(["pairs[0].clean", "pairs[0].correct", "pairs[0].incorrect"], faults.Select(fault => fault.Where));
        Assert.Equal("Outside the model's vocabulary, ids 0 to 399: -1, 400.", faults[0].Message);
    }

    [Fact]
    public void A_text_that_the_tokenizer_knows_and_the_model_does_not_is_outside_the_vocabulary()
    {
        ModelConfig small = TestConfig.With(vocabulary: SmallTokenizer.Id("Ġab"));
        Fault fault = Assert.Single(Faults([Text("ab", "ab", correct: " ab", incorrect: "a")], small));
        Assert.Equal((FaultKinds.OutsideVocabulary, "pairs[0].correct"), (fault.Kind, fault.Where));
    }

    [Fact]
    public void A_prompt_fills_the_context_with_its_BOS_and_not_one_token_more()
    {
        Assert.Single(Tokenize([Text("abab", "abxy")], TestConfig.With(400, Begins, context: 3)));
        IReadOnlyList<Fault> faults = Faults([Text("abab", "abxy")], TestConfig.With(400, Begins, context: 2));
        Assert.All(faults, fault => Assert.Equal(FaultKinds.PromptTooLong, fault.Kind));
        Assert.Equal(["pairs[0].clean", "pairs[0].corrupted"], faults.Select(fault => fault.Where));
        Assert.Equal("The prompt has 3 tokens, BOS included; the model's context is 2.", faults[0].Message);
    }

    [Fact]
    public void Megabytes_of_text_without_a_space_are_refused_without_being_encoded()
    {
        string huge = new('a', 50_000_000);
        IReadOnlyList<Fault> faults = Faults([Text(huge, "xy", correct: huge)]);
        Assert.Equal([FaultKinds.PromptTooLong, FaultKinds.AnswerNotOneToken], faults.Select(fault => fault.Kind));
        Assert.All(faults, fault => Assert.Contains("at least", fault.Message));
    }

    [Fact]
    public void Empty_prompts_are_refused_though_BOS_would_be_there()
    {
        IReadOnlyList<Fault> faults = Faults([new(Prompt.Of(""), Prompt.Of([]), Answer.Of(1), Answer.Of(2))]);
        Assert.Equal(["pairs[0].clean", "pairs[0].corrupted"], faults.Select(fault => fault.Where));
        Assert.All(faults, fault => Assert.Equal(FaultKinds.EmptyPrompt, fault.Kind));
    }

    [Fact]
    public void Text_without_a_tokenizer_is_refused_once_for_all()
    {
        Fault fault = Assert.Single(Faults([Ids([1], [2]), Text("ab", "xy"), Text("ab", "xy")], tokenizer: null));
        Assert.Equal((FaultKinds.NoTokenizer, "pairs[1].clean"), (fault.Kind, fault.Where));
        Assert.Contains("vocab.json and merges.txt", fault.Message);
    }

    [Fact]
    public void Id_pairs_need_no_tokenizer() => Assert.Equal(2, Tokenize([Ids([1], [2]), Ids([1, 2, 3], [2, 2, 3])], tokenizer: null).Count);

    [Fact]
    public void Properties_that_were_never_given_are_missing()
    {
        IReadOnlyList<Fault> faults = Faults([new(default, default, default, default)]);
        Assert.Equal(["pairs[0].clean", "pairs[0].corrupted", "pairs[0].correct", "pairs[0].incorrect"], faults.Select(fault => fault.Where));
        Assert.All(faults, fault => Assert.Equal(FaultKinds.Missing, fault.Kind));
    }

    [Fact]
    public void A_character_that_the_tokenizer_lacks_is_told_with_its_place()
    {
        using var folder = new TemporaryFolder();
        SmallTokenizer.Write(folder, new() { ["a"] = 0, ["b"] = 1 }, []);
        Fault fault = Assert.Single(Faults([Text("ab", "ac", "a", "b")], tokenizer: TextTokenizer.Load(folder.Path)));
        Assert.Equal("pairs[0].corrupted", fault.Where);
        Assert.Contains("U+0063", fault.Message);
    }

    [Fact]
    public void All_faults_of_all_pairs_are_told_in_the_order_of_the_input()
    {
        IReadOnlyList<Fault> faults = Faults([Text("ab", "ab ab"), Ids([1], [2]), Text("", "xy", correct: "abxyab")]);
        Assert.Equal(["pairs[0]", "pairs[2].clean", "pairs[2].correct"], faults.Select(fault => fault.Where));
        Assert.All(faults, fault => Assert.DoesNotContain('\n', fault.ToString()));
    }

    [Fact]
    public void Chosen_pairs_keep_their_index_and_the_order_of_the_choice()
    {
        IReadOnlyList<TokenPair> pairs = Tokenize([Ids([1], [2]), Ids([3], [4]), Ids([5], [6])], pairIndices: [2, 0]);
        Assert.Equal([(2, 5), (0, 1)], pairs.Select(pair => (pair.Index, pair.Clean[0])));
    }

    [Fact]
    public void Pairs_that_are_not_chosen_may_be_faulty() => Assert.Single(Tokenize([Ids([1], [2]), Ids([], [])], pairIndices: [0]));

    [Fact]
    public void Pair_indices_out_of_range_or_repeated_are_refused()
    {
        IReadOnlyList<Fault> faults = Faults([Ids([1], [2]), Ids([1], [2])], pairIndices: [0, 2, -1, 0]);
        Assert.Equal([FaultKinds.OutOfRange, FaultKinds.OutOfRange, FaultKinds.InvalidOption], faults.Select(fault => fault.Kind));
        Assert.All(faults, fault => Assert.Equal("--pair-indices", fault.Where));
        Assert.Equal("There is no pair 2; the pairs are 0 to 1.", faults[0].Message);
    }

    [Fact]
    public void A_sweep_of_no_pairs_is_refused()
    {
        Assert.Equal(FaultKinds.Missing, Assert.Single(Faults([])).Kind);
        Assert.Equal(FaultKinds.InvalidOption, Assert.Single(Faults([Ids([1], [2])], pairIndices: [])).Kind);
    }

    [Fact]
    public void Faults_of_a_pairs_file_name_the_line_and_the_property()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Write("pairs.jsonl", """

            {"clean": "ab", "corrupted": "xy", "correct": " ab", "incorrect": "xy"}

            {"clean": "", "corrupted": "xy", "correct": 1, "incorrect": 2}
            {"clean": [1], "corrupted": [1, 2], "correct": 1, "incorrect": 2}
            """);
        PairsFile file = PairsFile.Read(path);
        var exception = Assert.Throws<InvalidInputException>(
            () => PairTokenizer.Tokenize(file.Pairs, TestConfig.With(400, Begins), Tokenizer, null, file.Where, "--pair-indices"));
        Assert.Equal([$"{path}:4: clean", $"{path}:5"], exception.Faults.Select(fault => fault.Where));
    }

    /// <summary>"xy" by itself is a token. After "ab " the text goes on with " xy", of which the space is then in the prompt.</summary>
    [Fact]
    public void An_answer_that_the_tokenizer_joins_with_the_space_before_it_is_refused_and_the_way_out_said()
    {
        int[] spaced = [SmallTokenizer.Id("Ġ"), SmallTokenizer.Id("xy")];
        Assert.Equal(spaced, Tokenizer.Encode(" xy")); // this vocabulary has no " xy", so here the text goes on as the pair says
        Assert.Single(Tokenize([Text("ab ", "ab ", correct: "xy", incorrect: "z")]));

        Fault fault = Assert.Single(Faults([Text("cd ", "xy ", correct: "ab", incorrect: "x y")]), fault => fault.Where == "pairs[0].correct");
        Assert.Equal(FaultKinds.AnswerNotOneToken, fault.Kind);
        Assert.Contains("which the tokenizer joins with the answer: \" ab\". Leave the space out there", fault.Message);
    }

    [Fact]
    public void An_answer_that_its_prompt_would_be_joined_with_is_taken_as_it_is_by_itself()
    {
        // "a" and "b" would be "ab"; asked is whether b follows a, as "00" after " 17", which together are one token of GPT-2.
        TokenPair pair = Assert.Single(Tokenize([Text("xya", "xya", correct: "b", incorrect: "c")]));
        Assert.Equal((SmallTokenizer.Id("b"), SmallTokenizer.Id("c")), (pair.Correct.Ids[0], pair.Incorrect.Ids[0]));
    }

    [Fact]
    public void Pairs_that_cannot_be_swept_are_left_out_when_asked_and_said_with_their_places()
    {
        PromptPair[] pairs = [Text("ab", "xy"), Text("ab ab", "ab"), Ids([1, 2], [1, 3]), Text("ab", "xy", correct: " abxy", incorrect: " abxy"), Ids([1], [999])];
        TokenizedPairs valid = PairTokenizer.TokenizeValid(pairs, TestConfig.With(400, Begins), Tokenizer, null, PairTokenizer.PathUnder("pairs"), "--pair-indices");
        Assert.Equal([0, 2], valid.Pairs.Select(pair => pair.Index));
        Assert.Equal(3, valid.LeftOutCount);
        Assert.Equal(
            [(1, FaultKinds.UnequalLength, "pairs[1]"), (3, FaultKinds.AnswerNotOneToken, "pairs[3].correct"), (4, FaultKinds.OutsideVocabulary, "pairs[4].corrupted")],
            valid.LeftOut.Select(pair => (pair.Index, pair.Fault.Kind, pair.Fault.Where)));
    }

    [Fact]
    public void Where_no_pair_can_be_swept_leaving_out_is_no_way_out()
    {
        PromptPair[] pairs = [.. Enumerable.Repeat(Text("ab ab", "ab"), 1000)];
        foreach (bool skipInvalid in new[] { true, false })
        {
            IReadOnlyList<Fault> faults = Assert.Throws<InvalidInputException>(() => _ = skipInvalid
                ? PairTokenizer.TokenizeValid(pairs, TestConfig.With(400, Begins), Tokenizer, null, PairTokenizer.PathUnder("pairs"), "").Pairs
                : PairTokenizer.Tokenize(pairs, TestConfig.With(400, Begins), Tokenizer, null, PairTokenizer.PathUnder("pairs"), "")).Faults;
            Assert.Equal(101, faults.Count);
            Assert.Equal(new Fault(FaultKinds.UnequalLength, "", "and 900 more."), faults[^1]);
        }
    }

    [Fact]
    public void Of_very_many_pairs_left_out_the_first_are_named_and_the_rest_counted()
    {
        PromptPair[] pairs = [Ids([1], [2]), .. Enumerable.Repeat(Ids([1], [1, 2]), 5000)];
        TokenizedPairs valid = PairTokenizer.TokenizeValid(pairs, TestConfig.With(400), null, null, PairTokenizer.PathUnder("pairs"), "");
        Assert.Equal((1, 5000, 100), (valid.Pairs.Count, valid.LeftOutCount, valid.LeftOut.Count));
    }

    [Fact]
    public void What_is_wrong_for_all_pairs_leaves_none_of_them_out()
    {
        PromptPair[] pairs = [Ids([1], [2]), Text("ab", "xy")];
        Assert.Equal(FaultKinds.NoTokenizer, Valid(null, null)[0].Kind);
        Assert.Equal(FaultKinds.OutOfRange, Valid(Tokenizer, [0, 7])[0].Kind);

        IReadOnlyList<Fault> Valid(TextTokenizer? tokenizer, int[]? indices) => Assert.Throws<InvalidInputException>(() =>
            PairTokenizer.TokenizeValid(pairs, TestConfig.With(400), tokenizer, indices, PairTokenizer.PathUnder("pairs"), "")).Faults;
    }

    [Fact]
    public void Tokenizing_ends_between_two_pairs_when_it_is_cancelled()
    {
        using var cancellation = new CancellationTokenSource();
        int read = 0;
        Assert.Throws<OperationCanceledException>(() => PairTokenizer.Tokenize(
            [.. Enumerable.Repeat(Ids([1], [2]), 100)], TestConfig.With(400), null, null, Where, "", cancellation.Token));
        Assert.InRange(read, 1, 20);

        string Where(int index, string? property)
        {
            read++;
            if (index == 2)
            {
                cancellation.Cancel();
            }

            return "";
        }
    }

    [Theory]
    [InlineData(Bos.Auto, Begins, null, Begins)]
    [InlineData(Bos.Always, Begins, null, Begins)]
    [InlineData(Bos.Never, Begins, null, null)]
    [InlineData(Bos.Auto, null, Begins, null)]
    [InlineData(Bos.Always, null, Begins, Begins)]
    [InlineData(Bos.Never, null, null, null)]
    public void Texts_begin_with_BOS_as_asked_and_token_ids_never_change(Bos bos, int? begins, int? unused, int? expected)
    {
        ModelConfig config = (TestConfig.With(400) with { BosId = begins, UnusedBosId = unused }).WithBos(bos, "--bos");
        TokenPair[] pairs = [.. Tokenize([Text("ab", "xy"), Ids([7], [8])], config)];
        Assert.Equal(expected is int id ? [id, SmallTokenizer.Id("ab")] : [SmallTokenizer.Id("ab")], pairs[0].Clean);
        Assert.Equal([7], pairs[1].Clean);
    }

    [Fact]
    public void A_BOS_that_the_model_does_not_have_is_refused()
    {
        Fault fault = Assert.Single(Assert.Throws<InvalidInputException>(() => TestConfig.With(400).WithBos(Bos.Always, "--bos")).Faults);
        Assert.Equal((FaultKinds.InvalidOption, "--bos"), (fault.Kind, fault.Where));
        Assert.Contains("bos_token_id", fault.Message);
    }

    private static PromptPair Text(string clean, string corrupted, string correct = " ab", string incorrect = "xy") =>
        new(Prompt.Of(clean), Prompt.Of(corrupted), Answer.Of(correct), Answer.Of(incorrect));

    private static PromptPair Ids(int[] clean, int[] corrupted) => new(Prompt.Of(clean), Prompt.Of(corrupted), Answer.Of(1), Answer.Of(2));

    private static IReadOnlyList<TokenPair> Tokenize(
        IReadOnlyList<PromptPair> pairs, ModelConfig? config = null, TextTokenizer? tokenizer = null, IReadOnlyList<int>? pairIndices = null) =>
        PairTokenizer.Tokenize(
            pairs,
            config ?? TestConfig.With(400, Begins),
            tokenizer ?? (pairs.Any(pair => pair.Clean.Text is not null) ? Tokenizer : null),
            pairIndices,
            PairTokenizer.PathUnder("pairs"),
            "--pair-indices");

    private static IReadOnlyList<Fault> Faults(IReadOnlyList<PromptPair> pairs, ModelConfig? config = null, IReadOnlyList<int>? pairIndices = null) =>
        Faults(pairs, Tokenizer, config, pairIndices);

    private static IReadOnlyList<Fault> Faults(
        IReadOnlyList<PromptPair> pairs, TextTokenizer? tokenizer, ModelConfig? config = null, IReadOnlyList<int>? pairIndices = null) =>
        Assert.Throws<InvalidInputException>(() => PairTokenizer.Tokenize(
            pairs, config ?? TestConfig.With(400, Begins), tokenizer, pairIndices, PairTokenizer.PathUnder("pairs"), "--pair-indices")).Faults;
}
