using System.Globalization;
using HeadPatching.Reports;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace HeadPatching.Cli.Terminal;

/// <summary>
/// The heatmap in text: a row a layer, a cell a head (or position, or role), with the effect in it where there is room. On a terminal of 256
/// colours or more the cells have the picture's colours. With fewer, and in redirected output, a block stands for each effect, the denser the
/// larger |effect|; blue is negative, or a minus where there is no colour at all. Cells where nothing can be are the picture's grey, or without
/// filled cells empty. Where there is not room for all columns, numbers go first, then cells become narrower; columns that do not fit even so go
/// below, in further blocks.
/// </summary>
public sealed class TerminalHeatmap : Renderable
{
    private const int LegendWidth = 21;

    private static readonly (double Above, char Block)[] Shades = [(0.2, '█'), (0.1, '▓'), (0.05, '▒'), (0.02, '░')];
    private static readonly string[] Forms = ["0.00", ".00", "0.0", "0", "0e0"];
    private static readonly Style Positive = new(Color.Red);
    private static readonly Style Negative = new(Color.Blue);
    private static readonly Style Label = new(Color.Grey);
    private static readonly Color Dark = new(0, 0, 0), Light = new(255, 255, 255);

    private readonly HeatmapTable _table;
    private readonly int _rowLabel;
    private readonly bool _named;
    private readonly double _limit;

    /// <summary>Makes the heatmap of a result.</summary>
    public TerminalHeatmap(HeatmapTable table)
    {
        _table = table;
        _named = table.Columns == HeatmapColumns.Roles;
        _rowLabel = Math.Max($"L{table.Effects.Length - 1}".Length, table.Letter.Length) + 1;
        _limit = DivergingColours.LimitOf(table.Effects);
    }

    /// <inheritdoc/>
    protected override IEnumerable<Segment> Render(RenderOptions options, int maxWidth)
    {
        // Redirected output has no escape sequences, whatever colours the terminal behind it would have.
        ColorSystem colours = options.Ansi ? options.ColorSystem : ColorSystem.NoColors;
        Cells cells = colours switch
        {
            ColorSystem.TrueColor or ColorSystem.EightBit => new Filled(_limit),
            _ => new Blocks(isColoured: colours != ColorSystem.NoColors),
        };
        int room = maxWidth - _rowLabel, columns = _table.Width;
        int width = Math.Max(cells.WidthFor(columns, room), _named ? Enumerable.Range(0, columns).Max(column => _table.LabelOf(column).Length) + 1 : 0);
        int perBlock = Math.Clamp(room / width, 1, columns);
        for (int first = 0; first < columns; first += perBlock)
        {
            int end = Math.Min(first + perBlock, columns);
            if (_table.Letter.Length > 0 || _named)
            {
                yield return new Segment(ColumnLabels(first, end, width, cells.IsRight(width)), Label);
                yield return Segment.LineBreak;
            }

            for (int layer = 0; layer < _table.Effects.Length; layer++)
            {
                yield return new Segment($"L{layer}".PadRight(_rowLabel), Label);
                for (int column = first; column < end; column++)
                {
                    yield return _table.IsBlank(layer, column)
                        ? cells.Blank(width)
                        : cells.Of(_table.Effects[layer][column], width, isLast: column == end - 1);
                }

                yield return Segment.LineBreak;
            }
        }

        foreach (Segment segment in cells.Legend(width))
        {
            yield return segment;
        }

        yield return Segment.LineBreak;
        if (_table.HasBlanks())
        {
            foreach (Segment segment in cells.BlankLegend())
            {
                yield return segment;
            }

            yield return Segment.LineBreak;
        }
    }

    // Numbers stand above their cells; where they would touch each other, only every second one does, or every third.
    private string ColumnLabels(int first, int end, int width, bool right)
    {
        int digits = _table.LabelOf(_table.Width - 1).Length;
        int every = _named ? 1 : (digits / width) + 1;
        IEnumerable<string> labels = Enumerable.Range(first, end - first)
            .Where(column => (column - first) % every == 0)
            .Select(column => right && every == 1 ? OnRight(_table.LabelOf(column), width) : _table.LabelOf(column).PadRight(width * every));
        return _table.Letter.PadRight(_rowLabel) + string.Concat(labels).TrimEnd();
    }

    /// <summary>Right in a cell, with a space after it where there is one to spare.</summary>
    private static string OnRight(string text, int width) => (width > Filled.NarrowestWithNumber ? text + " " : text).PadLeft(width);

