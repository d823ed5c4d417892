using System.Globalization;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Prompts.Datasets.Sentences;

namespace HeadPatching.Core.Prompts.Datasets;

/// <summary>
/// "The war lasted from the year 1732 to the year 17" (Hanna et al. 2023, "How does GPT-2 compute greater-than?"): right is every two-digit
/// ending above 32, wrong every other one. The corrupted prompt begins in the year 01, after which hardly any ending is wrong. Only years
/// that the tokenizer cuts into century and ending are used, and only endings that are one token are answers. Where it writes years digit
/// by digit (Llama 2, Mistral, Qwen), the next digit is asked for: right is every one above 3, wrong every one below.
/// </summary>
public sealed class GreaterThan : IDataset
{
    private const string CorruptedEnding = "01";

    // Those of the paper. Endings up to 01 would not be corrupted.
    private static readonly string[] Centuries = [.. Enumerable.Range(11, 7).Select(TwoDigits)];

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
        + "Needs a tokenizer that cuts years in two, as GPT-2's does, or into digits, as Llama 2's does: then the next digit is right above 3, wrong below.";

    /// <inheritdoc/>
    public bool IsGenerated => true;

    /// <inheritdoc/>
    /// <exception cref="InvalidInputException">There is no tokenizer, or it writes no year as century and ending, or digit by digit.</exception>
    public IReadOnlyList<PromptPair> Make(DatasetInput input)
    {
        TextTokenizer tokenizer = input.RequireTokenizer(Name);
        Year[] years = CutInTwo(tokenizer);
        years = years.Length > 0 ? years : CutIntoDigits(tokenizer);
        if (years.Length == 0)
        {
            throw new InvalidInputException(
                FaultKinds.AnswerNotOneToken,
                input.Where,
                $"{Name} needs years of two tokens, such as \" 17\" and \"32\", or of four digits that are one each, and this model's tokenizer has "
                + "neither from 1102 to 1798. Use a model whose tokenizer does so, as GPT-2's or Llama 2's, or pairs of your own.");
        }

        // Nouns of one token give all pairs one length.
        IReadOnlyList<string> nouns = tokenizer.OneTokenWhereAny(Nouns);
        var random = new Random(input.Seed);
        return [.. Enumerable.Range(0, input.Count).Select(_ => Pair(tokenizer, nouns[random.Next(nouns.Count)], years[random.Next(years.Length)]))];
    }

    /// <summary>The years that are a century's token and an ending's.</summary>
    private static Year[] CutInTwo(TextTokenizer tokenizer)
    {
        string[] endings = [.. Enumerable.Range(0, 100).Select(TwoDigits).Where(ending => tokenizer.SingleToken(ending) is not null)];
        return
        [
            .. from century in Centuries
               where IsCut(century, CorruptedEnding)
               from ending in endings.SkipLast(1) // the last one has none above it
               where string.CompareOrdinal(ending, CorruptedEnding) > 0 && IsCut(century, ending)
               select new Year(century, ending, Where(endings, other => string.CompareOrdinal(other, ending) > 0), Where(endings, other => string.CompareOrdinal(other, ending) <= 0)),
        ];

        bool IsCut(string century, string ending) =>
            tokenizer.SingleToken($" {century}") is int first && tokenizer.SingleToken(ending) is int second
            && tokenizer.EncodeWithin($" {century}{ending}").SequenceEqual([first, second]);
    }

    /// <summary>The years that end in four tokens, one for each digit.</summary>
    private static Year[] CutIntoDigits(TextTokenizer tokenizer)
    {
        string[] digits = [.. Enumerable.Range(0, 10).Select(digit => $"{digit}")];
        int?[] ids = [.. digits.Select(digit => tokenizer.SingleToken(digit))];
        return
        [
            .. from century in Centuries
               where IsCut(century, CorruptedEnding)
               from ending in Enumerable.Range(10, 80).Select(TwoDigits) // those whose first digit has one above and one below it
               where IsCut(century, ending)
               select new Year(century, ending, Where(digits, digit => digit[0] > ending[0]), Where(digits, digit => digit[0] < ending[0])),
        ];

        bool IsCut(string century, string ending) =>
            tokenizer.EncodeWithin($" {century}{ending}").TakeLast(4).Select(id => (int?)id).SequenceEqual((century + ending).Select(digit => ids[digit - '0']));
    }

    private static AnswerSet Where(IEnumerable<string> all, Func<string, bool> holds) => AnswerSet.Of([.. all.Where(holds).Select(Answer.Of)]);

    private static PromptPair Pair(TextTokenizer tokenizer, string noun, Year year)
    {
        string upToCentury = $"The {noun} lasted from the year {year.Century}";
        return new PromptPair(Prompt.Of(Sentence(year.Ending)), Prompt.Of(Sentence(CorruptedEnding)), year.Right, year.Wrong)
        {
            // Named after the paper: a year is XX and YY. Where each digit is a token, YY is the first of the two.
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

    /// <summary>A year to begin in.</summary>
    /// <param name="Century">Its first two digits.</param>
    /// <param name="Ending">The others.</param>
    /// <param name="Right">What follows the century in a later year.</param>
    /// <param name="Wrong">What follows it in another.</param>
    private sealed record Year(string Century, string Ending, AnswerSet Right, AnswerSet Wrong);
}
