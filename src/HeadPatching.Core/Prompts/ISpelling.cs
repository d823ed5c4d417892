namespace HeadPatching.Core.Prompts;

/// <summary>How a vocabulary writes text: where a text is split before it is encoded, and what the tokens read like.</summary>
internal interface ISpelling
{
    /// <summary>A text's pieces, as the vocabulary writes them.</summary>
    /// <param name="text">Some text, not empty, between two added tokens or all there is.</param>
    /// <param name="atStart">Whether it stands at the very beginning.</param>
    /// <exception cref="Faults.InvalidInputException">The text cannot be written so.</exception>
    IEnumerable<string> Pieces(string text, bool atStart);

    /// <summary>What a token reads like, on one line.</summary>
    string Readable(string token);
}
