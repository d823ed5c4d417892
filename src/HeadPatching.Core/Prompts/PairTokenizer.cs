using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;

namespace HeadPatching.Core.Prompts;

/// <summary>
/// Turns pairs as the user gave them into pairs as the model sees them, and finds everything that keeps them from being swept.
/// </summary>
public static class PairTokenizer
{
    /// <summary>The most tokens of one prompt that a message lists; of a longer prompt it shows those around the first difference.</summary>
    private const int ListedTokens = 48;

    /// <summary>
    /// Tokenizes and validates pairs. The model's BOS is put before text prompts, as TransformerLens's <c>to_tokens</c> does; token-id
    /// prompts are taken exactly as given.
    /// </summary>
    /// <param name="pairs">All pairs of the dataset or file.</param>
    /// <param name="config">The model: its vocabulary, context and BOS.</param>
    /// <param name="tokenizer">The model's tokenizer; null where it has none, and only token ids can be swept.</param>
    /// <param name="pairIndices">The indices of the pairs to take, in that order; null takes all. Pairs not taken are not looked at.</param>
    /// <param name="where">
    /// A fault's place, from a pair's index and its property (<c>clean</c>, <c>corrupted</c>, <c>correct</c>, <c>incorrect</c>; null for the
    /// pair as a whole): <see cref="PairsFile.Where"/>, or <see cref="PathUnder"/> where there is no file.
    /// </param>
    /// <param name="pairIndicesWhere">The place of <paramref name="pairIndices"/> in a fault: <c>--pair-indices</c>, <c>pairIndices</c>.</param>
    /// <returns>The pairs taken, each with its index in <paramref name="pairs"/>.</returns>
    /// <exception cref="InvalidInputException">
    /// Carries every fault: prompts of unequal length, too long or empty; an answer that is not one token; the same answer twice; ids outside
    /// the vocabulary; text without a tokenizer (said once); indices out of range or repeated; no pairs at all.
    /// </exception>
    public static IReadOnlyList<TokenPair> Tokenize(
        IReadOnlyList<PromptPair> pairs,
        ModelConfig config,
        TextTokenizer? tokenizer,
        IReadOnlyList<int>? pairIndices,
        Func<int, string?, string> where,
        string pairIndicesWhere)
    {
        var faults = new List<Fault>();
        var taken = new List<TokenPair>();
        var reading = new Reading(config, tokenizer, faults);
        foreach (int index in Choose(pairs.Count, pairIndices, pairIndicesWhere, faults))
        {
            if (reading.Read(index, pairs[index], property => where(index, property)) is TokenPair pair)
            {
                taken.Add(pair);
            }
        }

        return faults.Count == 0 ? taken : throw new InvalidInputException(faults);
    }

    /// <summary>Places of faults for pairs that are in no file: <c>pairs[3].clean</c> under <c>pairs</c>.</summary>
    /// <param name="root">What the pairs hang under: <c>pairs</c> in a request, the name of a built-in dataset.</param>
    public static Func<int, string?, string> PathUnder(string root) =>
        (index, property) => property is null ? $"{root}[{index}]" : $"{root}[{index}].{property}";

    /// <summary>The indices that can be read; what is wrong with the other ones is added to the faults.</summary>
    private static List<int> Choose(int count, IReadOnlyList<int>? pairIndices, string where, List<Fault> faults)
    {
        if (count == 0)
        {
            faults.Add(new Fault(FaultKinds.Missing, "pairs", "There are no pairs; give at least one."));
            return [];
        }

        if (pairIndices is null)
        {
            return [.. Enumerable.Range(0, count)];
        }

        if (pairIndices.Count == 0)
        {
            faults.Add(new Fault(FaultKinds.InvalidOption, where, "No pair is chosen; name at least one, or leave the option out to take all."));
        }

        var chosen = new List<int>();
        var seen = new HashSet<int>();
        foreach (int index in pairIndices)
        {
            if (index < 0 || index >= count)
            {
                faults.Add(new Fault(FaultKinds.OutOfRange, where, $"There is no pair {index}; the pairs are 0 to {count - 1}."));
            }
            else if (!seen.Add(index))
            {
                faults.Add(new Fault(FaultKinds.InvalidOption, where, $"Pair {index} is chosen more than once."));
            }
            else
            {
                chosen.Add(index);
            }
        }

        return chosen;
    }

    /// <summary>One reading of many pairs: what is common to them, and the faults found so far.</summary>
    private sealed class Reading(ModelConfig config, TextTokenizer? tokenizer, List<Fault> faults)
    {
        private bool _saidNoTokenizer;

