using ScottPlot;

namespace HeadPatching.Reports;

/// <summary>A line of text centred on the whole figure, above the data.</summary>
internal sealed class FigureTitle : IPlottable
{
    private readonly LabelStyle _label;
    private readonly float _top;

    /// <summary>Makes the line.</summary>
    /// <param name="text">What it says.</param>
    /// <param name="size">Size of the font.</param>
    /// <param name="colour">Colour of the text.</param>
    /// <param name="top">Distance of the text from the figure's top.</param>
    public FigureTitle(string text, float size, Color colour, float top)
    {
        _label = new LabelStyle
        {
            Text = text,
            FontName = EmbeddedFont.Family,
            FontSize = size,
            ForeColor = colour,
            Alignment = Alignment.UpperCenter,
        };
        _top = top;
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
        // Plottables may draw only over the data; this one is above it.
        rp.CanvasState.DisableClipping();
        _label.Render(rp.Canvas, new Pixel(rp.FigureRect.HorizontalCenter, rp.FigureRect.Top + _top), rp.Paint);
    }
}
