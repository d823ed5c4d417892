using System.Globalization;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.Comparing;
using HeadPatching.Reports.Comparing;
using ScottPlot;
using SkiaSharp;

namespace HeadPatching.Reports;

/// <summary>
/// The heatmap as a picture: heads (or positions, see <see cref="HeatmapTable.ForPicture"/>) to the right, layers (or the strongest heads) downwards, blue
/// (negative) over white (0) to red (positive) on a scale that is the same on both sides, grey where nothing can be. The picture grows with the model, so
/// that every cell stays readable.
/// </summary>
public static class HeatmapPicture
{
    /// <summary>Pixels of heatmap.png for each unit of <see cref="SizeOf"/>: sharp on dense screens and in print.</summary>
    public const int PngScale = 2;

    private const int LeftMargin = 64;
    private const int RightMargin = 84;
    private const int TopMargin = 66;
    private const int BottomMargin = 58;
    private const int TitleMargin = 16;

    /// <summary>Width of the colour bar, and of the gap between it and the cells.</summary>
    private const int ColourBar = 18;

    /// <summary>Slices of the colour bar; more cannot be told apart.</summary>
    private const int ColourBarSlices = 120;

    private const int LargestWithValues = 16;
    private const int SpaceOfTickLabel = 17;
    private const int SpaceOfColourBarLabel = 24;

    /// <summary>Most steps of the colour bar's scale on each side of 0.</summary>
    private const int MostColourBarSteps = 6;

    /// <summary>Models of one or two layers get taller cells, so that the labels of layers and colour bar have room.</summary>
    private const int LowestGrid = 120;

    /// <summary>Prompts may have thousands of positions; beyond this width their columns become narrower instead of the picture wider.</summary>
    private const int WidestGrid = 1600;

    /// <summary>Width of the column where there is only one, and its cells' largest height.</summary>
    private const int OneColumn = 96;
    private const int OneColumnHeight = 30;

    /// <summary>Below cells that have no axis there.</summary>
    private const int BottomMarginWithoutAxis = 24;

    private const int LongestName = 48;
    private const int LongestTitle = 120;
    private const int LongestToken = 18;

    private const float TitleSize = 15;
    private const float SubtitleSize = 12;
    private const float LabelSize = 13;
    private const float TickSize = 11;

    private static readonly int[] RoundFactors = [1, 2, 5, 10];
    private static readonly int[] CellTickSteps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

    private static readonly Color Ink = Color.FromHex("#1f2933");
    private static readonly Color FaintInk = Color.FromHex("#616e7c");
    private static readonly Color CellBorder = Color.FromHex("#e4e7eb");

    // ScottPlot keeps fonts in a table that all plots share.
    private static readonly Lock Drawing = new();

    static HeatmapPicture() => Fonts.FontResolvers.Insert(0, new EmbeddedFont());

    /// <summary>Width and height of the picture of a result, in the units of the SVG; the PNG has <see cref="PngScale"/> times as many
    /// pixels each way.</summary>
    public static (int Width, int Height) SizeOf(SweepResult result)
    {
        var table = HeatmapTable.ForPicture(result);
        var layout = Layout.Of(table, Caption.Of(result, table));
        return (layout.Width, layout.Height);
    }

    /// <summary>Writes heatmap.png.</summary>
    public static void WritePng(SweepResult result, Stream to)
    {
        var table = HeatmapTable.ForPicture(result);
        WritePng(table, Caption.Of(result, table), to);
    }

    /// <summary>Writes comparison.png: the differences.</summary>
    public static void WritePng(SweepComparison comparison, Stream to) => WritePng(DifferenceTable.Of(comparison).Table, Caption.Of(comparison), to);

    /// <summary>Writes heatmap.svg: rectangles and text, no bitmap in it.</summary>
    public static void WriteSvg(SweepResult result, Stream to)
    {
        var table = HeatmapTable.ForPicture(result);
        WriteSvg(table, Caption.Of(result, table), to);
    }

    /// <summary>Writes comparison.svg: the differences, as <see cref="WriteSvg(SweepResult, Stream)"/>.</summary>
    public static void WriteSvg(SweepComparison comparison, Stream to) => WriteSvg(DifferenceTable.Of(comparison).Table, Caption.Of(comparison), to);

    private static void WritePng(HeatmapTable table, Caption caption, Stream to)
    {
        var layout = Layout.Of(table, caption);
        lock (Drawing)
        {
            using var surface = SKSurface.Create(new SKImageInfo(layout.Width * PngScale, layout.Height * PngScale));
            surface.Canvas.Scale(PngScale);
            using var plot = Draw(caption, layout);
            plot.Render(surface.Canvas, new PixelRect(0, layout.Width, layout.Height, 0));
            using var image = surface.Snapshot();
            using var png = image.Encode(SKEncodedImageFormat.Png, 100);
            png.SaveTo(to);
        }
    }

