namespace HeadPatching.Reports;

/// <summary>What the pages of HeadPatching have in common, so that the report and the server's page look alike.</summary>
public static class PageStyle
{
    /// <summary>The style sheet: colours (light and dark), type, masthead, cards, controls, badges. It asks for no other file.</summary>
    public static string Css { get; } = EmbeddedAsset.Text("page.css");
}
