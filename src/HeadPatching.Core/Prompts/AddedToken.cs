namespace HeadPatching.Core.Prompts;

/// <summary>A token that is looked for in the text itself, before it is split and encoded: <c>&lt;|endoftext|&gt;</c>.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Content">The text that it is.</param>
/// <param name="Later">Whether it is looked for after those that are not (<c>normalized</c>).</param>
/// <param name="Rule">
/// What is asked of the text around it that is not done here, by tokenizer.json's name for it (<c>lstrip</c>); null where nothing is. A
/// text that holds such a token is refused.
/// </param>
internal sealed record AddedToken(int Id, string Content, bool Later, string? Rule);
