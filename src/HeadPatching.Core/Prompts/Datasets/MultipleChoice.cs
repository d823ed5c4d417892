using HeadPatching.Core.Faults;
using HeadPatching.Core.Prompts.Datasets.Sentences;

namespace HeadPatching.Core.Prompts.Datasets;

/// <summary>
/// "Question: The box is brown. What color is the box?" with four lettered choices (the CopyColors task of Wiegreffe et al. 2025, "Answer, assemble,
/// ace: understanding how LMs answer multiple choice questions"; MIB's copycolors_mcqa): right is the letter of the color. The corrupted prompt
/// has other letters before the same choices, as MIB's symbol_counterfactual has, and wrong is the letter that would be right there.
/// </summary>
public sealed class MultipleChoice : IDataset
{
    private const int Choices = 4;

    // By which of the choices is right.
    private static readonly Form[] Forms =
    [
        .. from right in Enumerable.Range(0, Choices)
           let choices = Enumerable.Range(0, Choices).Select(choice => choice == right ? "{SYMBOL}. {CHOICE}" : $"{{letter_{choice}}}. {{choice_{choice}}}")
           select new Form($"Question: The {{OBJECT}} is {{COLOR}}. What color is the {{object}}?\n{string.Join('\n', choices)}\nAnswer:"),
    ];

    private static readonly string[] Roles = ["OBJECT", "COLOR", "SYMBOL", "CHOICE", "END"];

    private static readonly string[] Colors = ["red", "orange", "yellow", "green", "blue", "purple", "brown", "black", "white", "pink", "gray"];

    private static readonly string[] Objects =
    [
        "box", "cup", "hat", "ball", "car", "door", "book", "bag", "chair", "shirt", "boat", "house", "bird", "flower", "table", "coat",
        "phone", "bottle", "wall", "bike", "train", "dress", "lamp", "bed", "pencil", "plate", "bowl", "ring", "kite", "truck", "shoe", "blanket",
    ];

    private static readonly string[] Letters = [.. Enumerable.Range('A', 26).Select(letter => $"{(char)letter}")];

    /// <inheritdoc/>
    public string Name => "mcqa";

    /// <inheritdoc/>
    public string Description =>
        "\"Question: The box is brown. What color is the box?\" with four choices, A to D: right is the letter of the color; the corrupted prompt has other letters, and wrong is "
        + "the one that would be right there. Wiegreffe et al. 2025; MIB's copycolors_mcqa.";

    /// <inheritdoc/>
    public bool IsGenerated => true;

    /// <inheritdoc/>
    /// <exception cref="InvalidInputException">There is no tokenizer, too few letters are one token, or the prompts do not fit into the context.</exception>
    public IReadOnlyList<PromptPair> Make(DatasetInput input)
    {
        TextTokenizer tokenizer = input.RequireTokenizer(Name);
        // After "Answer:", and at the beginning of a line.
        string[] letters = [.. Letters.Where(letter => tokenizer.SingleToken($" {letter}") is not null && tokenizer.SingleToken(letter) is not null)];
        if (letters.Length < 2 * Choices)
        {
            throw input.TooFewWords(Name, 2 * Choices, "letters", [.. Letters.Select(letter => $" {letter}")], [.. Letters.Except(letters).Select(letter => $" {letter}")]);
        }

        IReadOnlyList<string> colors = tokenizer.OneToken(Colors) is { Length: >= Choices } some ? some : Colors, objects = tokenizer.OneTokenWhereAny(Objects);
        IReadOnlyList<Form> forms = input.Wanted(Forms);
        var random = new Random(input.Seed);
        return input.MakePairs(Name, Pair);

        PromptPair Pair(int index)
        {
            Form form = forms[index % forms.Count];
            int right = Array.IndexOf(Forms, form);
            string name = random.Pick(objects);
            string[] drawn = colors.Shuffled(random)[..Choices], others = letters[Choices..].Shuffled(random)[..Choices];
            Dictionary<string, string> words = Words(letters), corrupted = Words(others);
            return new PromptPair(Prompt.Of(form.Fill(words)), Prompt.Of(form.Fill(corrupted)), Answer.Of($" {words["SYMBOL"]}"), Answer.Of($" {corrupted["SYMBOL"]}"))
            {
                Roles = form.RolesOf(tokenizer, words, Roles),
                Template = form.Name,
            };

            Dictionary<string, string> Words(string[] symbols)
            {
                var words = new Dictionary<string, string> { ["OBJECT"] = name, ["object"] = name, ["COLOR"] = drawn[right], ["SYMBOL"] = symbols[right], ["CHOICE"] = drawn[right] };
                for (int choice = 0; choice < Choices; choice++)
                {
                    words[$"letter_{choice}"] = symbols[choice];
                    words[$"choice_{choice}"] = drawn[choice];
                }

                return words;
            }
        }
    }
}
