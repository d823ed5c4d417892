namespace HeadPatching.Core.Prompts;

/// <summary>When the mark of a space is put before a text, so that its first word is written like every other.</summary>
internal enum LeadingMark
{
    /// <summary>Never.</summary>
    Never,

    /// <summary>Before every text, even one that begins with a space.</summary>
    Always,

    /// <summary>Before every text that does not begin with a space.</summary>
    WhereNone,

    /// <summary>The same, but only at the very beginning, and not after an added token.</summary>
    WhereNoneAtStart,
}
