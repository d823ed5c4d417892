using HeadPatching.Testing;

namespace HeadPatching.Cli.Tests.Commands;

/// <summary>What a user gets from <c>headpatch dataset</c>.</summary>
public class DatasetCommandTests
{
    [Fact]
    public async Task The_list_has_every_dataset()
    {
        using var folder = new TemporaryFolder();
        var (exitCode, output, _) = await Headpatch.RunAsync(folder.Path, "dataset", "list");
        Assert.Equal(0, exitCode);
        string[] names =
        [
            "ioi", "ioi-order", "ioi-generated", "ioi-abc", "greater-than", "induction", "docstring", "gendered-pronoun", "gender-bias", "sva", "arithmetic-addition",
            "arithmetic-subtraction", "colored-objects", "mcqa",
        ];
        Assert.All(names, name => Assert.Contains($"  {name} ", output, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Pairs_are_shown_with_what_differs_their_answers_and_how_the_model_does()
    {
        using var folder = new TemporaryFolder();
        var (exitCode, output, error) = await Headpatch.RunAsync(folder.Path, "dataset", "show", "ioi", "--top", "2");

        Assert.Equal((0, ""), (exitCode, error.Trim()));
        Assert.DoesNotContain('\u001b', output); // redirected: no escape sequences
        string words = string.Join(' ', output.Split((char[])[' ', '\r', '\n'], StringSplitOptions.RemoveEmptyEntries));
        Assert.Contains("0 clean <|endoftext|> When ·Mary ·and ·John", words, StringComparison.Ordinal);
        Assert.Contains("«·John»", words, StringComparison.Ordinal);
        Assert.Contains("«·Mary»", words, StringComparison.Ordinal);
        Assert.Contains("1 clean", words, StringComparison.Ordinal);
        Assert.DoesNotContain("2 clean", words, StringComparison.Ordinal);
        Assert.Contains("The first 2 of 5 pairs", output, StringComparison.Ordinal);
        Assert.Contains("ioi: 5 pairs of 15 tokens.", output, StringComparison.Ordinal);
        Assert.Contains("prefers the right answer on 5 of 5 pairs (100 %)", output, StringComparison.Ordinal);
        Assert.Matches(@"clean \d+\.\d{3}, corrupted -\d+\.\d{3}\.", output);
        Assert.DoesNotContain("Warning", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_badly_conditioned_dataset_is_said_to_be_one()
    {
        using var folder = new TemporaryFolder();
        var (exitCode, output, _) = await Headpatch.RunAsync(folder.Path, "dataset", "show", "ioi-order");
        Assert.Equal(0, exitCode);
        Assert.Contains("Badly conditioned", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Written_pairs_are_shown_as_the_dataset_was_and_can_be_swept()
    {
        using var folder = new TemporaryFolder();
        var (exitCode, output, error) = await Headpatch.RunAsync(
            folder.Path, "dataset", "show", "ioi-generated", "--count", "12", "--seed", "3", "--top", "1", "--out", "mine.jsonl");
        Assert.Equal((0, ""), (exitCode, error.Trim()));
        Assert.Equal(12, File.ReadLines(folder["mine.jsonl"]).Count());

        var (_, again, _) = await Headpatch.RunAsync(folder.Path, "dataset", "show", "mine.jsonl", "--top", "1");
        Assert.Equal(Comparable(output).Replace("ioi-generated:", "mine.jsonl:", StringComparison.Ordinal), Comparable(again));
        Assert.Equal(0, (await Headpatch.RunAsync(folder.Path, "sweep", "--pairs", "mine.jsonl", "--store", "store", "--out", "out")).ExitCode);

        static string Comparable(string output) => output.Replace("mine.jsonl" + Environment.NewLine, "", StringComparison.Ordinal).Trim();
    }

    [Fact]
    public async Task Sums_are_shown_with_their_roles_and_swept_on_a_model_that_writes_digits_and_a_few_are_the_mean_that_is_put_in()
    {
        using var folder = new TemporaryFolder();
        var (exitCode, output, error) = await Headpatch.RunAsync(folder.Path, "dataset", "show", "arithmetic-addition", "--count", "30", "--top", "1");
        Assert.Equal((0, ""), (exitCode, error.Trim()));
        Assert.Matches("roles +op1 [0-9]+·?[1-9] +op2 [0-9]+·?[1-9] +END", output);
        Assert.Contains("arithmetic-addition: 30 pairs", output, StringComparison.Ordinal);

        (exitCode, output, error) = await Headpatch.RunAsync(
            folder.Path, "sweep", "--dataset", "arithmetic-addition", "--count", "12", "--ablation", "mean", "--reference", "arithmetic-addition", "--store", "store", "--out", "out");
        Assert.True(exitCode == 0, error);
        Assert.DoesNotContain("template", output + error, StringComparison.Ordinal); // each has prompts of its own
    }

    [Fact]
    public async Task Induction_is_shown_as_ids_on_a_model_without_a_tokenizer()
    {
        using var folder = new TemporaryFolder();
        RandomModelFolder.Write(folder["random"], layers: 2, heads: 2, width: 16, vocabulary: 60, context: 32, seed: 1);
        var (exitCode, output, error) = await Headpatch.RunAsync(folder.Path, "dataset", "show", "induction", "--model", "random", "--count", "9");
        Assert.Equal((0, ""), (exitCode, error.Trim()));
        Assert.Contains("induction: 9 pairs of 25 tokens.", output, StringComparison.Ordinal);
        Assert.Matches("«[0-9]+»", output);
    }

    [Theory]
    [InlineData("nothing", "nothing: There is no built-in dataset \"nothing\". Known are: ioi, ioi-order, ioi-generated, ioi-abc, greater-than, induction, docstring, ")]
    [InlineData("missing.jsonl", "missing.jsonl: There is no such file.")]
    [InlineData("malformed.jsonl", "malformed.jsonl:1: ")]
    [InlineData("unequal.jsonl", "unequal.jsonl:1: Clean has 4 tokens and corrupted 3")]
    [InlineData("ioi --count 3", "--count: Only a generated dataset takes a number of pairs")]
    [InlineData("sva", "sva: sva needs 2 of its 30 nouns in both numbers as one token each, and this model's tokenizer has 0. It lacks \" teacher/teachers\"")]
    [InlineData("greater-than --model random", "greater-than: The prompts of greater-than are text, and the model folder has no tokenizer")]
    [InlineData("ioi --model nowhere", "--model: There is no model 'nowhere'")]
    [InlineData("ioi --top 0", "--top: The number of pairs to show is at least 1.")]
    [InlineData("ioi --out none/pairs.jsonl", "none/pairs.jsonl: The file cannot be written")]
    public async Task Bad_input_ends_with_2_and_says_what_and_where(string options, string message)
    {
        using var folder = new TemporaryFolder();
        RandomModelFolder.Write(folder["random"], layers: 1, heads: 2, width: 8, vocabulary: 60, context: 32, seed: 1);
        folder.Write("malformed.jsonl", "{");
        folder.Write("unequal.jsonl", """{"clean": " Mary and John", "corrupted": " Mary went", "correct": " Mary", "incorrect": " John"}""");
        var (exitCode, _, error) = await Headpatch.RunAsync(folder.Path, ["dataset", "show", .. options.Split(' ')]);
        Assert.Contains(message, error, StringComparison.Ordinal);
        Assert.Equal(2, exitCode);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
    }
}
