using HeadPatching.Core.Prompts;
using HeadPatching.Core.Prompts.Datasets;

namespace HeadPatching.Core.Tests.Prompts.Datasets;

public class BuiltInDatasetsTests
{
    [Theory]
    [InlineData("ioi", "When Mary and John went to the store, Mary gave a drink to", "When Lisa and David went to the office, Lisa gave a report to")]
    [InlineData("ioi-order", "When John and Mary went to the store, John gave a drink to", "When David and Lisa went to the office, David gave a report to")]
    public void A_fixed_dataset_is_the_five_sentences_with_its_own_corruption(string name, string firstCorrupted, string lastCorrupted)
    {
        IReadOnlyList<PromptPair> pairs = BuiltInDatasets.Find(name)!.Make(new DatasetInput(TestConfig.With(1), null, Count: 9, Seed: 9, "dataset"));
        Assert.Equal(5, pairs.Count);
        Assert.Equal(
            new PromptPair(
                Prompt.Of("When Mary and John went to the store, John gave a drink to"), Prompt.Of(firstCorrupted), Answer.Of(" Mary"), Answer.Of(" John"))
            {
                Template = "When [IO] and [S] went to the [place], [S] gave a [object] to",
            },
            pairs[0]);
        Assert.Equal("When Emma and James went to the restaurant, James gave a menu to", pairs[2].Clean.Text);
        Assert.Equal(
            new PromptPair(
                Prompt.Of("When Lisa and David went to the office, David gave a report to"), Prompt.Of(lastCorrupted), Answer.Of(" Lisa"), Answer.Of(" David"))
            {
                Template = pairs[0].Template,
            },
            pairs[4]);
    }

    [Theory]
    [InlineData("ioo")]
    [InlineData("IOI")]
    [InlineData("")]
    public void There_is_no_dataset_of_an_unknown_name_and_the_fault_lists_the_known_ones(string name)
    {
        Assert.Null(BuiltInDatasets.Find(name));
        Assert.EndsWith(
            "Known are: ioi, ioi-order, ioi-generated, ioi-abc, greater-than, induction, docstring, gendered-pronoun, gender-bias, sva, arithmetic-addition, "
            + "arithmetic-subtraction, colored-objects, mcqa.",
            BuiltInDatasets.Unknown(name, "dataset").Message);
    }
}
