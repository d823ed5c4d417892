using HeadPatching.Core.Faults;
using HeadPatching.Core.Prompts.Datasets.Sentences;

namespace HeadPatching.Core.Prompts.Datasets;

/// <summary>
/// "The sum of 13 and 25 is" (Stolfo et al. 2023, "A mechanistic interpretation of arithmetic reasoning in language models using causal mediation
/// analysis", whose six forms these are; MIB's arithmetic_addition and arithmetic_subtraction): right is the result. The corrupted prompt has
/// two other operands, as MIB's random_counterfactual has, and its result is the wrong answer. Operands are of two digits, and results are one
/// token. Where the tokenizer writes numbers digit by digit (Gemma, Qwen, Llama 2), results are of one digit, and so are the operands of sums.
/// </summary>
/// <remarks>
/// Where a number has no token with the space before it (Llama 3: " ", "38"), the prompt ends in the space, as MIB's do.
/// </remarks>
public sealed class Arithmetic : IDataset
{
    /// <summary>With fewer a corrupted prompt says too much about the clean one.</summary>
    private const int FewestProblems = 20;

    private static readonly string[] Roles = ["op1", "op2", "END"];

    private readonly Form[] _forms, _formsWithSpace;
    private readonly Func<int, int, int> _result;

    private Arithmetic(string name, string description, Func<int, int, int> result, params string[] forms)
    {
        Name = name;
        Description = description;
        _result = result;
        _forms = [.. forms.Select(form => new Form(form))];
        _formsWithSpace = [.. forms.Select(form => new Form(form + " "))];
    }

    /// <summary><c>arithmetic-addition</c>.</summary>
    public static Arithmetic Addition { get; } = new(
        "arithmetic-addition",
        "\"The sum of 13 and 25 is\", and five other ways to ask it: right is the result, where it is one token; the corrupted prompt has two other numbers, and wrong is their sum. "
        + "Stolfo et al. 2023; MIB's.",
        (x, y) => x + y,
        "Q: How much is {op1} plus {op2}? A:",
        "Q: What is {op1} plus {op2}? A:",
        "Q: What is the result of {op1} plus {op2}? A:",
        "Q: What is the sum of {op1} and {op2}? A:",
        "The sum of {op1} and {op2} is",
        "{op1} + {op2} =");

    /// <summary><c>arithmetic-subtraction</c>: no result is negative.</summary>
    public static Arithmetic Subtraction { get; } = new(
        "arithmetic-subtraction",
        "\"The difference between 62 and 25 is\", and five other ways to ask it; as arithmetic-addition otherwise, and no result is negative.",
        (x, y) => x - y,
        "Q: How much is {op1} minus {op2}? A:",
        "Q: What is {op1} minus {op2}? A:",
        "Q: What is the result of {op1} minus {op2}? A:",
        "Q: What is the difference between {op1} and {op2}? A:",
        "The difference between {op1} and {op2} is",
        "{op1} - {op2} =");

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public string Description { get; }

    /// <inheritdoc/>
    public bool IsGenerated => true;

    /// <inheritdoc/>
    /// <exception cref="InvalidInputException">There is no tokenizer, it has hardly a result as one token, or the prompts do not fit into the context.</exception>
    public IReadOnlyList<PromptPair> Make(DatasetInput input)
    {
        TextTokenizer tokenizer = input.RequireTokenizer(Name);
        var (problems, space) = Problems(tokenizer, 10, 99) ?? Problems(tokenizer, 1, 9) ?? throw new InvalidInputException(
            FaultKinds.AnswerNotOneToken,
            input.Where,
            $"{Name} needs results that are one token, such as \" 38\" or \"5\", and this model's tokenizer has fewer than {FewestProblems} problems of two numbers up to 99 with such a result. "
            + "Use a model whose tokenizer has numbers, as GPT-2's, or digits, as Llama 2's, or pairs of your own.");
        var random = new Random(input.Seed);
        problems = problems.Shuffled(random);
        IReadOnlyList<Form> forms = input.Wanted(space.Length > 0 ? _forms : _formsWithSpace).Shuffled(random);
        return input.MakePairs(Name, Pair);

        PromptPair Pair(int index)
        {
            var (problem, form) = Drawing.Deal(index, problems, forms);
            // Of those that differ in all three the next one from anywhere.
            int from = random.Next(problems.Length);
            Problem other = problems.Skip(from).Concat(problems.Take(from)).First(problem.DiffersFrom);
            return new PromptPair(
                Prompt.Of(form.Fill(problem.Words)),
                Prompt.Of(form.Fill(other.Words)),
                Answer.Of($"{space}{problem.Result}"),
                Answer.Of($"{space}{other.Result}"))
            {
                Roles = form.RolesOf(tokenizer, problem.Words, Roles),
                Template = form.Name,
            };
        }
    }

    /// <summary>
    /// The problems of two numbers whose result is one token, and the space that belongs to it or to the prompt; null where they are too few. All
    /// numbers are of equally many tokens.
    /// </summary>
    private (Problem[] Problems, string Space)? Problems(TextTokenizer tokenizer, int least, int most)
    {
        IEnumerable<int> alike = Enumerable.Range(least, most - least + 1)
            .GroupBy(number => (tokenizer.Count($" {number}", within: true), tokenizer.Count($"{number}", within: false)))
            .MaxBy(group => group.Count())!;
        foreach (string space in (string[])[" ", ""])
        {
            HashSet<int> results = [.. Enumerable.Range(0, (2 * most) + 1).Where(number => tokenizer.SingleToken($"{space}{number}") is not null)];
            Problem[] all = [.. from x in alike from y in alike where results.Contains(_result(x, y)) select new Problem(x, y, _result(x, y))];
            all = [.. all.Where(problem => all.Any(problem.DiffersFrom))];
            if (all.Length >= FewestProblems)
            {
                return (all, space);
            }
        }

        return null;
    }

    private sealed record Problem(int X, int Y, int Result)
    {
        public Dictionary<string, string> Words => new() { ["op1"] = $"{X}", ["op2"] = $"{Y}" };

        public bool DiffersFrom(Problem other) => X != other.X && Y != other.Y && Result != other.Result;
    }
}
