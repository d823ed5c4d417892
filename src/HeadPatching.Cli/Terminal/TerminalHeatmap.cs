using System.Globalization;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace HeadPatching.Cli.Terminal;

/// <summary>
/// The heatmap in text: a row a layer, two characters a head, the denser the larger |effect|. Negative effects are blue; where there is no
/// colour (redirected output, NO_COLOR), they begin with a minus. Heads that do not fit beside each other go below, in further blocks.
/// </summary>
public sealed class TerminalHeatmap : Renderable
{
    private const int CellWidth = 2;

    /// <summary>With more heads than this, a head's number stands above every second cell only.</summary>
    private const int MostHeadsApart = 16;

    private static readonly (double Above, char Block)[] Shades = [(0.2, '█'), (0.1, '▓'), (0.05, '▒'), (0.02, '░')];
    private static readonly Style Positive = new(Color.Red);
    private static readonly Style Negative = new(Color.Blue);
    private static readonly Style Label = new(Color.Grey);

    private readonly double[][] _heatmap;
    private readonly int _heads;
    private readonly int _rowLabel;

    /// <summary>Makes the heatmap of these effects.</summary>
    /// <param name="heatmap">[layer][head].</param>
    public TerminalHeatmap(double[][] heatmap)
    {
        _heatmap = heatmap;
        _heads = heatmap.Max(layer => layer.Length);
        _rowLabel = $"L{heatmap.Length - 1}".Length + 1;
    }

    /// <inheritdoc/>
    protected override IEnumerable<Segment> Render(RenderOptions options, int maxWidth)
    {
        // Redirected output has no escape sequences, whatever colours the terminal behind it would have.
        var coloured = options.Ansi && options.ColorSystem != ColorSystem.NoColors;
        // Few heads have a space between them.
        var step = _heads <= MostHeadsApart ? CellWidth + 1 : CellWidth;
        var headsPerBlock = Math.Clamp((maxWidth - _rowLabel) / step, 1, _heads);
        for (var first = 0; first < _heads; first += headsPerBlock)
        {
            var end = Math.Min(first + headsPerBlock, _heads);
            yield return new Segment(HeadLabels(first, end, step), Label);
            yield return Segment.LineBreak;
            for (var layer = 0; layer < _heatmap.Length; layer++)
            {
                yield return new Segment($"L{layer}".PadRight(_rowLabel), Label);
                for (var head = first; head < end; head++)
                {
                    var (text, style) = CellOf(_heatmap[layer][head], coloured);
                    yield return new Segment(text.PadRight(head < end - 1 ? step : CellWidth), style);
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

    // Numbers stand above their cells; where they would touch each other, every second one is left out.
    private string HeadLabels(int first, int end, int step)
    {
        var every = step == CellWidth ? 2 : 1;
        var labels = Enumerable.Range(first, end - first)
            .Where(head => (head - first) % every == 0)
            .Select(head => head.ToString(CultureInfo.InvariantCulture).PadRight(step * every));
        return "H".PadRight(_rowLabel) + string.Concat(labels).TrimEnd();
    }
}