    private static void WriteSvg(HeatmapTable table, Caption caption, Stream to)
    {
        var layout = Layout.Of(table, caption);
        lock (Drawing)
        {
            VectorPicture.WriteCanvas(
                layout.Width,
                layout.Height,
                canvas =>
                {
                    using var plot = Draw(caption, layout);
                    // A plot's first drawing draws everything twice, which a vector file would keep.
                    plot.RenderInMemory(layout.Width, layout.Height);
                    plot.Render(canvas, new PixelRect(0, layout.Width, layout.Height, 0));
                },
                to);
        }
    }

    private static Plot Draw(Caption caption, Layout layout)
    {
        var heatmap = layout.Table.Effects;
        var limit = DivergingColours.LimitOf(heatmap);
        var plot = new Plot();
        plot.Font.Set(EmbeddedFont.Family);
        plot.FigureBackground.Color = Colors.White;
        plot.DataBackground.Color = Colors.White;
        plot.HideGrid();
        plot.Layout.Fixed(new PixelPadding(layout.Left, layout.Right, layout.Bottom, TopMargin));

        // The unit of x is a cell. The colour bar stands right of the cells, on the y axis of the right side.
        var barWidth = ColourBar / layout.CellWidth;
        var right = layout.Columns + (2 * barWidth);
        plot.Axes.SetLimitsX(0, right);
        plot.Axes.SetLimitsY(layout.Layers, 0);
        plot.Axes.SetLimitsY(-limit, limit, plot.Axes.Right);

        AddCells(plot, limit, layout);
        AddColourBar(plot, limit, right - barWidth, right);
        LabelAxes(plot, limit, layout, caption.Scale);
        AddTitle(plot, caption);
        return plot;
    }

    private static void AddCells(Plot plot, double limit, Layout layout)
    {
        var heatmap = layout.Table.Effects;
        var cells = new List<(CoordinateRect Place, Color Colour)>();
        var values = new List<ScottPlot.Plottables.Text>();
        for (var layer = 0; layer < heatmap.Length; layer++)
        {
            for (var column = 0; column < heatmap[layer].Length; column++)
            {
                var effect = heatmap[layer][column];
                var blank = layout.Table.IsBlank(layer, column);
                var colour = blank ? ColourOf(DivergingColours.Blank) : ColourOf(effect, limit);
                cells.Add((new CoordinateRect(column, column + 1, layer, layer + 1), colour));
                if (blank)
                {
                    continue;
                }

                values.Add(new ScottPlot.Plottables.Text
                {
                    Location = new Coordinates(column + 0.5, layer + 0.5),
                    LabelText = Value(effect),
                    LabelAlignment = Alignment.MiddleCenter,
                    LabelFontName = EmbeddedFont.Family,
                    LabelFontSize = TickSize,
                    LabelFontColor = DivergingColours.IsDark((colour.R, colour.G, colour.B)) ? Colors.White : Ink,
                });
            }
        }

        // What lies under the cells shows between them as lines.
        var under = (new CoordinateRect(0, layout.Columns, 0, layout.Layers), CellBorder);
        plot.Add.Plottable(new ColouredRectangles([under], inset: -0.5f));
        plot.Add.Plottable(new ColouredRectangles(cells, inset: layout.CellWidth switch { >= 18 => 0.5f, >= 4 => 0.25f, _ => 0 }));
        if (layout.HasValues)
        {
            values.ForEach(value => plot.Add.Plottable(value));
        }
    }

    private static void AddColourBar(Plot plot, double limit, double left, double right)
    {
        var slice = 2 * limit / ColourBarSlices;
        var slices = new List<(CoordinateRect Place, Color Colour)>();
        for (var index = 0; index < ColourBarSlices; index++)
        {
            var bottom = -limit + (index * slice);
            // A slice reaches a little under the next one: else the background shows as hairlines between them.
            var top = Math.Min(bottom + (1.5 * slice), limit);
            slices.Add((new CoordinateRect(left, right, bottom, top), ColourOf(bottom + (slice / 2), limit)));
        }

        var bar = new ColouredRectangles(slices, inset: 0);
        bar.Axes.YAxis = plot.Axes.Right;
        plot.Add.Plottable(bar);
    }

