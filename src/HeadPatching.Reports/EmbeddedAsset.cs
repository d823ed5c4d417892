namespace HeadPatching.Reports;

/// <summary>The files of <c>Assets</c>, which are compiled into this assembly.</summary>
internal static class EmbeddedAsset
{
    /// <summary>Opens one, such as <c>OpenSans-Regular.ttf</c>.</summary>
    /// <exception cref="ArgumentException">There is none of that name.</exception>
    public static Stream Open(string name) =>
        typeof(EmbeddedAsset).Assembly.GetManifestResourceStream($"Reports.{name}")
        ?? throw new ArgumentException($"No asset is called '{name}'.", nameof(name));

    /// <summary>Reads one as text, its lines ended by line feeds wherever it was built.</summary>
    /// <exception cref="ArgumentException">There is none of that name.</exception>
    public static string Text(string name)
    {
        using var reader = new StreamReader(Open(name));
        return reader.ReadToEnd().ReplaceLineEndings("\n");
    }
}
