namespace HeadPatching.Core.Patching.Ablations;

/// <summary>Which prompt gives its z to which in resample ablation, and which of its positions to which.</summary>
public static class Donors
{
    /// <summary>
    /// Draws each prompt another: of the same template where there is one, otherwise of the same length, otherwise any that is at least half as
    /// long. Among the prompts themselves those of a template, or length, are shuffled and each takes from the next, so that each gives once.
    /// The same seed draws the same.
    /// </summary>
    /// <param name="prompts">The prompts that are given to.</param>
    /// <param name="references">The prompts that give; null: they give to each other.</param>
    /// <param name="seed">Of the draws.</param>
    /// <returns>For each prompt the place of its donor among those that give; -1 where none can.</returns>
    public static IReadOnlyList<int> Draw(IReadOnlyList<AblationPrompt> prompts, IReadOnlyList<AblationPrompt>? references, int seed)
    {
        IReadOnlyList<AblationPrompt> giving = references ?? prompts;
        int[] donors = [.. Enumerable.Repeat(-1, prompts.Count)];
        var random = new Random(seed);
        if (references is null)
        {
            TakeFromTheNext(Places().Where(place => prompts[place].Template is not null).GroupBy(place => prompts[place].Template).OrderBy(group => group.Key, StringComparer.Ordinal));
            TakeFromTheNext(Places().Where(place => donors[place] < 0).GroupBy(place => prompts[place].Length).OrderBy(group => group.Key));
        }

        ILookup<string?, int> byTemplate = Enumerable.Range(0, giving.Count).ToLookup(place => giving[place].Template);
        ILookup<int, int> byLength = Enumerable.Range(0, giving.Count).ToLookup(place => giving[place].Length);
        foreach (int place in Places().Where(place => donors[place] < 0))
        {
            AblationPrompt prompt = prompts[place];
            IEnumerable<int>[] choices = [prompt.Template is null ? [] : byTemplate[prompt.Template], byLength[prompt.Length], Enumerable.Range(0, giving.Count)];
            int[]? candidates = choices.Select(choice => choice.Where(donor => CanGive(prompt, giving[donor])).ToArray()).FirstOrDefault(choice => choice.Length > 0);
            donors[place] = candidates is null ? -1 : candidates[random.Next(candidates.Length)];
        }

        return donors;

        IEnumerable<int> Places() => Enumerable.Range(0, prompts.Count);

        void TakeFromTheNext<TKey>(IEnumerable<IGrouping<TKey, int>> groups)
        {
            foreach (int[] places in groups.Select(group => group.ToArray()).ToArray())
            {
                random.Shuffle(places);
                for (int i = 0; i < places.Length; i++)
                {
                    int next = places[(i + 1) % places.Length];
                    donors[places[i]] = CanGive(prompts[places[i]], prompts[next]) ? next : -1;
                }
            }
        }
    }

    /// <summary>
    /// Which position of a donor gives to each of a prompt: that of the same role where both name it, otherwise the same one counted from the
    /// end, otherwise from the first token.
    /// </summary>
    public static IReadOnlyList<int> Positions(AblationPrompt prompt, AblationPrompt donor)
    {
        return [.. Enumerable.Range(0, prompt.Length).Select(Position)];

        int Position(int position)
        {
            foreach (string role in prompt.RolesAt(position))
            {
                if (donor.Roles is not null && donor.Roles.TryGetValue(role, out int same))
                {
                    return same;
                }
            }

            int fromEnd = position - prompt.Length + donor.Length;
            return fromEnd >= 0 ? fromEnd : position;
        }
    }

    /// <summary>Half as long is enough to reach every position, from the end or from the first token.</summary>
    private static bool CanGive(AblationPrompt prompt, AblationPrompt donor) => 2 * donor.Length >= prompt.Length && !donor.IsSameAs(prompt);
}
