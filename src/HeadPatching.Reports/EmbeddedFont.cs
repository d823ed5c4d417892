using ScottPlot;
using SkiaSharp;

namespace HeadPatching.Reports;

/// <summary>
/// Gives ScottPlot the font that travels with this assembly, so that pictures have text, and the same text, on machines without fonts
/// (most containers).
/// </summary>
internal sealed class EmbeddedFont : IFontResolver
{
    /// <summary>The family's name, as pictures name it.</summary>
    public const string Family = "Open Sans";

    private static readonly Lazy<SKTypeface> Loaded = new(() =>
    {
        using var file = EmbeddedAsset.Open("OpenSans-Regular.ttf");
        return SKTypeface.FromStream(file);
    });

    /// <summary>The font itself, to measure text with.</summary>
    public static SKTypeface Typeface => Loaded.Value;

    /// <inheritdoc/>
    public SKTypeface? CreateTypeface(string fontName, FontWeight weight, FontSlant slant, FontSpacing spacing) =>
        fontName == Family ? Typeface : null;

    /// <inheritdoc/>
    public SKTypeface? CreateTypeface(string fontName, bool bold, bool italic) => fontName == Family ? Typeface : null;
}
