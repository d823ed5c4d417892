namespace HeadPatching.Http.OpenApi;

/// <summary>
/// The OpenAPI document as a file in this assembly, for hosts that do not generate it. A test holds it to what `headpatch serve` generates.
/// </summary>
public static class OpenApiDocumentFile
{
    /// <summary>Opens it.</summary>
    public static Stream OpenRead() => typeof(OpenApiDocumentFile).Assembly.GetManifestResourceStream("openapi.json")!;
}