    /// <summary>An effect in as many characters at the most, the first of them for a minus, with two digits where they fit; nothing where it rounds to 0.00.</summary>
    private static string Number(double effect, int width)
    {
        if (Math.Abs(effect) < 0.005)
        {
            return "";
        }

        string sign = effect < 0 ? "-" : "";
        return sign + Forms.Select(form => Math.Abs(effect).ToString(form, CultureInfo.InvariantCulture)).FirstOrDefault(text => text.Length < width, "…");
    }

    /// <summary>How cells are drawn.</summary>
    private abstract class Cells
    {
        /// <summary>The widest cells with which so many columns have room; the ones for several blocks where none has.</summary>
        public abstract int WidthFor(int columns, int room);

        /// <summary>Whether what stands above cells of a width is on their right.</summary>
        public abstract bool IsRight(int width);

        public abstract Segment Of(double effect, int width, bool isLast);

        /// <summary>A cell where nothing can be.</summary>
        public abstract Segment Blank(int width);

        public abstract IEnumerable<Segment> BlankLegend();

        public abstract IEnumerable<Segment> Legend(int width);
    }

    /// <summary>Cells filled with the picture's colours.</summary>
    private sealed class Filled(double limit) : Cells
    {
        public const int NarrowestWithNumber = 4, Widest = 6, InSeveralBlocks = 2;

        public override int WidthFor(int columns, int room) => room / columns is int width and > 0 ? Math.Min(width, Widest) : InSeveralBlocks;

        public override bool IsRight(int width) => width >= NarrowestWithNumber;

        public override Segment Of(double effect, int width, bool isLast)
        {
            string text = width < NarrowestWithNumber ? "" : OnRight(Number(effect, width >= Widest ? Widest - 1 : NarrowestWithNumber), width);
            return new Segment(text.PadRight(width), StyleOf(effect));
        }

        public override IEnumerable<Segment> Legend(int width)
        {
            yield return new Segment(string.Create(CultureInfo.InvariantCulture, $"effect {-limit:0.00} "), Label);
            for (int i = 0; i < LegendWidth; i++)
            {
                yield return new Segment(" ", StyleOf(limit * ((2.0 * i / (LegendWidth - 1)) - 1)));
            }

            yield return new Segment(string.Create(CultureInfo.InvariantCulture, $" +{limit:0.00}"), Label);
        }

        public override Segment Blank(int width) => new(new string(' ', width), StyleOf(DivergingColours.Blank));

        public override IEnumerable<Segment> BlankLegend() => [Blank(1), new Segment(" grey: nothing can be", Label)];

        private Style StyleOf(double effect) => StyleOf(DivergingColours.At(effect, limit));

        private static Style StyleOf((byte Red, byte Green, byte Blue) colour) =>
            new(DivergingColours.IsDark(colour) ? Light : Dark, new Color(colour.Red, colour.Green, colour.Blue));
    }

    /// <summary>Blocks of four densities, and a dot for less.</summary>
    private sealed class Blocks(bool isColoured) : Cells
    {
        /// <summary>A block, a number of four characters and a space; two blocks and a space; two blocks.</summary>
        private const int WithNumber = 6, Apart = 3, Narrow = 2;

        /// <summary>Up to so many columns have a space between them.</summary>
        private const int MostApart = 16;

        public override int WidthFor(int columns, int room) =>
            columns * WithNumber <= room ? WithNumber : columns <= MostApart ? Apart : Narrow;

        public override bool IsRight(int width) => false;

        public override Segment Of(double effect, int width, bool isLast)
        {
            char block = Array.Find(Shades, shade => Math.Abs(effect) > shade.Above).Block;
            bool less = block == default;
            string text = width >= WithNumber ? less ? "·" : $"{block}{Number(effect, WithNumber - 2),4}"
                : less ? "··"
                : effect < 0 && !isColoured ? $"-{block}"
                : $"{block}{block}";
            return new Segment(isLast ? text : text.PadRight(width), less ? Label : effect < 0 ? Negative : Positive);
        }

        public override Segment Blank(int width) => new(new string(' ', width));

        public override IEnumerable<Segment> BlankLegend() => [new Segment("empty: nothing can be", Label)];

        public override IEnumerable<Segment> Legend(int width)
        {
            bool numbers = width >= WithNumber;
            string shades = string.Join("  ", Shades.Select(shade => string.Create(CultureInfo.InvariantCulture, $"{new string(shade.Block, numbers ? 1 : 2)} > {shade.Above}")));
            yield return new Segment($"|effect| {shades}" + (isColoured || numbers ? "" : "   negative: -█"), Label);
            if (isColoured)
            {
                yield return new Segment("   ", Label);
                yield return new Segment("positive", Positive);
                yield return new Segment(" ", Label);
                yield return new Segment("negative", Negative);
            }
        }
    }
}
