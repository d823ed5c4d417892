using HeadPatching.Core.Faults;
using HeadPatching.Core.Prompts.Datasets.Sentences;

namespace HeadPatching.Core.Prompts.Datasets;

/// <summary>
/// "Q: On the table, there is a blue pencil, a black ring, and a yellow cup. What color is the pencil?", after one such question with its answer
/// (Merullo et al. 2024, "Circuit component reuse across tasks in transformer language models"; first of BIG-bench): right is the object's color. The
/// corrupted prompt asks for another of the three, as theirs does, and wrong is that one's color.
/// </summary>
public sealed class ColoredObjects : IDataset
{
    private const int ObjectsOfQuestion = 3;

    // By where the object that is asked for stands, and where the one that the corrupted prompt asks for.
    private static readonly Form[] Forms =
    [
        .. from asked in Enumerable.Range(0, ObjectsOfQuestion)
           from other in Enumerable.Range(0, ObjectsOfQuestion)
           where asked != other
           let items = Enumerable.Range(0, ObjectsOfQuestion)
               .Select(item => item == asked ? "{a} {COLOR} {OBJECT}" : item == other ? "{another} {OTHER_COLOR} {OTHER_OBJECT}" : "{third}").ToArray()
           select new Form($"{{example}}\nQ: On the {{surface}}, {{seen}} {items[0]}, {items[1]}, and {items[2]}. What color is the {{ASKED}}?\nA:"),
    ];

    private static readonly string[] Roles = ["COLOR", "OBJECT", "OTHER_COLOR", "OTHER_OBJECT", "ASKED", "END"];

    private static readonly string[] Colors = ["red", "orange", "yellow", "green", "blue", "purple", "brown", "black", "white", "pink"];

    private static readonly string[] Objects =
    [
        "pencil", "cup", "plate", "bottle", "ball", "bowl", "book", "key", "phone", "hat", "coat", "ring", "bag", "box", "map", "pen",
        "jar", "lamp", "mug", "spoon", "fork", "knife", "candle", "basket", "coin", "watch", "wallet", "camera", "towel", "pillow", "brush", "ribbon",
    ];

    private static readonly string[] Surfaces = ["table", "desk", "floor"];

    private static readonly string[] Seen = ["there is", "you see", "I see"];

    /// <inheritdoc/>
    public string Name => "colored-objects";

    /// <inheritdoc/>
    public string Description =>
        "\"Q: On the table, there is a blue pencil, a black ring, and a yellow cup. What color is the pencil?\", after one example: right is its color; the corrupted prompt "
        + "asks for another of the three, and wrong is that one's. Merullo et al. 2024.";

    /// <inheritdoc/>
    public bool IsGenerated => true;

    /// <inheritdoc/>
    /// <exception cref="InvalidInputException">There is no tokenizer, too few of the words are one token, or the prompts do not fit into the context.</exception>
    public IReadOnlyList<PromptPair> Make(DatasetInput input)
    {
        TextTokenizer tokenizer = input.RequireTokenizer(Name);
        // Theirs answer with a capital.
        Func<string, string> written = Colors.Count(color => tokenizer.SingleToken($" {Capital(color)}") is not null) >= ObjectsOfQuestion ? Capital : color => color;
        string[] colors = OneToken(Colors, written, "colors"), objects = OneToken(Objects, name => name, "objects");
        IReadOnlyList<Form> forms = input.Wanted(Forms);
        var random = new Random(input.Seed);
        return input.MakePairs(Name, Pair);

        PromptPair Pair(int index)
        {
            var (ourColors, exampleColors) = Drawn(colors, Colors);
            var (ourObjects, exampleObjects) = Drawn(objects, Objects);
            string[] example = [.. exampleColors.Zip(exampleObjects, (color, name) => $"{Article(color)} {color} {name}")];
            int exampleAsked = random.Next(ObjectsOfQuestion);
            Form form = forms[index % forms.Count];
            var words = new Dictionary<string, string>
            {
                ["example"] = $"Q: On the {random.Pick(Surfaces)}, {random.Pick(Seen)} {example[0]}, {example[1]}, and {example[2]}. "
                    + $"What color is the {exampleObjects[exampleAsked]}?\nA: {written(exampleColors[exampleAsked])}",
                ["surface"] = random.Pick(Surfaces),
                ["seen"] = random.Pick(Seen),
                ["a"] = Article(ourColors[0]),
                ["COLOR"] = ourColors[0],
                ["OBJECT"] = ourObjects[0],
                ["another"] = Article(ourColors[1]),
                ["OTHER_COLOR"] = ourColors[1],
                ["OTHER_OBJECT"] = ourObjects[1],
                ["third"] = $"{Article(ourColors[2])} {ourColors[2]} {ourObjects[2]}",
                ["ASKED"] = ourObjects[0],
            };
            return new PromptPair(
                Prompt.Of(form.Fill(words)),
                Prompt.Of(form.Fill(new Dictionary<string, string>(words) { ["ASKED"] = ourObjects[1] })),
                Answer.Of($" {written(ourColors[0])}"),
                Answer.Of($" {written(ourColors[1])}"))
            {
                Roles = form.RolesOf(tokenizer, words, Roles),
                Template = form.Name,
            };
        }

        // Those of the question are one token; those of the example as well, where there are enough, and none of them comes twice.
        (string[] Ours, string[] Examples) Drawn(string[] oneToken, string[] all)
        {
            string[] drawn = oneToken.Shuffled(random);
            return drawn.Length >= 2 * ObjectsOfQuestion
                ? (drawn[..ObjectsOfQuestion], drawn[ObjectsOfQuestion..(2 * ObjectsOfQuestion)])
                : (drawn[..ObjectsOfQuestion], all.Except(drawn[..ObjectsOfQuestion]).Shuffled(random)[..ObjectsOfQuestion]);
        }

        string[] OneToken(string[] words, Func<string, string> written, string what)
        {
            string[] one = [.. words.Where(word => tokenizer.SingleToken($" {written(word)}") is not null)];
            return one.Length >= ObjectsOfQuestion ? one : throw input.TooFewWords(
                Name, ObjectsOfQuestion, what, [.. words.Select(word => $" {written(word)}")], [.. words.Except(one).Select(word => $" {written(word)}")]);
        }
    }

    private static string Article(string color) => "aeiou".Contains(color[0], StringComparison.Ordinal) ? "an" : "a";

    private static string Capital(string color) => char.ToUpperInvariant(color[0]) + color[1..];
}
