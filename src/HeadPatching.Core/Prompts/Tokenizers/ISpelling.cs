namespace HeadPatching.Core.Prompts.Tokenizers;

/// <summary>Where a stretch of text stands: it decides whether the mark of a space is put before it.</summary>
internal enum Standing
{
    /// <summary>At the very beginning of a text.</summary>
    AtStart,

    /// <summary>After an added token.</summary>
    AfterAddedToken,

    /// <summary>In the middle of a text, whatever may be before it: an answer after its prompt.</summary>
    Within,
}

/// <summary>How a vocabulary writes text: how a text is changed and where it is split before it is encoded, and what the tokens read like.</summary>
internal interface ISpelling
{
    /// <summary>
    /// A text in the form in which tokens are looked for, which is what tokenizer.json calls normalizers: composed characters, marks for
    /// spaces. Added tokens that are <c>normalized</c> are found in it, the other ones were found before.
    /// </summary>
    string Normalize(string text, Standing standing);

    /// <summary>A normalized text's pieces, as the vocabulary writes them.</summary>
    /// <param name="normalized">Some text, not empty, between two added tokens or all there is.</param>
    /// <param name="standing">Where it stands.</param>
    /// <exception cref="Faults.InvalidInputException">The text cannot be written so.</exception>
    IEnumerable<string> Pieces(string normalized, Standing standing);

    /// <summary>What a token reads like, on one line.</summary>
    string Readable(string token);
}
