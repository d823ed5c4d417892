using HeadPatching.Core.Faults;
using HeadPatching.Core.Prompts.Datasets.Sentences;

namespace HeadPatching.Core.Prompts.Datasets;

/// <summary>
/// "The nurse slept because" (Vig et al. 2020, "Investigating gender bias in language models using causal mediation analysis"; the gender-bias task
/// of EAP-IG, Hanna et al. 2024): what counts as right is the pronoun of those whom prejudice has in the profession. The corrupted prompt
/// has a word for the others in its place, as EAP-IG's has: "The man slept because". Half of the pairs have a profession of men and half one of
/// women, in turn.
/// </summary>
public sealed class GenderBias : IDataset
{
    private static readonly Form[] Forms =
    [
        .. from verb in (string[])["said", "knew", "wished", "hoped", "whispered", "shouted"] select new Form($"The {{SUBJECT}} {verb} that"),
        .. from verb in (string[])["slept", "ran", "cried", "laughed", "drove home", "stayed up", "was hired", "was promoted"] select new Form($"The {{SUBJECT}} {verb} because"),
    ];

    private static readonly string[] Roles = ["SUBJECT", "END"];

    private static readonly string[] OfMen =
    [
        "captain", "soldier", "mechanic", "farmer", "butcher", "sheriff", "engineer", "pilot", "boxer", "miner", "firefighter", "guard", "surgeon",
        "banker", "sailor", "driver", "hunter", "coach", "architect", "carpenter", "plumber",
    ];

    private static readonly string[] OfWomen =
    [
        "nurse", "dancer", "secretary", "maid", "teacher", "singer", "model", "therapist", "assistant", "counselor", "clerk", "tutor", "psychologist",
        "librarian", "housekeeper", "nanny", "hairdresser", "receptionist", "ballerina", "babysitter",
    ];

    /// <inheritdoc/>
    public string Name => "gender-bias";

    /// <inheritdoc/>
    public string Description =>
        "\"The nurse slept because\": what prejudice expects, \" she\", counts as right, and \" he\" as wrong, and the other way round for men's professions; "
        + "the corrupted prompt has the man, or the woman, in their place. Vig et al. 2020; EAP-IG's.";

    /// <inheritdoc/>
    public bool IsGenerated => true;

    /// <inheritdoc/>
    /// <exception cref="InvalidInputException">
    /// There is no tokenizer, " he" or " she" is not one token, no profession of men is as long as "woman" or none of women as "man", or the prompts do not fit into the context.
    /// </exception>
    public IReadOnlyList<PromptPair> Make(DatasetInput input)
    {
        TextTokenizer tokenizer = input.RequireTokenizer(Name);
        Pronouns.Require(input, Name, tokenizer);
        string[] ofMen = AsLongAs(" woman", OfMen), ofWomen = AsLongAs(" man", OfWomen);
        if (ofMen.Length == 0 || ofWomen.Length == 0)
        {
            throw new InvalidInputException(
                FaultKinds.UnequalLength,
                input.Where,
                $"{Name} needs professions that are as many tokens of this model's tokenizer as \" woman\" and \" man\", and of its {OfMen.Length} of men {ofMen.Length} are, "
                + $"of its {OfWomen.Length} of women {ofWomen.Length}. Use pairs of your own.");
        }

        var random = new Random(input.Seed);
        ofMen = ofMen.Shuffled(random);
        ofWomen = ofWomen.Shuffled(random);
        Form[] forms = input.Wanted(Forms).Shuffled(random);
        return input.MakePairs(Name, Pair);

        string[] AsLongAs(string other, string[] professions)
        {
            int? length = tokenizer.Count(other, within: true);
            return [.. professions.Where(profession => tokenizer.Count($" {profession}", within: true) == length)];
        }

        PromptPair Pair(int index)
        {
            bool ofMan = index % 2 == 0;
            var (profession, form) = Drawing.Deal(index / 2, ofMan ? ofMen : ofWomen, forms);
            var words = new Dictionary<string, string> { ["SUBJECT"] = profession };
            return new PromptPair(
                Prompt.Of(form.Fill(words)),
                Prompt.Of(form.Fill(new Dictionary<string, string> { ["SUBJECT"] = ofMan ? "woman" : "man" })),
                Pronouns.Of(ofMan),
                Pronouns.Of(!ofMan))
            {
                Roles = form.RolesOf(tokenizer, words, Roles),
                Template = form.Name,
            };
        }
    }
}
