using HeadPatching.Core.Faults;
using HeadPatching.Core.Prompts.Datasets.Sentences;

namespace HeadPatching.Core.Prompts.Datasets;

/// <summary>
/// "The teachers near the guard" (the constructions of Marvin and Linzen 2018, "Targeted syntactic evaluation of language models"; asked as
/// Newman et al. 2021, "Refining targeted syntactic evaluation of language models", ask, of many verbs at once; the sva task of EAP-IG): right is
/// every verb of the subject's number, wrong every verb of the other. The corrupted prompt has the subject, and a verb of its that
/// came before, in the other number. Singular and plural subjects take turns.
/// </summary>
public sealed class SubjectVerbAgreement : IDataset
{
    // Theirs in kind: a bare subject; a phrase or a clause between; the verb of a clause; what was said; two verbs. {liked} is of the other
    // noun's number, {likes} and {rests} of the subject's.
    private static readonly Form[] Forms =
    [
        new("The {SUBJECT}"),
        new("The {SUBJECT} near the {ATTRACTOR}"),
        new("The {SUBJECT} behind the {ATTRACTOR}"),
        new("The {SUBJECT} next to the {ATTRACTOR}"),
        new("The {SUBJECT} that the {ATTRACTOR} {liked}"),
        new("The {SUBJECT} the {ATTRACTOR} {liked}"),
        new("The {SUBJECT} that {likes} the {ATTRACTOR}"),
        new("The {ATTRACTOR} that the {SUBJECT}"),
        new("The {ATTRACTOR} the {SUBJECT}"),
        new("The {ATTRACTOR} said the {SUBJECT}"),
        new("The {SUBJECT} {rests} and"),
    ];

    private static readonly string[] Roles = ["SUBJECT", "ATTRACTOR", "END"];

    private static readonly Numbers[] Nouns =
    [
        .. from noun in (string[])
           [
               "teacher", "doctor", "driver", "farmer", "player", "writer", "singer", "manager", "officer", "soldier", "student", "lawyer", "artist", "worker", "neighbor",
               "parent", "king", "guest", "leader", "owner", "member", "patient", "customer", "visitor", "actor", "sailor", "hunter", "girl", "boy", "friend",
           ]
           select new Numbers(noun, noun + "s"),
    ];

    private static readonly Numbers[] Transitive = [.. Verbs("like", "know", "follow", "help", "watch", "fear", "love", "hate", "see", "lead")];

    private static readonly Numbers[] Intransitive = [.. Verbs("laugh", "smile", "work", "wait", "sing", "walk", "run", "sleep")];

    private static readonly Numbers[] Answers =
    [
        new("is", "are"), new("was", "were"), new("has", "have"), new("does", "do"), new("goes", "go"),
        .. Verbs(
            "say", "make", "take", "come", "see", "know", "get", "give", "think", "tell", "become", "show", "leave", "feel", "bring", "begin", "keep", "hold", "write", "stand",
            "hear", "mean", "meet", "run", "pay", "sit", "speak", "lead", "grow", "lose", "fall", "send", "build", "understand", "draw", "break", "wear", "choose", "seek", "throw",
            "win", "need", "want", "seem", "help", "turn", "start", "play", "move", "live", "believe", "include", "continue", "change", "watch", "follow", "stop", "create", "open",
            "walk", "offer", "love", "appear", "serve", "expect", "remain", "require", "like"),
    ];

    /// <inheritdoc/>
    public string Name => "sva";

    /// <inheritdoc/>
    public string Description =>
        "Subject-verb agreement, \"The teachers near the guard\": every verb of the subject's number is right, every other wrong; the corrupted prompt has the subject "
        + "in the other number. Eleven constructions. Marvin and Linzen 2018, Newman et al. 2021; EAP-IG's.";

    /// <inheritdoc/>
    public bool IsGenerated => true;

    /// <inheritdoc/>
    /// <exception cref="InvalidInputException">There is no tokenizer, or too few of the words are one token in both numbers.</exception>
    public IReadOnlyList<PromptPair> Make(DatasetInput input)
    {
        TextTokenizer tokenizer = input.RequireTokenizer(Name);
        Numbers[] nouns = OneToken(Nouns, fewest: 2, "nouns"), verbs = OneToken(Answers, fewest: 1, "verbs");
        Numbers[] transitive = OneToken(Transitive, fewest: 1, "verbs with an object"), intransitive = OneToken(Intransitive, fewest: 1, "verbs without one");
        IReadOnlyList<Form> forms = input.Wanted(Forms);
        AnswerSet singular = AnswerSet.Of([.. verbs.Select(verb => Answer.Of($" {verb.Singular}"))]), plural = AnswerSet.Of([.. verbs.Select(verb => Answer.Of($" {verb.Plural}"))]);
        var random = new Random(input.Seed);
        return input.MakePairs(Name, Pair);

        PromptPair Pair(int index)
        {
            var (round, place) = Math.DivRem(index, forms.Count);
            bool isPlural = (round + place) % 2 == 1;
            Form form = forms[place];
            Numbers[] drawn = nouns.Shuffled(random)[..2];
            bool otherIsPlural = random.Next(2) == 1;
            Numbers likes = random.Pick(transitive), rests = random.Pick(intransitive);
            return new PromptPair(
                Prompt.Of(form.Fill(Words(isPlural))),
                Prompt.Of(form.Fill(Words(!isPlural))),
                isPlural ? plural : singular,
                isPlural ? singular : plural)
            {
                Roles = form.RolesOf(tokenizer, Words(isPlural), Roles),
                Template = form.Name,
            };

            Dictionary<string, string> Words(bool subjectIsPlural) => new()
            {
                ["SUBJECT"] = drawn[0].Of(subjectIsPlural),
                ["ATTRACTOR"] = drawn[1].Of(otherIsPlural),
                ["likes"] = likes.Of(subjectIsPlural),
                ["liked"] = likes.Of(otherIsPlural),
                ["rests"] = rests.Of(subjectIsPlural),
            };
        }

        Numbers[] OneToken(Numbers[] words, int fewest, string what)
        {
            Numbers[] one = [.. words.Where(word => tokenizer.SingleToken($" {word.Singular}") is not null && tokenizer.SingleToken($" {word.Plural}") is not null)];
            return one.Length >= fewest ? one : throw input.TooFewWords(
                Name, fewest, $"{what} in both numbers", [.. words.Select(word => $" {word.Singular}/{word.Plural}")], [.. words.Except(one).Select(word => $" {word.Singular}/{word.Plural}")]);
        }
    }

    private static IEnumerable<Numbers> Verbs(params string[] plurals) => plurals.Select(verb => new Numbers(verb + (verb.EndsWith("ch", StringComparison.Ordinal) ? "es" : "s"), verb));

    /// <summary>A word in its two numbers.</summary>
    private sealed record Numbers(string Singular, string Plural)
    {
        public string Of(bool plural) => plural ? Plural : Singular;
    }
}
