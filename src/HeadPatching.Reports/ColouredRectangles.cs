using ScottPlot;
using SkiaSharp;

namespace HeadPatching.Reports;

/// <summary>
/// Filled rectangles as one thing to plot. ScottPlot's own heatmap draws a bitmap, which would be one in the SVG too, and its single
/// rectangles each bring a clip path, which makes the SVG of a large model several megabytes.
/// </summary>
internal sealed class ColouredRectangles : IPlottable
{
    private readonly IReadOnlyList<(CoordinateRect Place, Color Colour)> _rectangles;
    private readonly float _inset;

    /// <summary>Makes them.</summary>
    /// <param name="rectangles">Where they are and how they are filled, in drawing order.</param>
    /// <param name="inset">How much smaller than its place each is drawn, on each side.</param>
    public ColouredRectangles(IReadOnlyList<(CoordinateRect Place, Color Colour)> rectangles, float inset)
    {
        _rectangles = rectangles;
        _inset = inset;
    }

    /// <inheritdoc/>
    public bool IsVisible { get; set; } = true;

    /// <inheritdoc/>
    public IAxes Axes { get; set; } = new Axes();

    /// <inheritdoc/>
    public IEnumerable<LegendItem> LegendItems => [];

    /// <inheritdoc/>
    public AxisLimits GetAxisLimits() => AxisLimits.NoLimits;

    /// <inheritdoc/>
    public void Render(RenderPack rp)
    {
        using var paint = new SKPaint { Style = SKPaintStyle.Fill, IsAntialias = true };
        foreach (var (place, colour) in _rectangles)
        {
            var one = Axes.GetPixel(place.TopLeft);
            var other = Axes.GetPixel(place.BottomRight);
            var rectangle = new SKRect(
                Math.Min(one.X, other.X), Math.Min(one.Y, other.Y), Math.Max(one.X, other.X), Math.Max(one.Y, other.Y));
            rectangle.Inflate(-_inset, -_inset);
            paint.Color = colour.ToSKColor();
            rp.Canvas.DrawRect(rectangle, paint);
        }
    }
}
