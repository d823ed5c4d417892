using HeadPatching.Core.Prompts.Datasets.Sentences;

namespace HeadPatching.Core.Prompts.Datasets.Ioi;

/// <summary>
/// The forms of indirect-object sentences: a scene that names both people, then a gift by one of them. Every scene goes with every gift.
/// {First} and {Second} are the two people, {Subject} the one of them who gives, {Place} and {Object} words of <see cref="IoiWords"/>.
/// Every name comes after a space, so that it is the same token wherever it stands. The demo model is trained on these forms.
/// </summary>
public static class IoiTemplates
{
    /// <summary>The first halves. The first one is that of <c>ioi</c>.</summary>
    public static IReadOnlyList<string> Scenes { get; } =
    [
        "When {First} and {Second} went to the {Place},",
        "After {First} and {Second} went to the {Place},",
        "When {First} and {Second} came to the {Place},",
        "While {First} and {Second} were at the {Place},",
        "While {First} and {Second} were working at the {Place},",
        "Once {First} and {Second} got back from the {Place},",
        "After {First} and {Second} had lunch near the {Place},",
        "When {First} met {Second} at the {Place},",
        "After {First} found {Second} at the {Place},",
        "Then {First} and {Second} walked to the {Place}, and",
        "Yesterday {First} and {Second} drove to the {Place}, where",
        "This morning {First} saw {Second} by the {Place}, so",
        "At the {Place} {First} and {Second} had a long talk, and then",
        "The {Place} was quiet when {First} and {Second} came in, so",
    ];

    /// <summary>The second halves, without the answer. The first one is that of <c>ioi</c>.</summary>
    public static IReadOnlyList<string> Gifts { get; } =
    [
        "{Subject} gave a {Object} to",
        "{Subject} gave the {Object} to",
        "{Subject} handed a {Object} to",
        "{Subject} passed the {Object} to",
        "{Subject} offered a {Object} to",
        "{Subject} showed the {Object} to",
        "{Subject} sold a {Object} to",
        "{Subject} wanted to give a {Object} to",
        "{Subject} decided to give the {Object} to",
        "{Subject} brought a new {Object} and gave it to",
    ];

    /// <summary>All forms: each scene with each gift.</summary>
    public static IReadOnlyList<string> All { get; } = [.. Scenes.SelectMany(scene => Gifts.Select(gift => $"{scene} {gift}"))];

    private static readonly Dictionary<(string Template, bool IndirectObjectFirst), (Form Form, string Name)> Forms = All
        .SelectMany(template => ((bool[])[true, false]).Select(indirectObjectFirst => (template, indirectObjectFirst)))
        .ToDictionary(of => of, of => (new Form(Of(of, "{IO}", "{S1}", "{S2}", "{place}", "{object}")), Of(of, "[IO]", "[S]", "[S]", "[place]", "[object]")));

    /// <summary>A sentence up to its answer.</summary>
    public static string Fill(string template, string first, string second, string subject, string place, string thing) => template
        .Replace("{First}", first, StringComparison.Ordinal)
        .Replace("{Second}", second, StringComparison.Ordinal)
        .Replace("{Subject}", subject, StringComparison.Ordinal)
        .Replace("{Place}", place, StringComparison.Ordinal)
        .Replace("{Object}", thing, StringComparison.Ordinal);

    /// <summary>
    /// The roles of a sentence: the indirect object (<c>IO</c>), both mentions of the subject (<c>S1</c>, <c>S2</c>), the token after the first
    /// (<c>S1+1</c>), and the last token, at which the answer is read (<c>END</c>). Wang et al. 2022 name them so.
    /// </summary>
    /// <param name="tokenizer">The model's tokenizer; null where it has none, and then there are no roles.</param>
    /// <param name="template">One of <see cref="All"/>.</param>
    /// <param name="indirectObjectFirst">Whether the indirect object is named before the subject.</param>
    /// <param name="indirectObject">Who is given something.</param>
    /// <param name="subject">Who gives.</param>
    /// <param name="place">The place.</param>
    /// <param name="thing">What is given.</param>
    internal static IReadOnlyDictionary<string, int>? RolesOf(
        TextTokenizer? tokenizer, string template, bool indirectObjectFirst, string indirectObject, string subject, string place, string thing)
    {
        var words = new Dictionary<string, string> { ["IO"] = indirectObject, ["S1"] = subject, ["S2"] = subject, ["place"] = place, ["object"] = thing };
        return tokenizer is null ? null : Forms[(template, indirectObjectFirst)].Form.RolesOf(tokenizer, words, "IO", "S1", "S1+1", "S2", "END");
    }

    /// <summary>A template with its people named by their roles, as pairs say what they were made from.</summary>
    internal static string NameOf(string template, bool indirectObjectFirst) => Forms[(template, indirectObjectFirst)].Name;

    private static string Of((string Template, bool IndirectObjectFirst) of, string indirectObject, string first, string second, string place, string thing) =>
        of.IndirectObjectFirst ? Fill(of.Template, indirectObject, first, second, place, thing) : Fill(of.Template, first, indirectObject, second, place, thing);
}
