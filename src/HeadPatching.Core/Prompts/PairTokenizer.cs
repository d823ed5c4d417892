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

    /// <summary>The most faults that are told, and pairs left out that are named; the rest is counted.</summary>
    private const int MostTold = 100;

    /// <summary>
    /// Tokenizes and validates pairs. The model's BOS is put before text prompts, as TransformerLens's <c>to_tokens</c> does; token-id
    /// prompts are taken exactly as given.
    /// </summary>
    /// <remarks>
    /// An answer of text is the one token x that continues its prompt: tokens(prompt + answer) = tokens(prompt) + [x]. A token is its text, so x
    /// is also what the answer is by itself, written as in the middle of a text (<see cref="TextTokenizer.EncodeWithin"/>), and that is what is
    /// looked at first. Where the two differ: an answer that is several tokens by itself may be one after its prompt, and is then taken; an
    /// answer that is one by itself, but would be joined with its prompt's end ("00" after " 17": " 1700" is one token of GPT-2), is taken all
    /// the same, for the question is what follows these tokens, not how the text is best written. Only after a prompt that ends in a space is
    /// it refused: there the space belongs to the answer. After token ids an answer is what it is by itself.
    /// </remarks>
    /// <param name="pairs">All pairs of the dataset or file.</param>
    /// <param name="config">The model: its vocabulary, context and BOS.</param>
    /// <param name="tokenizer">The model's tokenizer; null where it has none, and only token ids can be swept.</param>
    /// <param name="pairIndices">The indices of the pairs to take, in that order; null takes all. Pairs not taken are not looked at.</param>
    /// <param name="where">
    /// A fault's place, from a pair's index and its property (<c>clean</c>, <c>corrupted</c>, <c>correct</c>, <c>incorrect</c>; null for the
    /// pair as a whole): <see cref="PairsFile.Where"/>, or <see cref="PathUnder"/> where there is no file.
    /// </param>
    /// <param name="pairIndicesWhere">The place of <paramref name="pairIndices"/> in a fault: <c>--pair-indices</c>, <c>pairIndices</c>.</param>
    /// <param name="cancellationToken">Ends the call between two pairs.</param>
    /// <returns>The pairs taken, each with its index in <paramref name="pairs"/>.</returns>
    /// <exception cref="InvalidInputException">
    /// Carries every fault, the first 100 in words: prompts of unequal length, too long or empty; an answer that is not one token; the same
    /// answer twice; ids outside the vocabulary; text without a tokenizer (said once); indices out of range or repeated; no pairs at all.
    /// </exception>
    public static IReadOnlyList<TokenPair> Tokenize(
        IReadOnlyList<PromptPair> pairs,
        ModelConfig config,
        TextTokenizer? tokenizer,
        IReadOnlyList<int>? pairIndices,
        Func<int, string?, string> where,
        string pairIndicesWhere,
        CancellationToken cancellationToken = default) =>
        ReadAll(pairs, config, tokenizer, pairIndices, where, pairIndicesWhere, skipInvalid: false, cancellationToken).Pairs;

    /// <summary>Tokenizes and validates pairs as <see cref="Tokenize"/> does, and leaves out those that have faults.</summary>
    /// <inheritdoc cref="Tokenize" path="/param"/>
    /// <returns>The pairs that can be swept, at least one, and those that were left out.</returns>
    /// <exception cref="InvalidInputException">
    /// No pair can be swept (carries every fault, the first 100 in words); or what is wrong is wrong for all of them: there is no tokenizer, or
    /// it takes too long, or indices are out of range or repeated.
    /// </exception>
    public static TokenizedPairs TokenizeValid(
        IReadOnlyList<PromptPair> pairs,
        ModelConfig config,
        TextTokenizer? tokenizer,
        IReadOnlyList<int>? pairIndices,
        Func<int, string?, string> where,
        string pairIndicesWhere,
        CancellationToken cancellationToken = default) =>
        ReadAll(pairs, config, tokenizer, pairIndices, where, pairIndicesWhere, skipInvalid: true, cancellationToken);

    private static TokenizedPairs ReadAll(
        IReadOnlyList<PromptPair> pairs,
        ModelConfig config,
        TextTokenizer? tokenizer,
        IReadOnlyList<int>? pairIndices,
        Func<int, string?, string> where,
        string pairIndicesWhere,
        bool skipInvalid,
        CancellationToken cancellationToken)
    {
        var faults = new List<Fault>();
        IReadOnlyList<int> chosen = Choose(pairs.Count, pairIndices, pairIndicesWhere, faults);
        if (skipInvalid && faults.Count > 0)
        {
            throw new InvalidInputException(faults);
        }

        var taken = new List<TokenPair>();
        var leftOut = new List<LeftOutPair>();
        int untold = 0, leftOutCount = 0;
        var reading = new Reading(config, tokenizer);
        foreach (int index in chosen)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (reading.Read(index, pairs[index], property => where(index, property)) is TokenPair pair)
            {
                taken.Add(pair);
                continue;
            }

            if (skipInvalid && reading.LacksTokenizer)
            {
                throw new InvalidInputException([.. reading.Faults]);
            }

            leftOutCount++;
            int told = Math.Min(reading.Faults.Count, MostTold - faults.Count);
            faults.AddRange(reading.Faults.Take(told));
            untold += reading.Faults.Count - told;
            if (skipInvalid && leftOut.Count < MostTold)
            {
                leftOut.Add(new LeftOutPair(index, reading.Faults[0]));
            }
        }

        if (faults.Count == 0 || (skipInvalid && taken.Count > 0))
        {
            return new TokenizedPairs(taken, leftOutCount, leftOut);
        }

        if (untold > 0)
        {
            faults.Add(new Fault(faults[^1].Kind, "", $"and {untold} more."));
        }

        throw new InvalidInputException(faults);
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

    /// <summary>A prompt that was read.</summary>
    /// <param name="Ids">Its tokens, BOS included.</param>
    /// <param name="Text">Its text; null where it was given as token ids.</param>
    /// <param name="OfText">The tokens of its text, without BOS.</param>
    private sealed record TokenPrompt(IReadOnlyList<int> Ids, string? Text, IReadOnlyList<int> OfText);

    /// <summary>One reading of many pairs: what is common to them, and the faults of the last one.</summary>
    private sealed class Reading(ModelConfig config, TextTokenizer? tokenizer)
    {
        private const int MostKnownAnswers = 10_000;

        private readonly List<Fault> _faults = [];
        private readonly Dictionary<string, IReadOnlyList<int>> _knownAnswers = new(StringComparer.Ordinal);

        /// <summary>What is wrong with the pair that was read last; not that there is no tokenizer, where that was said of an earlier one.</summary>
        public List<Fault> Faults => _faults;

        /// <summary>Whether a text was met that no tokenizer can encode.</summary>
        public bool LacksTokenizer { get; private set; }

        /// <summary>The pair's tokens, or null where it has faults.</summary>
        public TokenPair? Read(int index, PromptPair pair, Func<string?, string> where)
        {
            _faults.Clear();
            TokenPrompt? clean = ReadPrompt(pair.Clean, where("clean"));
            TokenPrompt? corrupted = ReadPrompt(pair.Corrupted, where("corrupted"));
            TokenPrompt[] prompts = [.. new[] { clean, corrupted }.OfType<TokenPrompt>()];
            IReadOnlyList<int>? correct = ReadAnswers(pair.Correct, prompts, where("correct"));
            IReadOnlyList<int>? incorrect = ReadAnswers(pair.Incorrect, prompts, where("incorrect"));

            if (clean is not null && corrupted is not null && clean.Ids.Count != corrupted.Ids.Count)
            {
                _faults.Add(new Fault(FaultKinds.UnequalLength, where(null), UnequalLength(clean.Ids, corrupted.Ids)));
            }

            IReadOnlyDictionary<string, int>? roles = ReadRoles(pair.Roles, (clean ?? corrupted)?.Ids, where("roles"));
            foreach (int answer in correct?.Intersect(incorrect ?? []) ?? [])
            {
                _faults.Add(new Fault(
                    FaultKinds.SameAnswers,
                    where("incorrect"),
                    $"It is the same token as the correct answer, {Show(answer)}; their logits never differ."));
            }

            return _faults.Count == 0 && clean is not null && corrupted is not null && correct is not null && incorrect is not null
                ? new TokenPair(index, clean.Ids, corrupted.Ids, TokenAnswers.Of(correct), TokenAnswers.Of(incorrect)) { Roles = roles, Template = pair.Template }
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
                _faults.Add(new Fault(
                    FaultKinds.OutOfRange, $"{where}.{role}", $"There is no position {position} in {length} tokens, which are 0 to {length - 1} or {-length} to -1."));
            }

            return roles.ToDictionary(role => role.Key, role => role.Value < 0 ? length + role.Value : role.Value);
        }

        /// <summary>The ids of one side's answers, or null where one of them has a fault.</summary>
        private IReadOnlyList<int>? ReadAnswers(AnswerSet answers, TokenPrompt[] prompts, string where)
        {
            if (answers.All.Count <= 1)
            {
                return ReadAnswer(answers.All.Count == 0 ? default : answers.All[0], prompts, where) is int only ? [only] : null;
            }

            int?[] ids = [.. answers.All.Select((answer, i) => ReadAnswer(answer, prompts, $"{where}[{i}]"))];
            foreach (var twice in ids.OfType<int>().GroupBy(id => id).Where(group => group.Count() > 1))
            {
                _faults.Add(new Fault(FaultKinds.SameAnswers, where, $"{Show(twice.Key)} is there more than once."));
            }

            return ids.All(id => id is not null) ? [.. ids.OfType<int>()] : null;
        }

        private TokenPrompt? ReadPrompt(Prompt prompt, string where)
        {
            if (prompt.Text is string text && tokenizer?.FewestTokens(text) is int fewest && fewest > config.Context)
            {
                _faults.Add(TooLong(where, $"at least {fewest} tokens"));
                return null;
            }

            IReadOnlyList<int>? given = prompt.Ids ?? Encode(prompt.Text, where);
            if (given is null)
            {
                return null;
            }

            if (given.Count == 0)
            {
                _faults.Add(new Fault(FaultKinds.EmptyPrompt, where, "The prompt is empty; it needs at least one token."));
                return null;
            }

            IReadOnlyList<int> ids = prompt.Ids is null && config.BosId is int bos ? [bos, .. given] : given;
            int[] outside = [.. ids.Where(id => id < 0 || id >= config.Vocabulary).Distinct()];
            if (outside.Length > 0)
            {
                string some = string.Join(", ", outside.Take(10)) + (outside.Length > 10 ? $" and {outside.Length - 10} more" : string.Empty);
                _faults.Add(OutsideVocabulary(where, some));
            }

            if (ids.Count > config.Context)
            {
                _faults.Add(TooLong(where, $"{ids.Count} tokens{(ids.Count > given.Count ? ", BOS included" : string.Empty)}"));
            }

            return new TokenPrompt(ids, prompt.Text, prompt.Text is null ? [] : given);
        }

        private Fault TooLong(string where, string length) => new(
            FaultKinds.PromptTooLong,
            where,
            $"The prompt has {length}; the model's context is {config.Context}.");

        private int? ReadAnswer(Answer answer, TokenPrompt[] prompts, string where)
        {
            if (answer.Id is int given)
            {
                return InVocabulary(given, where);
            }

            if (answer.Text is string text && tokenizer?.FewestTokens(text) is int fewest && fewest > ListedTokens)
            {
                _faults.Add(new Fault(
                    FaultKinds.AnswerNotOneToken, where, $"The answer is at least {fewest} tokens; it must be exactly one token."));
                return null;
            }

            IReadOnlyList<int>? ids = EncodeAnswer(answer.Text, where);
            if (ids is null)
            {
                return null;
            }

            if (ids.Count == 1)
            {
                // Read by itself, "Mary" is a token. After "to " it would be " Mary", and the space that is left alone in the prompt misleads the model.
                TokenPrompt? joined = answer.Text!.StartsWith(' ') ? null : Array.Find(
                    prompts, prompt => prompt.Text?.EndsWith(' ') == true && Continuation(prompt, answer.Text) is null);
                if (joined is null)
                {
                    return InVocabulary(ids[0], where);
                }

                _faults.Add(new Fault(
                    FaultKinds.AnswerNotOneToken,
                    where,
                    $"The prompt ends in a space, which the tokenizer joins with the answer: \" {answer.Text}\". Leave the space out there, and give the answer with it."));
                return null;
            }

            int[] continuations = ids.Count == 0 ? [] : [.. prompts.Select(prompt => Continuation(prompt, answer.Text!)).OfType<int>().Distinct()];
            if (continuations is [int only])
            {
                return InVocabulary(only, where);
            }

            string what = ids.Count == 0 ? "The answer is empty"
                : continuations.Length > 1 ? $"The answer is another token after each prompt: {string.Join(", ", continuations.Select(Show))}"
                : $"The answer is {ids.Count} tokens: {string.Join(", ", ids.Take(ListedTokens).Select(Show))}";
            _faults.Add(new Fault(FaultKinds.AnswerNotOneToken, where, $"{what}; it must be exactly one token.{SpaceHint(answer.Text!)}"));
            return null;
        }

        /// <summary>The one token that a text is where it follows a prompt's text; null where it is several, or changes the prompt's own.</summary>
        private int? Continuation(TokenPrompt prompt, string text)
        {
            if (prompt.Text is null)
            {
                return null;
            }

            try
            {
                IReadOnlyList<int> whole = tokenizer!.Encode(prompt.Text + text);
                return whole.Count == prompt.OfText.Count + 1 && whole.Take(prompt.OfText.Count).SequenceEqual(prompt.OfText) ? whole[^1] : null;
            }
            catch (InvalidInputException e) when (e.Faults[0].Kind != FaultKinds.SlowTokenizer)
            {
                return null;
            }
        }

        /// <summary>
        /// Says so where only the white space keeps an answer from being one token: most words have one with the space before them.
        /// </summary>
        private string SpaceHint(string text)
        {
            string word = text.Trim();
            string spaced = " " + word;
            return word.Length > 0 && spaced != text && tokenizer!.EncodeWithin(spaced).Count == 1
                ? $" With one space before it and none after, \"{spaced}\", it is one."
                : string.Empty;
        }

        private int? InVocabulary(int id, string where)
        {
            if (id >= 0 && id < config.Vocabulary)
            {
                return id;
            }

            _faults.Add(OutsideVocabulary(where, id.ToString()));
            return null;
        }

        private Fault OutsideVocabulary(string where, string ids) =>
            new(FaultKinds.OutsideVocabulary, where, $"Outside the model's vocabulary, ids 0 to {config.Vocabulary - 1}: {ids}.");

        private IReadOnlyList<int>? EncodeAnswer(string? text, string where)
        {
            if (text is not null && _knownAnswers.TryGetValue(text, out IReadOnlyList<int>? known))
            {
                return known;
            }

            IReadOnlyList<int>? ids = Encode(text, where, within: true);
            if (text is not null && ids is not null && _knownAnswers.Count < MostKnownAnswers)
            {
                _knownAnswers.Add(text, ids);
            }

            return ids;
        }

        private IReadOnlyList<int>? Encode(string? text, string where, bool within = false)
        {
            if (text is null)
            {
                _faults.Add(new Fault(FaultKinds.Missing, where, "It is missing."));
                return null;
            }

            if (tokenizer is null || tokenizer.Unsupported is not null)
            {
                // True of every text alike, so once is enough.
                if (!LacksTokenizer)
                {
                    _faults.Add(new Fault(
                        FaultKinds.NoTokenizer,
                        where,
                        tokenizer?.Unsupported is string why
                            ? $"It is text, and the model folder's tokenizer cannot be used: {why}"
                            : "It is text, and the model folder has no tokenizer: put tokenizer.json, or vocab.json and merges.txt, there, or give token ids."));
                    LacksTokenizer = true;
                }

                return null;
            }

            try
            {
                return within ? tokenizer.EncodeWithin(text) : tokenizer.Encode(text);
            }
            catch (InvalidInputException e)
            {
                Fault[] placed = [.. e.Faults.Select(fault => fault with { Where = where })];
                if (placed[0].Kind == FaultKinds.SlowTokenizer)
                {
                    // No other text is tried: each would take as long.
                    throw new InvalidInputException(placed);
                }

                _faults.AddRange(placed);
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
