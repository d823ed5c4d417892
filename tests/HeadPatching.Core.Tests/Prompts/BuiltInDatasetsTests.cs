using HeadPatching.Core.Faults;
using HeadPatching.Core.Prompts;

namespace HeadPatching.Core.Tests.Prompts;

public class BuiltInDatasetsTests
{
    [Theory]
    [InlineData("ioi", "When Mary and John went to the store, Mary gave a drink to", "When Lisa and David went to the office, Lisa gave a report to")]
    [InlineData("ioi-order", "When John and Mary went to the store, John gave a drink to", "When David and Lisa went to the office, David gave a report to")]
    public void A_dataset_is_the_five_sentences_with_its_own_corruption(string name, string firstCorrupted, string lastCorrupted)
    {
        IReadOnlyList<PromptPair> pairs = BuiltInDatasets.Get(name, "--dataset");
        Assert.Equal(5, pairs.Count);
        Assert.Equal(
            new PromptPair(
                Prompt.Of("When Mary and John went to the store, John gave a drink to"), Prompt.Of(firstCorrupted), Answer.Of(" Mary"), Answer.Of(" John")),
            pairs[0]);
        Assert.Equal("When Emma and James went to the restaurant, James gave a menu to", pairs[2].Clean.Text);
        Assert.Equal(
            new PromptPair(
                Prompt.Of("When Lisa and David went to the office, David gave a report to"), Prompt.Of(lastCorrupted), Answer.Of(" Lisa"), Answer.Of(" David")),
            pairs[4]);
    }

    [Fact]
    public void Every_dataset_can_be_had_and_says_what_it_is()
    {
        Assert.Equal("ioi", BuiltInDatasets.Names[0]);
        Assert.All(BuiltInDatasets.Names, name => Assert.NotEmpty(BuiltInDatasets.Describe(name, "dataset")));
    }

    [Theory]
    [InlineData("ioo")]
    [InlineData("IOI")]
    [InlineData("")]
    public void An_unknown_name_is_refused_with_the_known_ones(string name)
    {
        Fault fault = Assert.Single(Assert.Throws<InvalidInputException>(() => BuiltInDatasets.Get(name, "--dataset")).Faults);
        Assert.Equal((FaultKinds.UnknownDataset, "--dataset"), (fault.Kind, fault.Where));
        Assert.Contains("ioi, ioi-order", fault.Message);
    }
}