    private static void LabelAxes(Plot plot, double limit, Layout layout, string scale)
    {
        foreach (var axis in plot.Axes.GetAxes())
        {
            axis.FrameLineStyle.Width = 0;
            axis.MajorTickStyle.Length = 0;
            axis.MinorTickStyle.Length = 0;
            axis.TickLabelStyle.FontName = EmbeddedFont.Family;
            axis.TickLabelStyle.FontSize = TickSize;
            axis.TickLabelStyle.ForeColor = FaintInk;
            axis.Label.FontName = EmbeddedFont.Family;
            axis.Label.FontSize = LabelSize;
            axis.Label.Bold = false;
            axis.Label.ForeColor = Ink;
        }

        plot.Axes.Bottom.Label.Text = layout.Table.Axis ?? "";
        plot.Axes.Bottom.TickGenerator =
            layout.Table.Axis is null ? new ScottPlot.TickGenerators.NumericManual() : CellTicks(layout.Columns, layout.CellWidth, column => ColumnLabel(layout.Table, column));
        if (layout.Table.Tokens is not null)
        {
            plot.Axes.Bottom.TickLabelStyle.Rotation = -90;
            plot.Axes.Bottom.TickLabelStyle.Alignment = Alignment.MiddleRight;
            ((ScottPlot.AxisPanels.AxisBase)plot.Axes.Bottom).PaddingBetweenTickAndAxisLabels = new PixelPadding(layout.Below / 2f); // above and below
        }

        plot.Axes.Left.Label.Text = layout.Table.RowNames is null ? "Layer" : "Head";
        plot.Axes.Left.TickGenerator = CellTicks(layout.Layers, layout.CellHeight, row => RowLabel(layout.Table, row));
        plot.Axes.Right.Label.Text = scale;
        ((ScottPlot.AxisPanels.AxisBase)plot.Axes.Right).PaddingBetweenTickAndAxisLabels = new PixelPadding(10);
        plot.Axes.Right.MajorTickStyle.Length = 4;
        plot.Axes.Right.MajorTickStyle.Color = FaintInk;
        plot.Axes.Right.TickGenerator = ColourBarTicks(limit, layout.Layers * layout.CellHeight);
    }

    // 0 and the round numbers on both sides of it, as many as have room; the two ends where no round one has.
    private static ScottPlot.TickGenerators.NumericManual ColourBarTicks(double limit, int height)
    {
        var least = Math.Max(2 * limit * SpaceOfColourBarLabel / height, limit / MostColourBarSteps);
        var magnitude = Math.Pow(10, Math.Floor(Math.Log10(least)));
        var step = RoundFactors.Select(factor => factor * magnitude).First(step => step >= least);
        if (step > limit)
        {
            step = limit;
        }

        var ticks = new ScottPlot.TickGenerators.NumericManual();
        var steps = (int)Math.Floor((limit / step) + 1e-9);
        for (var index = -steps; index <= steps; index++)
        {
            ticks.AddMajor(index * step, (index * step).ToString("G2", CultureInfo.InvariantCulture));
        }

        return ticks;
    }

    // Every cell has its number where there is room; else every second, fifth, tenth, ...
    private static ScottPlot.TickGenerators.NumericManual CellTicks(int count, double cell, Func<int, string> label)
    {
        var step = CellTickSteps.FirstOrDefault(step => step * cell >= SpaceOfTickLabel, CellTickSteps[^1]);
        var ticks = new ScottPlot.TickGenerators.NumericManual();
        for (var index = 0; index < count; index += step)
        {
            ticks.AddMajor(index + 0.5, label(index));
        }

        return ticks;
    }

    private static void AddTitle(Plot plot, Caption caption)
    {
        plot.Axes.Title.IsVisible = false;
        // Not ScottPlot's own title: that has one font size.
        plot.Add.Plottable(new FigureTitle(caption.Title, TitleSize, Ink, 16));
        plot.Add.Plottable(new FigureTitle(caption.Subtitle, SubtitleSize, FaintInk, 39));
    }

    private static string RowLabel(HeatmapTable table, int row) => table.RowNames?[row] ?? row.ToString(CultureInfo.InvariantCulture);

    // A position's number, and its token where there are texts.
    private static string ColumnLabel(HeatmapTable table, int column) =>
        table.Tokens is null ? table.LabelOf(column) : $"{VectorPicture.Drawable(table.Tokens[column].Trim(), LongestToken)} {table.LabelOf(column)}";

    private static string Value(double effect)
    {
        // Six characters at most: as many as a cell has room for.
        var format = Math.Abs(effect) switch { < 10 => "0.00", < 100 => "0.0", < 10_000 => "0", _ => "0E+0" };
        var text = effect.ToString(format, CultureInfo.InvariantCulture);
        return text == "-0.00" ? "0.00" : text;
    }

