using HeadPatching.Core.Faults;
using HeadPatching.Core.Prompts.Datasets.Sentences;

namespace HeadPatching.Core.Prompts.Datasets;

/// <summary>
/// "So Mary is a really great friend, isn't" (Mathwin et al. 2023, "Identifying a preliminary circuit for predicting gendered pronouns in GPT-2
/// small"): right is the pronoun of the name, wrong the other. The corrupted prompt names nobody, as theirs does: "That person is a really great
/// friend, isn't". Half of the pairs have a man's name and half a woman's, in turn.
/// </summary>
public sealed class GenderedPronoun : IDataset
{
    // They have five sentences of this form; these words make many.
    private static readonly Form Form = new("{SO} {NAME} is {how} {ADJ} {NOUN}, isn't");

    private static readonly string[] Roles = ["NAME", "NAME+1", "ADJ", "NOUN", "END"];

    private static readonly string[] Hows = ["a really", "such a", "a very"];

    private static readonly string[] Adjectives =
        ["great", "good", "nice", "kind", "funny", "clever", "talented", "careful", "gentle", "brave", "smart", "friendly", "patient", "cheerful", "generous"];

    private static readonly string[] Nouns =
        ["friend", "person", "cook", "singer", "teacher", "dancer", "runner", "writer", "player", "driver", "artist", "neighbor", "student", "leader"];

    private static readonly string[] Men =
    [
        "John", "James", "Michael", "David", "Peter", "Paul", "Mark", "Daniel", "Adam", "Simon", "George", "Thomas", "Henry", "Robert", "Jack",
        "Martin", "Kevin", "Brian", "Frank", "Steven", "Eric", "Andrew", "Matthew", "Scott", "William", "Tom", "Bob", "Oliver", "Tim", "Timmy",
    ];

    private static readonly string[] Women =
    [
        "Mary", "Alice", "Emma", "Sarah", "Lisa", "Anna", "Laura", "Kate", "Rachel", "Julia", "Sophie", "Maria", "Helen", "Claire", "Nina",
        "Ruth", "Eva", "Grace", "Susan", "Diana", "Karen", "Linda", "Nancy", "Amy", "Rebecca", "Hannah", "Julie", "Olivia", "Emily", "Lily",
    ];

    /// <inheritdoc/>
    public string Name => "gendered-pronoun";

    /// <inheritdoc/>
    public string Description =>
        "\"So Mary is a really great friend, isn't\": right is \" she\", wrong \" he\", and the other way round for a man's name; the corrupted prompt begins "
        + "\"That person\". Mathwin et al. 2023.";

    /// <inheritdoc/>
    public bool IsGenerated => true;

    /// <inheritdoc/>
    /// <exception cref="InvalidInputException">
    /// There is no tokenizer, " he" or " she" is not one token, no man's or no woman's name is as long as what stands for it, or the prompts do not fit into the context.
    /// </exception>
    public IReadOnlyList<PromptPair> Make(DatasetInput input)
    {
        TextTokenizer tokenizer = input.RequireTokenizer(Name);
        Pronouns.Require(input, Name, tokenizer);
        int? nobody = tokenizer.Count("That person", within: false);
        string[] men = [.. Men.Where(IsAsLong)], women = [.. Women.Where(IsAsLong)];
        if (men.Length == 0 || women.Length == 0)
        {
            throw new InvalidInputException(
                FaultKinds.UnequalLength,
                input.Where,
                $"{Name} needs names that are as long after \"So\" as \"That person\", which is {nobody} tokens of this model's tokenizer, and of its {Men.Length} men's names "
                + $"{men.Length} are, of its {Women.Length} women's {women.Length}. Use pairs of your own.");
        }

        var random = new Random(input.Seed);
        men = men.Shuffled(random);
        women = women.Shuffled(random);
        IReadOnlyList<string> adjectives = tokenizer.OneTokenWhereAny(Adjectives), nouns = tokenizer.OneTokenWhereAny(Nouns);
        (string How, string Adjective, string Noun)[] ways =
            (from how in Hows from adjective in adjectives from noun in nouns select (how, adjective, noun)).Shuffled(random);
        return input.MakePairs(Name, Pair);

        bool IsAsLong(string name) => tokenizer.Count($"So {name}", within: false) == nobody;

        PromptPair Pair(int index)
        {
            bool isMan = index % 2 == 0;
            var (name, way) = Drawing.Deal(index / 2, isMan ? men : women, ways);
            var words = new Dictionary<string, string> { ["SO"] = "So", ["NAME"] = name, ["how"] = way.How, ["ADJ"] = way.Adjective, ["NOUN"] = way.Noun };
            return new PromptPair(
                Prompt.Of(Form.Fill(words)),
                Prompt.Of(Form.Fill(new Dictionary<string, string>(words) { ["SO"] = "That", ["NAME"] = "person" })),
                Pronouns.Of(isMan),
                Pronouns.Of(!isMan))
            {
                Roles = Form.RolesOf(tokenizer, words, Roles),
                Template = Form.Name,
            };
        }
    }
}

/// <summary>The pronouns that two datasets have as answers.</summary>
internal static class Pronouns
{
    private static readonly string[] Both = [" he", " she"];

    /// <summary>The pronoun of a man or of a woman.</summary>
    public static Answer Of(bool isMan) => Answer.Of(Both[isMan ? 0 : 1]);

    /// <summary>That a tokenizer has both as one token.</summary>
    /// <exception cref="InvalidInputException">It has not.</exception>
    public static void Require(DatasetInput input, string dataset, TextTokenizer tokenizer)
    {
        string[] lacking = [.. Both.Where(pronoun => tokenizer.SingleToken(pronoun) is null)];
        if (lacking.Length > 0)
        {
            throw input.TooFewWords(dataset, Both.Length, "pronouns", Both, lacking);
        }
    }
}
