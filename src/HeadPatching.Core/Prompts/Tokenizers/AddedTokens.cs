using System.Text.RegularExpressions;
using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts.Tokenizers;

/// <summary>A token that is looked for in the text itself, before it is split and encoded: <c>&lt;|endoftext|&gt;</c>.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Content">The text that it is.</param>
/// <param name="Normalized">Whether it is looked for in the normalized text, and as the normalizer writes it, after those that are not.</param>
/// <param name="Rule">
/// What is asked of the text around it that is not done here, by tokenizer.json's name for it (<c>lstrip</c>); null where nothing is. A
/// text that holds such a token is refused.
/// </param>
internal sealed record AddedToken(int Id, string Content, bool Normalized, string? Rule);

/// <summary>A part of a text: an added token by its id, or a normalized stretch between two of them.</summary>
/// <param name="Text">The text.</param>
/// <param name="Id">The added token; null for what is none.</param>
/// <param name="Standing">Where a stretch stands.</param>
internal readonly record struct TextPart(string Text, int? Id, Standing Standing);

/// <summary>The added tokens of a tokenizer, and how they are found: from left to right, the longest that fits.</summary>
internal sealed class AddedTokens
{
    private readonly Dictionary<int, string> _contents;
    private readonly AddedToken[] _refused;
    private readonly ISpelling _spelling;
    private readonly Finder _plain;
    private readonly Finder _normalized;

    public AddedTokens(IReadOnlyList<AddedToken> tokens, ISpelling spelling)
    {
        _contents = tokens.ToDictionary(token => token.Id, token => token.Content);
        _refused = [.. tokens.Where(token => token.Rule is not null)];
        _spelling = spelling;
        _plain = new Finder(tokens.Where(token => !token.Normalized).Select(token => (token.Content, token.Id)));
        // The normalizer is run on the content as on any text, so a Prepend puts its mark before it: "<pad>" is then found after a space alone.
        _normalized = new Finder(tokens.Where(token => token.Normalized).Select(token => (spelling.Normalize(token.Content, Standing.AtStart), token.Id)));
    }

    /// <summary>Every id and text.</summary>
    public IReadOnlyDictionary<int, string> Contents => _contents;

    /// <summary>The parts of a text in their order.</summary>
    /// <exception cref="InvalidInputException">The text holds a token with a rule that is not known here.</exception>
    public IEnumerable<TextPart> Split(string text, Standing standing)
    {
        if (_refused.FirstOrDefault(token => text.Contains(token.Content, StringComparison.Ordinal)) is { } refused)
        {
            throw new InvalidInputException(
                FaultKinds.NoTokenizer,
                "",
                $"The text holds the added token \"{refused.Content}\", which the tokenizer treats by a rule that is not supported ({refused.Rule}); give token ids.");
        }

        if (_contents.Count == 0)
        {
            return text.Length == 0 ? [] : [new TextPart(_spelling.Normalize(text, standing), null, standing)];
        }

        return _plain.Split(text, standing).SelectMany(part =>
            part.Id is null ? _normalized.Split(_spelling.Normalize(part.Text, part.Standing), part.Standing) : [part]);
    }

    /// <summary>Finds some tokens by their texts.</summary>
    private sealed class Finder
    {
        private readonly Dictionary<string, int> _ids = new(StringComparer.Ordinal);
        private readonly Regex? _search;

        public Finder(IEnumerable<(string Text, int Id)> tokens)
        {
            foreach (var (text, id) in tokens)
            {
                _ids.TryAdd(text, id);
            }

            // The first alternative that fits is taken, so the longest come first.
            string[] texts = [.. _ids.Keys.OrderByDescending(text => text.Length).Select(Regex.Escape)];
            _search = texts.Length == 0 ? null : new Regex(string.Join('|', texts), RegexOptions.CultureInvariant);
        }

        public IEnumerable<TextPart> Split(string text, Standing standing)
        {
            int done = 0;
            foreach (Match match in _search?.Matches(text) ?? Enumerable.Empty<Match>())
            {
                if (match.Index > done)
                {
                    yield return new TextPart(text[done..match.Index], null, StandingAt(done));
                }

                yield return new TextPart(match.Value, _ids[match.Value], Standing.AfterAddedToken);
                done = match.Index + match.Length;
            }

            if (done < text.Length)
            {
                yield return new TextPart(text[done..], null, StandingAt(done));
            }

            Standing StandingAt(int place) => place == 0 ? standing : Standing.AfterAddedToken;
        }
    }
}
