using HeadPatching.Cli.Terminal;
using HeadPatching.Sweeps.Tests.Reports;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace HeadPatching.Cli.Tests.Terminal;

public sealed class TerminalTests
{
    private const char Escape = '\u001b';

    [Fact]
    public void Each_shade_begins_just_above_its_threshold()
    {
        double[][] heatmap = [[0.9, 0.2, 0.1], [0.05, 0.02, 0]];

        var lines = Print(new TerminalHeatmap(heatmap), coloured: false);

        Assert.Equal("H  0  1  2", lines[0]);
        Assert.Equal("L0 ██ ▓▓ ▒▒", lines[1]);
        Assert.Equal("L1 ░░ ·· ··", lines[2]);
    }

    [Fact]
    public void Without_colour_a_minus_tells_negative_effects()
    {
        var lines = Print(new TerminalHeatmap([[-0.9, -0.15, 0.9, -0.001]]), coloured: false);

        Assert.Equal("L0 -█ -▓ ██ ··", lines[1]);
        Assert.Contains("negative: -█", lines[2], StringComparison.Ordinal);
        Assert.DoesNotContain(lines, line => line.Contains(Escape, StringComparison.Ordinal));
    }

    [Fact]
    public void With_colour_negative_effects_are_blue_and_positive_ones_red()
    {
        var row = Print(new TerminalHeatmap([[-0.9, 0.9]]), coloured: true)[1];

        Assert.Contains($"{Escape}[94m██", row, StringComparison.Ordinal);
        Assert.Contains($"{Escape}[91m██", row, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(3, 8)]
    [InlineData(12, 12)]
    [InlineData(48, 25)]
    [InlineData(80, 64)]
    public void Heatmap_and_table_fit_80_columns(int layers, int heads)
    {
        var result = ExampleSweep.Of(layers, heads, eachPosition: true);

        var heatmap = Print(new TerminalHeatmap(result.Heatmap), coloured: false);
        var table = Print(RankedTable.Of(result.Heads, 20), coloured: false);

        Assert.All(heatmap.Concat(table), line => Assert.True(line.Length <= 80, line));
        Assert.Equal(layers * heads, heatmap.Where(line => line.StartsWith('L')).Sum(CellsOf));
        Assert.Equal(20, table.Count(line => line.Contains(" L", StringComparison.Ordinal)));
    }

    [Fact]
    public void The_table_ranks_by_absolute_effect_and_its_bars_are_in_proportion()
    {
        var result = ExampleSweep.From([[0.4, -0.8, 0.2, 0.1]]);

        var rows = Print(RankedTable.Of(result.Heads, 3), coloured: false).Where(line => line.Contains("L0H", StringComparison.Ordinal)).ToList();

        Assert.Equal(3, rows.Count);
        Assert.Contains("L0H1   -0.800", rows[0], StringComparison.Ordinal);
        Assert.Contains("L0H0   +0.400", rows[1], StringComparison.Ordinal);
        Assert.Contains("L0H2   +0.200", rows[2], StringComparison.Ordinal);
        Assert.Equal(rows[0].Count(character => character == '█'), 2 * rows[1].Count(character => character == '█'));
    }

    [Fact]
    public void The_table_shows_the_interval_of_each_effect_and_a_dash_where_there_is_none()
    {
        var heads = ExampleSweep.From([[0.4, -0.8]]).Heads.Select(head => head.Head == 0 ? head with { ConfidenceInterval = null, StandardError = null } : head);

        var rows = Print(RankedTable.Of(heads, 2), coloured: false).Where(line => line.Contains("L0H", StringComparison.Ordinal)).ToList();

        Assert.Contains("-0.800    0.033   [-0.867, -0.733]", rows[0], StringComparison.Ordinal);
        Assert.Matches(@"\+0\.400 +- +- +0\.400", rows[1]);
    }

    [Fact]
    public void A_table_of_effects_that_are_all_0_has_no_bars()
    {
        var lines = Print(RankedTable.Of(ExampleSweep.From([[0, 0]]).Heads, 20), coloured: false);

        Assert.DoesNotContain(lines, line => line.Contains('█', StringComparison.Ordinal));
    }

    private static int CellsOf(string line)
    {
        var cells = line[line.IndexOf(' ', StringComparison.Ordinal)..].Replace(" ", "", StringComparison.Ordinal);
        return cells.Length / 2;
    }

    private static List<string> Print(IRenderable what, bool coloured)
    {
        using var text = new StringWriter();
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = coloured ? AnsiSupport.Yes : AnsiSupport.No,
            ColorSystem = coloured ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
            Out = new AnsiConsoleOutput(text),
        });
        console.Profile.Width = 80;
        console.Profile.Capabilities.Unicode = true;
        console.Write(what);
        return [.. text.ToString().ReplaceLineEndings("\n").Split('\n').Select(line => line.TrimEnd())];
    }
}