    private static Color ColourOf(double effect, double limit) => ColourOf(DivergingColours.At(effect, limit));

    private static Color ColourOf((byte Red, byte Green, byte Blue) colour) => new(colour.Red, colour.Green, colour.Blue);

    /// <summary>What stands around the cells.</summary>
    private sealed record Caption(string Title, string Subtitle, string Scale)
    {
        public static Caption Of(SweepResult result, HeatmapTable table)
        {
            var dataset = $"{VectorPicture.Drawable(result.Dataset.Name, LongestName)}, {SweepFacts.Pairs(result)}";
            var strongest = (result.Positions.IsEach || result.Positions.IsEachRole) && table.Columns is not (HeatmapColumns.Positions or HeatmapColumns.Roles) ? ", the strongest shown" : "";
            var tokens = table.Tokens is null || result.Dataset.Pairs == 1 ? "" : $", tokens of pair {result.Pairs[0].Index}";
            var blank = table.HasBlanks() ? ", grey: nothing can be" : "";
            return new Caption(
                VectorPicture.Drawable(result.Title(), LongestTitle),
                string.Join(" · ", [VectorPicture.Drawable(result.Model.Name, LongestName), dataset, .. SweepFacts.Of(result)]) + strongest + tokens + blank,
                "Patching effect");
        }

        public static Caption Of(SweepComparison comparison)
        {
            var basis = comparison.CommonPairs > 0 ? $"{comparison.CommonPairs} common pairs" : "no common pairs";
            var moved = comparison.JointMiss is null ? "no intervals" : $"{comparison.Moved.Count} of {comparison.Heads.Count} moved (95 % for all together)";
            return new Caption(
                $"Difference of patching effects, {comparison.Unit} by {comparison.Unit}",
                $"{VectorPicture.Drawable(comparison.B.Label, LongestName)} minus {VectorPicture.Drawable(comparison.A.Label, LongestName)} · {basis} · {moved}",
                "Difference of effects");
        }
    }

    /// <summary>Where things are, in units of the SVG; <c>Below</c> is the height of tokens under the cells.</summary>
    private sealed record Layout(HeatmapTable Table, double CellWidth, int CellHeight, int Width, int Height, int Left, int Right, int Below)
    {
        public int Layers => Table.Effects.Length;

        public int Columns => Table.Width;

        public int Bottom => Height - TopMargin - (Layers * CellHeight);

        public bool HasValues => Columns == 1 ? CellHeight >= SpaceOfTickLabel : Layers <= LargestWithValues && Columns <= LargestWithValues;

        public static Layout Of(HeatmapTable table, Caption caption)
        {
            var (layers, columns) = (table.Effects.Length, table.Width);
            var cell = Math.Max(layers, columns) switch
            {
                <= LargestWithValues => 42,
                <= 32 => 24,
                <= 64 => 18,
                _ => 12,
            };
            using var ticks = new SKFont(EmbeddedFont.Typeface, TickSize);
            var label = table.Columns == HeatmapColumns.Roles ? Enumerable.Range(0, columns).Max(column => ticks.MeasureText(table.LabelOf(column))) + 8 : 0;
            var cellWidth = columns == 1 ? OneColumn : Math.Min(Math.Max(cell, label), WidestGrid / (double)columns);
            var cellHeight = Math.Max(columns == 1 ? Math.Min(cell, OneColumnHeight) : cell, LowestGrid / layers);
            var grid = (int)Math.Ceiling(columns * cellWidth);
            // Names of heads and of tokens are longer than numbers.
            var left = LeftMargin + (table.RowNames is null ? 0 : (int)table.RowNames.Max(name => ticks.MeasureText(name)));
            var below = table.Tokens is null ? 0 : (int)Enumerable.Range(0, columns).Max(column => ticks.MeasureText(ColumnLabel(table, column)));
            var plain = left + grid + (2 * ColourBar) + RightMargin;
            var width = Math.Max(plain, (int)Math.Ceiling(WidthOf(caption)) + (2 * TitleMargin));
            var spare = width - plain;
            return new Layout(
                table,
                cellWidth,
                cellHeight,
                width,
                TopMargin + (layers * cellHeight) + (table.Axis is null ? BottomMarginWithoutAxis : BottomMargin + below),
                left + (spare / 2),
                RightMargin + spare - (spare / 2),
                below);
        }

        private static float WidthOf(Caption caption)
        {
            using var large = new SKFont(EmbeddedFont.Typeface, TitleSize);
            using var small = new SKFont(EmbeddedFont.Typeface, SubtitleSize);
            return Math.Max(large.MeasureText(caption.Title), small.MeasureText(caption.Subtitle));
        }
    }
}
