using System.Text.RegularExpressions;
using HeadPatching.Core.Prompts.Datasets.Ioi;

namespace HeadPatching.DemoModel.Vocabularies;

/// <summary>Every word that a generated sentence can have, cut as GPT-2 cuts a text before it looks for tokens.</summary>
public static partial class SentenceWords
{
    /// <summary>The words in a fixed order, those after a space with that space: "When", " and", ",", " Mary", ".", ...</summary>
    public static IReadOnlyList<string> All { get; } =
    [
        .. IoiTemplates.All.SelectMany(Cut)
            .Concat(IoiWords.Names.Concat(IoiWords.Places).Concat(IoiWords.Objects).Select(word => $" {word}"))
            .Append(".")
            .Distinct(),
    ];

    /// <summary>A letter or comma run with the space before it. The slots of a template, such as {First}, are left out.</summary>
    [GeneratedRegex(@"(?<slot> ?\{\w+\})|(?<word> ?[A-Za-z]+|,)")]
    private static partial Regex Word { get; }

    private static IEnumerable<string> Cut(string template) =>
        Word.Matches(template).Select(match => match.Groups["word"]).Where(word => word.Success).Select(word => word.Value);
}
