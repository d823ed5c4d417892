using HeadPatching.Core.Faults;
using HeadPatching.Core.Prompts;
using HeadPatching.Testing;

namespace HeadPatching.Core.Tests.Prompts.PairsFiles;

/// <summary>auto-circuit's JSON, through <see cref="PairsFile"/>.</summary>
public class AutoCircuitFileTests
{
    private const string Good = """{"clean": "a b", "corrupt": "a c", "answers": [" Mary", " Ann"], "wrong_answers": [" John"]}""";

    [Fact]
    public void Texts_and_ids_are_read_and_what_serves_other_things_is_passed_over()
    {
        PairsFile file = Read($$"""
            {
              "seq_labels": ["x", "y"], "word_idxs": {"x": 1}, "note": null,
              "prompts": [
                {{Good}},
                {"clean": [1, 2], "corrupt": [1, 3], "answers": [4], "wrong_answers": [5, 6], "label": 7}
              ]
            }
            """);
        Assert.Equal(
            new PromptPair(Prompt.Of("a b"), Prompt.Of("a c"), AnswerSet.Of([Answer.Of(" Mary"), Answer.Of(" Ann")]), Answer.Of(" John")), file.Pairs[0]);
        Assert.Equal([1, 3], file.Pairs[1].Corrupted.Ids!);
        Assert.Equal((Answer.Of(4), AnswerSet.Of([Answer.Of(5), Answer.Of(6)])), (file.Pairs[1].Correct, file.Pairs[1].Incorrect));
    }

    [Fact]
    public void Faults_of_its_tokens_name_its_own_members()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Write("data.json", $$"""{"prompts": [{{Good}}, {"clean": [1, 9], "corrupt": [1], "answers": [1, 9], "wrong_answers": [2, 2]}]}""");
        PairsFile file = PairsFile.Read(path);
        var exception = Assert.Throws<InvalidInputException>(
            () => PairTokenizer.Tokenize(file.Pairs, TestConfig.With(9), tokenizer: null, [1], file.Where, "--pair-indices"));
        Assert.Equal(
            [
                $"{path}: prompts[1].clean", $"{path}: prompts[1].answers[1]", $"{path}: prompts[1].wrong_answers", $"{path}: prompts[1]",
            ],
            exception.Faults.Select(fault => fault.Where));
    }

    [Theory]
    [InlineData("""{"prompts": [""", FaultKinds.Malformed, ":1", "JSON Lines end in .jsonl")]
    [InlineData(Good + "\n" + Good, FaultKinds.Malformed, ":2", "JSON Lines end in .jsonl")]
    [InlineData("", FaultKinds.Malformed, ":1", "not one JSON object")]
    [InlineData(Good, FaultKinds.Malformed, "", "an object with an array \"prompts\"")]
    [InlineData("[1]", FaultKinds.Malformed, "", "an object with an array \"prompts\"")]
    [InlineData("""{"prompts": {}}""", FaultKinds.Malformed, "", "an object with an array \"prompts\"")]
    [InlineData("""{"prompts": []}""", FaultKinds.Missing, "", "holds no pair")]
    [InlineData("""{"prompts": [], "prompts": []}""", FaultKinds.Malformed, "", "prompts")]
    [InlineData("""{"prompts": [1]}""", FaultKinds.Malformed, ": prompts[0]", "A prompt is an object")]
    [InlineData("""{"prompts": [{"clean": "a", "corrupt": "b", "answers": [1]}]}""", FaultKinds.Missing, ": prompts[0]", "no \"wrong_answers\"")]
    [InlineData("""{"prompts": [{"clean": [[0.5, 1]], "corrupt": "b", "answers": [1], "wrong_answers": [2]}]}""", FaultKinds.Malformed, ": prompts[0].clean", "whole numbers")]
    [InlineData("""{"prompts": [{"clean": "a", "corrupt": "b", "answers": [], "wrong_answers": [2]}]}""", FaultKinds.Malformed, ": prompts[0].answers", "no answer")]
    [InlineData("""{"prompts": [{"clean": "a", "corrupt": "b", "answers": [1, [2]], "wrong_answers": [2]}]}""", FaultKinds.Malformed, ": prompts[0].answers[1]", "An answer is")]
    [InlineData("""{"prompts": [{"clean": "\ud83d", "corrupt": "b", "answers": [1], "wrong_answers": [2]}]}""", FaultKinds.Malformed, ": prompts[0].clean", "surrogate")]
    public void What_is_wrong_is_told_with_its_place(string content, string kind, string place, string message)
    {
        using var folder = new TemporaryFolder();
        string path = folder.Write("data.json", content);
        Fault fault = Assert.Single(Assert.Throws<InvalidInputException>(() => PairsFile.Read(path)).Faults);
        Assert.Equal((kind, path + place), (fault.Kind, fault.Where));
        Assert.Contains(message, fault.Message);
    }

    [Fact]
    public void Half_a_character_in_a_name_is_no_crash() =>
        Assert.Throws<InvalidInputException>(() => Read("""{"\ud83d": 1, "prompts": [{"\ud83d": 1}]}"""));

    private static PairsFile Read(string content)
    {
        using var folder = new TemporaryFolder();
        return PairsFile.Read(folder.Write("data.JSON", content));
    }
}
