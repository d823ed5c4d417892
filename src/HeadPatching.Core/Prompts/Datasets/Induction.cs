using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts.Datasets;

/// <summary>
/// Random tokens and then their beginning again (Olsson et al. 2022, "In-context learning and induction heads"): right is the token that
/// followed the last one when it came first. In the corrupted prompt another token followed it there, which is the wrong answer. The prompts
/// are token ids, BOS first where the model has one, so that any model will do, and all have one length.
/// </summary>
public sealed class Induction : IDataset
{
    // The tokens before they repeat, in a model with room for them: 25 tokens in all.
    private const int LongestPeriod = 16;
    private const int ShortestPeriod = 4;

    /// <inheritdoc/>
    public string Name => "induction";

    /// <inheritdoc/>
    public string Description =>
        "Random tokens that repeat: right is the token that followed before, and in the corrupted prompt another one did. Needs no tokenizer.";

    /// <inheritdoc/>
    public bool IsGenerated => true;

    /// <inheritdoc/>
    /// <exception cref="InvalidInputException">The model's context or vocabulary is too small for a sequence that repeats.</exception>
    public IReadOnlyList<PromptPair> Make(DatasetInput input)
    {
        int[] bos = input.Config.BosId is int id ? [id] : [];
        int[] words = [.. OrdinaryTokens(input)];
        int room = input.Config.Context - bos.Length;
        // A sequence and half of it again must fit into the context, and one token more than it has into the vocabulary.
        int period = Math.Min(LongestPeriod, Math.Min(room * 2 / 3, words.Length - 1));
        if (period < ShortestPeriod)
        {
            throw new InvalidInputException(
                FaultKinds.UnsupportedModel,
                input.Where,
                $"{Name} needs a context of {(ShortestPeriod * 3 / 2) + bos.Length} tokens and {ShortestPeriod + 1} ordinary tokens at least; "
                + $"this model has {input.Config.Context} and {words.Length}.");
        }

        var random = new Random(input.Seed);
        return [.. Enumerable.Range(0, input.Count).Select(_ => Pair(bos, words, period, random))];
    }

    private static PromptPair Pair(int[] bos, int[] words, int period, Random random)
    {
        int[] drawn = Distinct(words, period + 1, random);
        int[] sequence = drawn[..period], again = sequence[..(period / 2)];
        int[] broken = [.. sequence];
        broken[again.Length] = drawn[period];
        return new PromptPair(
            Prompt.Of([.. bos, .. sequence, .. again]),
            Prompt.Of([.. bos, .. broken, .. again]),
            Answer.Of(sequence[again.Length]),
            Answer.Of(broken[again.Length]))
        {
            // A B ... A: the last token where it came first, and what followed it there.
            Roles = new Dictionary<string, int> { ["A"] = bos.Length + again.Length - 1, ["B"] = bos.Length + again.Length, ["END"] = -1 },
        };
    }

    /// <summary>
    /// The ids that a sequence may hold: none that is BOS, that has no token (a padded vocabulary), or whose token is written as special ones
    /// are (<c>&lt;|endoftext|&gt;</c>, <c>&lt;pad&gt;</c>, <c>&lt;0x0A&gt;</c>).
    /// </summary>
    private static IEnumerable<int> OrdinaryTokens(DatasetInput input)
    {
        return Enumerable.Range(0, input.Config.Vocabulary).Where(id => id != input.Config.BosId && id != input.Config.UnusedBosId && (input.Tokenizer is null || IsOrdinary(id)));

        bool IsOrdinary(int id)
        {
            string text = input.Tokenizer.TokenText(id);
            return text != $"[{id}]" && !(text.Length > 2 && text[0] == '<' && text[^1] == '>');
        }
    }

    /// <summary>Different words, each equally likely, in a random order.</summary>
    private static int[] Distinct(int[] words, int count, Random random)
    {
        var drawn = new HashSet<int>();
        var inOrder = new List<int>();
        while (inOrder.Count < count)
        {
            int word = words[random.Next(words.Length)];
            if (drawn.Add(word))
            {
                inOrder.Add(word);
            }
        }

        return [.. inOrder];
    }
}