        /// <summary>The pair's tokens, or null where it has faults.</summary>
        public TokenPair? Read(int index, PromptPair pair, Func<string?, string> where)
        {
            int before = faults.Count;
            IReadOnlyList<int>? clean = ReadPrompt(pair.Clean, where("clean"));
            IReadOnlyList<int>? corrupted = ReadPrompt(pair.Corrupted, where("corrupted"));
            IReadOnlyList<int>? correct = ReadAnswers(pair.Correct, where("correct"));
            IReadOnlyList<int>? incorrect = ReadAnswers(pair.Incorrect, where("incorrect"));

            if (clean is not null && corrupted is not null && clean.Count != corrupted.Count)
            {
                faults.Add(new Fault(FaultKinds.UnequalLength, where(null), UnequalLength(clean, corrupted)));
            }

            IReadOnlyDictionary<string, int>? roles = ReadRoles(pair.Roles, clean ?? corrupted, where("roles"));
            foreach (int answer in correct?.Intersect(incorrect ?? []) ?? [])
            {
                faults.Add(new Fault(
                    FaultKinds.SameAnswers,
                    where("incorrect"),
                    $"It is the same token as the correct answer, {Show(answer)}; their logits never differ."));
            }

            return faults.Count == before && clean is not null && corrupted is not null && correct is not null && incorrect is not null
                ? new TokenPair(index, clean, corrupted, TokenAnswers.Of(correct), TokenAnswers.Of(incorrect)) { Roles = roles, Template = pair.Template }
                : null;
        }

        /// <summary>The positions of a pair's roles from 0; what is outside the prompt is added to the faults.</summary>
        private Dictionary<string, int>? ReadRoles(IReadOnlyDictionary<string, int>? roles, IReadOnlyList<int>? prompt, string where)
        {
            if (roles is null || prompt is null)
            {
                return null;
            }

            int length = prompt.Count;
            foreach (var (role, position) in roles.Where(role => role.Value < -length || role.Value >= length))
            {
                faults.Add(new Fault(
                    FaultKinds.OutOfRange, $"{where}.{role}", $"There is no position {position} in {length} tokens, which are 0 to {length - 1} or {-length} to -1."));
            }

            return roles.ToDictionary(role => role.Key, role => role.Value < 0 ? length + role.Value : role.Value);
        }

        /// <summary>The ids of one side's answers, or null where one of them has a fault.</summary>
        private IReadOnlyList<int>? ReadAnswers(AnswerSet answers, string where)
        {
            if (answers.All.Count <= 1)
            {
                return ReadAnswer(answers.All.Count == 0 ? default : answers.All[0], where) is int only ? [only] : null;
            }

            int?[] ids = [.. answers.All.Select((answer, i) => ReadAnswer(answer, $"{where}[{i}]"))];
            foreach (var twice in ids.OfType<int>().GroupBy(id => id).Where(group => group.Count() > 1))
            {
                faults.Add(new Fault(FaultKinds.SameAnswers, where, $"{Show(twice.Key)} is there more than once."));
            }

            return ids.All(id => id is not null) ? [.. ids.OfType<int>()] : null;
        }

        private IReadOnlyList<int>? ReadPrompt(Prompt prompt, string where)
        {
            if (prompt.Text is string text && tokenizer?.FewestTokens(text) is int fewest && fewest > config.Context)
            {
                faults.Add(new Fault(
                    FaultKinds.PromptTooLong, where, $"The prompt has at least {fewest} tokens; the model's context is {config.Context}."));
                return null;
            }

            IReadOnlyList<int>? given = prompt.Ids ?? Encode(prompt.Text, where);
            if (given is null)
            {
                return null;
            }

            if (given.Count == 0)
            {
                faults.Add(new Fault(FaultKinds.EmptyPrompt, where, "The prompt is empty; it needs at least one token."));
                return null;
            }

            IReadOnlyList<int> ids = prompt.Ids is null && config.BosId is int bos ? [bos, .. given] : given;
            int[] outside = [.. ids.Where(id => id < 0 || id >= config.Vocabulary).Distinct()];
            if (outside.Length > 0)
            {
                string some = string.Join(", ", outside.Take(10)) + (outside.Length > 10 ? $" and {outside.Length - 10} more" : string.Empty);
                faults.Add(OutsideVocabulary(where, some));
            }

            if (ids.Count > config.Context)
            {
                string bosNote = ids.Count > given.Count ? ", BOS included" : string.Empty;
                faults.Add(new Fault(
                    FaultKinds.PromptTooLong, where, $"The prompt has {ids.Count} tokens{bosNote}; the model's context is {config.Context}."));
            }

            return ids;
        }

