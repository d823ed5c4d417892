using HeadPatching.Core.Faults;
using HeadPatching.Core.Prompts.Datasets.Sentences;

namespace HeadPatching.Core.Prompts.Datasets;

/// <summary>
/// A Python function of six arguments whose docstring has come to the third of them that it describes (Heimersheim and Janiak 2023, "A circuit
/// for Python docstrings in a 4-layer attention-only transformer"; ACDC and auto-circuit ship it): right is that argument's name. The corrupted
/// prompt is theirs that is called random_random: other names for the three arguments in the definition, and others again for the two that the
/// docstring has described, so that it says nothing of a third. Wrong is every other name that either prompt has.
/// </summary>
/// <remarks>
/// ACDC's data has three wrong names more, which stand in neither prompt. Its metric is the right name's logit less the highest of the wrong
/// ones'; logit-difference takes their mean.
/// </remarks>
public sealed class Docstring : IDataset
{
    // The arguments A, B and C, those around them, what stands for all of them in the corrupted prompt, and the function.
    private const int NamesOfPair = 12;

    private const int NounsOfPair = 7;

    private static readonly Form Form = new(
        "\ndef {function}(self, {before_1}, {before_2}, {A_def}, {B_def}, {C_def}, {after}):\n"
        + "    \"\"\"{summary}\n\n"
        + "    :param {A_doc}: {of_A}\n"
        + "    :{param_2} {B_doc}: {of_B}\n"
        + "    :param");

    // Theirs; ",_B" is B_def+1, and param_3 is END.
    private static readonly string[] Roles = ["A_def", "B_def", "B_def+1", "C_def", "A_doc", "param_2", "B_doc", "END"];

    private static readonly string[] Blanks = ["function", "before_1", "before_2", "A_def", "B_def", "C_def", "after"];

    private static readonly string[] Names =
    [
        "width", "height", "color", "depth", "weight", "speed", "price", "count", "limit", "offset", "level", "mode", "style", "label", "title",
        "text", "query", "path", "folder", "host", "port", "user", "token", "email", "phone", "address", "city", "country", "date", "time",
        "start", "end", "first", "last", "left", "right", "parent", "child", "source", "target", "input", "output", "index", "size", "shape",
        "scale", "factor", "rate", "score", "value", "key", "message", "status", "event", "action", "order", "item", "group", "owner", "name",
    ];

    private static readonly string[] Nouns =
    [
        "garden", "river", "winter", "music", "bread", "stone", "market", "engine", "travel", "window", "summer", "doctor", "bridge", "island",
        "forest", "paper", "letter", "circle", "glass", "metal", "morning", "evening", "kitchen", "animal", "cotton", "mirror", "shadow", "silver",
        "thunder", "village", "castle", "dinner", "bottle", "ticket", "butter", "farmer", "painter", "sugar", "camera", "sister", "brother", "coffee",
    ];

    /// <inheritdoc/>
    public string Name => "docstring";

    /// <inheritdoc/>
    public string Description =>
        "A Python function whose docstring has come to the third argument that it describes, and right is its name; the corrupted prompt has other names, "
        + "different ones in definition and docstring. Heimersheim and Janiak 2023; ACDC's random_random.";

    /// <inheritdoc/>
    public bool IsGenerated => true;

    /// <inheritdoc/>
    /// <exception cref="InvalidInputException">There is no tokenizer, too few of the names are one token, or the prompts do not fit into the context.</exception>
    public IReadOnlyList<PromptPair> Make(DatasetInput input)
    {
        TextTokenizer tokenizer = input.RequireTokenizer(Name);
        string[] names = tokenizer.OneToken(Names);
        if (names.Length < NamesOfPair)
        {
            throw input.TooFewWords(Name, NamesOfPair, "argument names", [.. Names.Select(name => $" {name}")], [.. Names.Except(names).Select(name => $" {name}")]);
        }

        string[] nouns = tokenizer.OneToken(Nouns) is { Length: >= NounsOfPair } some ? some : Nouns;
        string[] first = [.. nouns.Where(noun => tokenizer.SingleToken(noun) is not null)]; // after the quotes there is no space
        var random = new Random(input.Seed);
        return input.MakePairs(Name, _ => Pair(tokenizer, names, first.Length > 0 ? first : nouns, nouns, random));
    }

    private static PromptPair Pair(TextTokenizer tokenizer, string[] names, string[] firstNouns, string[] nouns, Random random)
    {
        string[] drawn = names.Shuffled(random)[..NamesOfPair];
        var clean = new Dictionary<string, string> { ["param_2"] = "param" };
        foreach (var (blank, name) in Blanks.Zip(drawn))
        {
            clean[blank] = name;
        }

        string first = random.Pick(firstNouns);
        string[] others = drawn[Blanks.Length..], described = nouns.Where(noun => noun != first).Shuffled(random)[..(NounsOfPair - 1)];
        clean["summary"] = $"{first} {described[0]} {described[1]}";
        clean["of_A"] = $"{described[2]} {described[3]}";
        clean["of_B"] = $"{described[4]} {described[5]}";
        clean["A_doc"] = clean["A_def"];
        clean["B_doc"] = clean["B_def"];
        var corrupted = new Dictionary<string, string>(clean)
        {
            ["A_def"] = others[0],
            ["B_def"] = others[1],
            ["C_def"] = others[2],
            ["A_doc"] = others[3],
            ["B_doc"] = others[4],
        };
        string right = clean["C_def"];
        return new PromptPair(
            Prompt.Of(Form.Fill(clean)),
            Prompt.Of(Form.Fill(corrupted)),
            Answer.Of($" {right}"),
            AnswerSet.Of([.. drawn.Skip(1).Where(name => name != right).Select(name => Answer.Of($" {name}"))])) // all but the function's
        {
            Roles = Form.RolesOf(tokenizer, clean, Roles),
            Template = Form.Name,
        };
    }
}
