using HeadPatching.Reports;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace HeadPatching.Cli.Terminal;

/// <summary>
/// The heatmap in text: a row a layer, two characters a head (or position), the denser the larger |effect|. Negative effects are blue; where
/// there is no colour (redirected output, NO_COLOR), they begin with a minus. Columns that do not fit beside each other go below, in further
/// blocks.
/// </summary>
public sealed class TerminalHeatmap : Renderable
{
    private const int CellWidth = 2;

    /// <summary>Up to so many columns have a space between them.</summary>
    private const int MostColumnsApart = 16;

    private static readonly (double Above, char Block)[] Shades = [(0.2, '█'), (0.1, '▓'), (0.05, '▒'), (0.02, '░')];
    private static readonly Style Positive = new(Color.Red);
    private static readonly Style Negative = new(Color.Blue);
    private static readonly Style Label = new(Color.Grey);

    private readonly double[][] _heatmap;
    private readonly int _columns;
    private readonly string _letter;
    private readonly Func<int, string> _label;
    private readonly int _rowLabel;
    private readonly int _step;
    private readonly bool _named;

    /// <summary>Makes the heatmap of a result.</summary>
    public TerminalHeatmap(HeatmapTable table)
    {
        _heatmap = table.Effects;
        _columns = table.Width;
        _letter = table.Letter;
        _label = table.LabelOf;
        _named = table.Columns == HeatmapColumns.Roles;
        _rowLabel = Math.Max($"L{_heatmap.Length - 1}".Length, _letter.Length) + 1;
        _step = _named ? Enumerable.Range(0, _columns).Max(column => _label(column).Length) + 1 : _columns <= MostColumnsApart ? CellWidth + 1 : CellWidth;
    }

    /// <inheritdoc/>
    protected override IEnumerable<Segment> Render(RenderOptions options, int maxWidth)
    {
        // Redirected output has no escape sequences, whatever colours the terminal behind it would have.
        var coloured = options.Ansi && options.ColorSystem != ColorSystem.NoColors;
        var columnsPerBlock = Math.Clamp((maxWidth - _rowLabel) / _step, 1, _columns);
        for (var first = 0; first < _columns; first += columnsPerBlock)
        {
            var end = Math.Min(first + columnsPerBlock, _columns);
            if (_letter.Length > 0 || _named)
            {
                yield return new Segment(ColumnLabels(first, end), Label);
                yield return Segment.LineBreak;
            }

            for (var layer = 0; layer < _heatmap.Length; layer++)
            {
                yield return new Segment($"L{layer}".PadRight(_rowLabel), Label);
                for (var column = first; column < end; column++)
                {
                    var (text, style) = CellOf(_heatmap[layer][column], coloured);
                    yield return new Segment(text.PadRight(column < end - 1 ? _step : CellWidth), style);
                }

                yield return Segment.LineBreak;
            }
        }

        yield return new Segment(
            coloured
                ? "|effect| ██ > 0.2  ▓▓ > 0.1  ▒▒ > 0.05  ░░ > 0.02   "
                : "|effect| ██ > 0.2  ▓▓ > 0.1  ▒▒ > 0.05  ░░ > 0.02   negative: -█",
            Label);
        if (coloured)
        {
            yield return new Segment("positive", Positive);
            yield return new Segment(" ", Label);
            yield return new Segment("negative", Negative);
        }

        yield return Segment.LineBreak;
    }

    private static (string Text, Style Style) CellOf(double effect, bool coloured)
    {
        var shade = Array.Find(Shades, shade => Math.Abs(effect) > shade.Above).Block;
        if (shade == default)
        {
            return ("··", Label);
        }

        return effect < 0
            ? (coloured ? $"{shade}{shade}" : $"-{shade}", Negative)
            : ($"{shade}{shade}", Positive);
    }

    // Numbers stand above their cells; where they would touch each other, only every second one does, or every third.
    private string ColumnLabels(int first, int end)
    {
        var digits = _label(_columns - 1).Length;
        var every = _named ? 1 : (digits / _step) + 1;
        var labels = Enumerable.Range(first, end - first)
            .Where(column => (column - first) % every == 0)
            .Select(column => _label(column).PadRight(_step * every));
        return _letter.PadRight(_rowLabel) + string.Concat(labels).TrimEnd();
    }
}
