using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Tests.Faults;

public class SuggestionTests
{
    private static readonly string[] Patches = ["z", "pattern", "v", "q", "k", "attn_out", "mlp_out", "resid_pre", "resid_mid", "resid_post"];

    [Theory]
    [InlineData("pattren", "pattern")]
    [InlineData("patern", "pattern")]
    [InlineData("resid-pre", "resid_pre")]
    [InlineData("attnout", "attn_out")]
    [InlineData("MLP_OUT", "mlp_out")]
    [InlineData("Z", "z")]
    [InlineData("pat", "pattern")]
    public void A_misspelt_name_suggests_the_one_that_was_meant(string given, string meant) => Assert.Equal(meant, Suggestion.For(given, Patches));

    [Theory]
    [InlineData("")]
    [InlineData("w")]
    [InlineData("head")]
    [InlineData("resid")] // the start of three
    [InlineData("hook_z")]
    public void What_is_like_nothing_that_there_is_suggests_nothing(string given)
    {
        Assert.Null(Suggestion.For(given, Patches));
        Assert.Equal("", Suggestion.DidYouMean(given, Patches));
    }

    [Fact]
    public void Of_two_that_are_as_near_neither_is_suggested() => Assert.Null(Suggestion.For("float8", ["float32", "float64", "bfloat16"]));

    [Fact]
    public void Texts_of_any_length_are_answered_at_once()
    {
        string[] known = [.. Enumerable.Range(0, 1000).Select(i => new string('a', 50_000) + i), "pattern"];
        Assert.Null(Suggestion.For(new string('a', 1_000_000), known));
        Assert.Equal(" Did you mean 'pattern'?", Suggestion.DidYouMean("patternn", known));
    }
}