        private int? ReadAnswer(Answer answer, string where)
        {
            if (answer.Id is int given)
            {
                return InVocabulary(given, where);
            }

            if (answer.Text is string text && tokenizer?.FewestTokens(text) is int fewest && fewest > ListedTokens)
            {
                faults.Add(new Fault(
                    FaultKinds.AnswerNotOneToken, where, $"The answer is at least {fewest} tokens; it must be exactly one token."));
                return null;
            }

            IReadOnlyList<int>? ids = Encode(answer.Text, where);
            if (ids is null)
            {
                return null;
            }

            if (ids.Count == 1)
            {
                return InVocabulary(ids[0], where);
            }

            string what = ids.Count == 0
                ? "The answer is empty"
                : $"The answer is {ids.Count} tokens: {string.Join(", ", ids.Take(ListedTokens).Select(Show))}";
            faults.Add(new Fault(FaultKinds.AnswerNotOneToken, where, $"{what}; it must be exactly one token.{SpaceHint(answer.Text!)}"));
            return null;
        }

        /// <summary>
        /// Says so where only the white space keeps an answer from being one token: most words have one with the space before them.
        /// </summary>
        private string SpaceHint(string text)
        {
            string word = text.Trim();
            string spaced = " " + word;
            return word.Length > 0 && spaced != text && tokenizer!.Encode(spaced).Count == 1
                ? $" With one space before it and none after, \"{spaced}\", it is one."
                : string.Empty;
        }

        private int? InVocabulary(int id, string where)
        {
            if (id >= 0 && id < config.Vocabulary)
            {
                return id;
            }

            faults.Add(OutsideVocabulary(where, id.ToString()));
            return null;
        }

        private Fault OutsideVocabulary(string where, string ids) =>
            new(FaultKinds.OutsideVocabulary, where, $"Outside the model's vocabulary, ids 0 to {config.Vocabulary - 1}: {ids}.");

        private IReadOnlyList<int>? Encode(string? text, string where)
        {
            if (text is null)
            {
                faults.Add(new Fault(FaultKinds.Missing, where, "It is missing."));
                return null;
            }

            if (tokenizer is null || tokenizer.Unsupported is not null)
            {
                // True of every text alike, so once is enough.
                if (!_saidNoTokenizer)
                {
                    faults.Add(new Fault(
                        FaultKinds.NoTokenizer,
                        where,
                        tokenizer?.Unsupported is string why
                            ? $"It is text, and the model folder's tokenizer cannot be used: {why}"
                            : "It is text, and the model folder has no tokenizer: put tokenizer.json, or vocab.json and merges.txt, there, or give token ids."));
                    _saidNoTokenizer = true;
                }

                return null;
            }

            try
            {
                return tokenizer.Encode(text);
            }
            catch (InvalidInputException e)
            {
                faults.AddRange(e.Faults.Select(fault => fault with { Where = where }));
                return null;
            }
        }

        private string UnequalLength(IReadOnlyList<int> clean, IReadOnlyList<int> corrupted)
        {
            int shorter = Math.Min(clean.Count, corrupted.Count);
            int first = 0;
            while (first < shorter && clean[first] == corrupted[first])
            {
                first++;
            }

            return $"Clean has {clean.Count} tokens and corrupted {corrupted.Count}; they must have equally many. They first differ at position "
                + $"{first} ({At(clean)} / {At(corrupted)}). Clean: {List(clean, first)}. Corrupted: {List(corrupted, first)}.";

            string At(IReadOnlyList<int> ids) => first < ids.Count ? Show(ids[first]) : "its end";
        }

        private string List(IReadOnlyList<int> ids, int around)
        {
            int start = ids.Count <= ListedTokens ? 0 : Math.Max(0, around - (ListedTokens / 2));
            int end = Math.Min(ids.Count, start + ListedTokens);
            IEnumerable<string> shown = ids.Skip(start).Take(end - start).Select(Show);
            if (start > 0)
            {
                shown = shown.Prepend($"({start} before)");
            }

            if (end < ids.Count)
            {
                shown = shown.Append($"({ids.Count - end} more)");
            }

            return $"[{string.Join(", ", shown)}]";
        }

        private string Show(int id) => tokenizer is null ? $"{id}" : $"{id} \"{tokenizer.TokenText(id)}\"";
    }
}
