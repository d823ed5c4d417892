using System.Text.Json.Nodes;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Prompts.Datasets;
using HeadPatching.Testing;

namespace HeadPatching.Core.Tests.Prompts;

/// <summary>Pairs of text on tokenizers that put the mark of a space before every text, as those of Llama 2 and Mistral do.</summary>
public class MarkedSpacePairsTests
{
    [Theory]
    [InlineData("ioi", false, 5)]
    [InlineData("ioi-order", false, 5)]
    [InlineData("ioi-generated", false, 200)]
    [InlineData("greater-than", false, 200)]
    [InlineData("greater-than", true, 200)]
    [InlineData("induction", false, 200)]
    [InlineData("docstring", false, 200)]
    [InlineData("gendered-pronoun", false, 200)]
    [InlineData("gender-bias", false, 200)]
    [InlineData("sva", false, 200)]
    [InlineData("arithmetic-addition", false, 200)]
    [InlineData("arithmetic-subtraction", false, 200)]
    [InlineData("colored-objects", false, 200)]
    [InlineData("mcqa", false, 200)]
    public void Every_built_in_dataset_can_be_swept(string name, bool yearsInTwo, int count)
    {
        var (tokens, _) = MarkedSpaceTokenizer.Vocabulary(yearsInTwo);
        TextTokenizer tokenizer = Load(MarkedSpaceTokenizer.Json(yearsInTwo));
        ModelConfig config = TestConfig.With(tokens.Length, MarkedSpaceTokenizer.Bos);
        IReadOnlyList<PromptPair> given = BuiltInDatasets.Find(name)!.Make(new DatasetInput(config, tokenizer, count, Seed: 0, "dataset"));
        IReadOnlyList<TokenPair> pairs = Tokenize(given, config, tokenizer);

        Assert.Equal(count, pairs.Count);
        Assert.All(given.Zip(pairs), both =>
        {
            Assert.All(
                both.First.Correct.All.Zip(both.Second.Correct.Ids).Concat(both.First.Incorrect.All.Zip(both.Second.Incorrect.Ids)),
                answer => Assert.Equal(answer.First.Text?.Replace(' ', '▁') ?? tokens[answer.First.Id!.Value], tokens[answer.Second]));
            // The answer continues the prompt.
            if (both.First.Clean.Text is string prompt)
            {
                Assert.All(both.First.Correct.All.Zip(both.Second.Correct.Ids), answer =>
                    Assert.Equal([.. both.Second.Clean, answer.Second], [MarkedSpaceTokenizer.Bos, .. tokenizer.Encode(prompt + answer.First.Text)]));
            }
        });
    }

    [Fact]
    public void Where_years_are_written_in_digits_the_next_digit_is_right_above_and_wrong_below()
    {
        TextTokenizer tokenizer = Load(MarkedSpaceTokenizer.Json());
        ModelConfig config = TestConfig.With(tokenizer.VocabularySize, MarkedSpaceTokenizer.Bos);
        Assert.All(new GreaterThan().Make(new DatasetInput(config, tokenizer, Count: 200, Seed: 1, "dataset")), pair =>
        {
            string[] words = pair.Clean.Text!.Split(' ');
            int digit = words[6][2] - '0';
            Assert.InRange(digit, 1, 8);
            Assert.Equal(words[6][..2], words[^1]);
            Assert.Equal(pair.Clean.Text.Replace(words[6], words[6][..2] + "01"), pair.Corrupted.Text);
            Assert.Equal(Enumerable.Range(digit + 1, 9 - digit), pair.Correct.All.Select(answer => int.Parse(answer.Text!)));
            Assert.Equal(Enumerable.Range(0, digit), pair.Incorrect.All.Select(answer => int.Parse(answer.Text!)));
        });
    }

    /// <summary>The token ids of the reference pairs, from their text, in a Llama that others trained.</summary>
    [Fact]
    [NeedsShared]
    public void The_answers_of_stories260K_are_the_tokens_that_its_reference_pairs_have()
    {
        string folder = SharedFolder.Require("models/stories260K");
        TextTokenizer tokenizer = TextTokenizer.Load(folder)!;
        ModelConfig config = ModelFolder.Inspect(folder).Config;
        PairsFile reference = PairsFile.Read(Path.Combine(folder, "pairs.jsonl"));
        var text = new PromptPair(
            Prompt.Of("Once upon a time, there was a little girl named Lily."), Prompt.Of("Once upon a time, there was a little boy named Tim."), Answer.Of(" She"), Answer.Of(" He"));
        TokenPair ours = Assert.Single(Tokenize([text], config, tokenizer)), theirs = Tokenize([reference.Pairs[0]], config, tokenizer)[0];
        Assert.Equal(theirs.Clean, ours.Clean);
        Assert.Equal(theirs.Corrupted, ours.Corrupted);
        Assert.Equal((theirs.Correct, theirs.Incorrect), (ours.Correct, ours.Incorrect));
    }

    [Fact]
    public void An_answer_of_two_tokens_is_refused_with_the_tokens_it_has_in_a_text()
    {
        TextTokenizer tokenizer = Load(MarkedSpaceTokenizer.Json());
        Fault fault = Assert.Single(Faults(new PromptPair(Prompt.Of("When Mary"), Prompt.Of("When John"), Answer.Of("Mary"), Answer.Of(" John")), tokenizer));
        Assert.Equal((FaultKinds.AnswerNotOneToken, "pairs[0].correct"), (fault.Kind, fault.Where));
        Assert.Contains("4 tokens", fault.Message);
        Assert.EndsWith("With one space before it and none after, \" Mary\", it is one.", fault.Message);
    }

    [Theory]
    [InlineData("When Mary ", "John", false)] // "▁" and "▁John" are not what "When Mary John" is
    [InlineData("When Mary ", " John", true)] // two spaces, and so it was written
    [InlineData("When Mary ", "7", true)]     // a digit has no mark of its own: "▁", "7" is how it is written
    public void After_a_space_an_answer_must_be_how_the_text_goes_on(string prompt, string answer, bool taken)
    {
        TextTokenizer tokenizer = Load(MarkedSpaceTokenizer.Json());
        var pair = new PromptPair(Prompt.Of(prompt), Prompt.Of(prompt), Answer.Of(answer), Answer.Of(5));
        if (taken)
        {
            Assert.Single(Tokenize([pair], TestConfig.With(tokenizer.VocabularySize), tokenizer));
        }
        else
        {
            // "John" by itself is four tokens; a tokenizer that has it as one is in PairTokenizerTests.
            Assert.Equal(FaultKinds.AnswerNotOneToken, Assert.Single(Faults(pair, tokenizer)).Kind);
        }
    }

    private static TextTokenizer Load(JsonObject json)
    {
        using var folder = new TemporaryFolder();
        folder.Write("tokenizer.json", json.ToJsonString());
        TextTokenizer tokenizer = TextTokenizer.Load(folder.Path)!;
        Assert.Null(tokenizer.Unsupported);
        return tokenizer;
    }

    private static IReadOnlyList<TokenPair> Tokenize(IReadOnlyList<PromptPair> pairs, ModelConfig config, TextTokenizer tokenizer) =>
        PairTokenizer.Tokenize(pairs, config, tokenizer, null, PairTokenizer.PathUnder("pairs"), "");

    private static IReadOnlyList<Fault> Faults(PromptPair pair, TextTokenizer tokenizer) =>
        Assert.Throws<InvalidInputException>(() => Tokenize([pair], TestConfig.With(tokenizer.VocabularySize), tokenizer)).Faults;
}
