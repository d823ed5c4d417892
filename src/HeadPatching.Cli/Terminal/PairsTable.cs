using System.Globalization;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace HeadPatching.Cli.Terminal;

/// <summary>
/// Pairs, each with its two prompts token by token, and what differs between them marked. A space within a token is shown as a dot, so that
/// lines break between tokens only.
/// </summary>
public static class PairsTable
{
    /// <summary>With more answers than this, the others are only counted.</summary>
    private const int AnswersListed = 3;

    private static readonly Style Differing = new(Color.Yellow, decoration: Decoration.Bold);

    /// <summary>Makes the table.</summary>
    /// <param name="pairs">The pairs, in the order of the table.</param>
    /// <param name="tokenText">The text of a token id, or null where there is no tokenizer.</param>
    public static IRenderable Of(IEnumerable<PairResult> pairs, Func<int, string>? tokenText)
    {
        Func<int, string> text = tokenText ?? (id => id.ToString(CultureInfo.InvariantCulture));
        var table = new Table().Border(TableBorder.Simple);
        table.AddColumn(new TableColumn("#").RightAligned().NoWrap());
        table.AddColumn(new TableColumn("prompt").NoWrap());
        table.AddColumn("tokens (· is a space), «those that differ»");
        table.AddColumn("answer");
        table.AddColumn(new TableColumn("logit diff.").RightAligned().NoWrap());
        foreach (PairResult pair in pairs)
        {
            table.AddRow(
                new Text($"{pair.Index}"), new Text("clean"), Tokens(pair.CleanTokens, pair.CorruptedTokens, text), Answers(pair.Correct, text), Metric(pair.CleanMetric));
            table.AddRow(
                new Text(""), new Text("corrupted"), Tokens(pair.CorruptedTokens, pair.CleanTokens, text), Answers(pair.Incorrect, text), Metric(pair.CorruptedMetric));
            if (pair.Roles is { } roles)
            {
                string where = string.Join("  ", roles.OrderBy(role => role.Value).Select(role => $"{role.Key} {role.Value}·{text(pair.CleanTokens[role.Value]).Trim()}"));
                table.AddRow(new Text(""), new Text("roles"), new Text(where), new Text(""), new Text(""));
            }

            table.AddEmptyRow();
        }

        return table;
    }

    private static Paragraph Tokens(IReadOnlyList<int> tokens, IReadOnlyList<int> others, Func<int, string> text)
    {
        var line = new Paragraph();
        for (int p = 0; p < tokens.Count; p++)
        {
            string token = text(tokens[p]).Replace(' ', '·');
            line.Append(p > 0 ? " " : "");
            line.Append(tokens[p] == others[p] ? token : $"«{token}»", tokens[p] == others[p] ? Style.Plain : Differing);
        }

        return line;
    }

    private static Text Answers(TokenAnswers answers, Func<int, string> text)
    {
        string listed = string.Join(", ", answers.Ids.Take(AnswersListed).Select(id => $"\"{text(id)}\""));
        return new Text(answers.Ids.Count > AnswersListed ? $"{listed} and {answers.Ids.Count - AnswersListed} more" : listed);
    }

    private static Text Metric(double metric) => new(metric.ToString("+0.000;-0.000;0.000", CultureInfo.InvariantCulture));
}
