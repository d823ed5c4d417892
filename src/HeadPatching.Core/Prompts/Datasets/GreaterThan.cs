using System.Globalization;
using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts.Datasets;

/// <summary>
/// "The war lasted from the year 1732 to the year 17" (Hanna et al. 2023, "How does GPT-2 compute greater-than?"): right is every two-digit
/// ending above 32, wrong every other one. The corrupted prompt begins in the year 01, after which hardly any ending is wrong. Only years
/// that the tokenizer cuts into century and ending are used, and only endings that are one token are answers.
/// </summary>
public sealed class GreaterThan : IDataset
{
    private const string CorruptedEnding = "01";

    // Things that last for years.
    private static readonly string[] Nouns =
    [
        "war", "siege", "voyage", "reign", "famine", "truce", "drought", "feud", "trial", "strike",
        "journey", "rebellion", "treaty", "plague", "crisis", "search", "debate", "mission", "project", "study",
        "marriage", "partnership", "alliance", "occupation", "expedition", "construction", "restoration", "revolution", "conflict", "campaign",
        "empire", "dynasty", "monopoly", "blockade", "dispute", "friendship", "exile", "regime", "contract", "experiment",
    ];

    /// <inheritdoc/>
    public string Name => "greater-than";

    /// <inheritdoc/>
    public string Description =>
        "\"The war lasted from the year 1732 to the year 17\": endings above 32 are right, the others wrong; the corrupted prompt begins in 1701. "
        + "Needs a tokenizer that cuts years in two, as GPT-2's does.";

    /// <inheritdoc/>
    public bool IsGenerated => true;

    /// <inheritdoc/>
    /// <exception cref="InvalidInputException">There is no tokenizer, or it has no year that is a century's token and an ending's.</exception>
    public IReadOnlyList<PromptPair> Make(DatasetInput input)
    {
        TextTokenizer tokenizer = input.RequireTokenizer(Name);
        string[] endings = [.. Enumerable.Range(0, 100).Select(TwoDigits).Where(ending => tokenizer.SingleToken(ending) is not null)];
        // The centuries of the paper. The last ending has none above it, and those up to 01 would not be corrupted.
        (string Century, string Ending)[] years =
        [
            .. from century in Enumerable.Range(11, 7).Select(TwoDigits)
               where IsCut(century, CorruptedEnding)
               from ending in endings.SkipLast(1)
               where string.CompareOrdinal(ending, CorruptedEnding) > 0 && IsCut(century, ending)
               select (century, ending),
        ];
        if (years.Length == 0)
        {
            throw new InvalidInputException(
                FaultKinds.AnswerNotOneToken,
                input.Where,
                $"{Name} needs years of two tokens, such as \" 17\" and \"32\", and this model's tokenizer has none from 1102 to 1798. "
                + "Use a model whose tokenizer cuts years in two, as GPT-2's does, or pairs of your own.");
        }

        // Nouns of one token give all pairs one length.
        string[] nouns = [.. Nouns.Where(noun => tokenizer.SingleToken($" {noun}") is not null)];
        nouns = nouns.Length > 0 ? nouns : Nouns;
        var random = new Random(input.Seed);
        return [.. Enumerable.Range(0, input.Count).Select(_ => Pair(tokenizer, nouns[random.Next(nouns.Length)], years[random.Next(years.Length)], endings))];

        bool IsCut(string century, string ending) =>
            tokenizer.SingleToken($" {century}") is int first && tokenizer.SingleToken(ending) is int second
            && tokenizer.Encode($" {century}{ending}").SequenceEqual([first, second]);
    }

    private static PromptPair Pair(TextTokenizer tokenizer, string noun, (string Century, string Ending) year, string[] endings)
    {
        ILookup<bool, Answer> answers = endings.ToLookup(ending => string.CompareOrdinal(ending, year.Ending) > 0, Answer.Of);
        string upToCentury = $"The {noun} lasted from the year {year.Century}";
        return new PromptPair(
            Prompt.Of(Sentence(year.Ending)), Prompt.Of(Sentence(CorruptedEnding)), AnswerSet.Of([.. answers[true]]), AnswerSet.Of([.. answers[false]]))
        {
            // Named after the paper: a year is XX and YY.
            Roles = tokenizer.RolesOf(
                Sentence(year.Ending),
                ("NOUN", $"The {noun}", 0),
                ("XX1", upToCentury, 0),
                ("YY", upToCentury, 1),
                ("END", Sentence(year.Ending), 0)),
        };

        string Sentence(string ending) => $"{upToCentury}{ending} to the year {year.Century}";
    }

    private static string TwoDigits(int number) => number.ToString("00", CultureInfo.InvariantCulture);
}
