using HeadPatching.Cli.Terminal;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results;
using HeadPatching.Reports;
using HeadPatching.Testing;
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

        var lines = Print(Heatmap(ExampleSweep.From(heatmap)), coloured: false);

        Assert.Equal("H  0  1  2", lines[0]);
        Assert.Equal("L0 ██ ▓▓ ▒▒", lines[1]);
        Assert.Equal("L1 ░░ ·· ··", lines[2]);
    }

    [Fact]
    public void Without_colour_a_minus_tells_negative_effects()
    {
        var lines = Print(Heatmap(ExampleSweep.From([[-0.9, -0.15, 0.9, -0.001]])), coloured: false);

        Assert.Equal("L0 -█ -▓ ██ ··", lines[1]);
        Assert.Contains("negative: -█", lines[2], StringComparison.Ordinal);
        Assert.DoesNotContain(lines, line => line.Contains(Escape, StringComparison.Ordinal));
    }

    [Fact]
    public void With_colour_negative_effects_are_blue_and_positive_ones_red()
    {
        var row = Print(Heatmap(ExampleSweep.From([[-0.9, 0.9]])), coloured: true)[1];

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

        var heatmap = Print(Heatmap(result), coloured: false);
        var table = Print(RankedTable.Of(result.Heads, 20), coloured: false);

        Assert.All(heatmap.Concat(table), line => Assert.True(line.Length <= 80, line));
        Assert.Equal(layers * heads, heatmap.Where(line => line.StartsWith('L')).Sum(CellsOf));
        Assert.Equal(20, table.Count(line => line.Contains(" L", StringComparison.Ordinal)));
    }

    [Fact]
    public void Layers_at_each_position_have_a_column_a_position()
    {
        var lines = Print(Heatmap(ExampleSweep.From([[0.5], [-1]], eachPosition: true) with { Patch = Patch.ResidPre }), coloured: false);

        Assert.Equal("P  0  1  2  3  4  5  6  7  8  9  10 11 12 13 14", lines[0]);
        Assert.Equal("L0 ·· ·· ·· ·· ·· ·· ·· ·· ·· ·· -▓ ·· ·· ·· ██", lines[1]);
        Assert.Equal("L1 ·· ·· ·· ·· ·· ·· ·· ·· ·· ·· ██ ·· ·· ·· -█", lines[2]);
    }

    [Fact]
    public void Layers_as_a_whole_are_a_column_without_a_number_and_a_table_of_layers()
    {
        var result = ExampleSweep.OfLayers(12, Patch.MlpOut);

        var lines = Print(Heatmap(result), coloured: false);
        var table = Print(RankedTable.Of(result.Heads, 3), coloured: false);

        Assert.Equal("L0  ▒▒", lines[0]);
        Assert.Equal("L11 ██", lines[11]);
        Assert.Contains(table, line => line.Contains(" layer ", StringComparison.Ordinal));
        Assert.Contains(table, line => line.Contains(" L11 ", StringComparison.Ordinal));
    }

    [Fact]
    public void Key_value_heads_have_their_own_letters()
    {
        var lines = Print(Heatmap(ExampleSweep.OfKeyValueHeads(3, 2)), coloured: false);

        Assert.Equal("KV 0  1", lines[0]);
        Assert.Matches("^L0 .. ..$", lines[1]);
    }

    [Theory]
    [InlineData(300)]
    [InlineData(2000)]
    public void The_numbers_of_many_positions_stand_apart_and_over_their_columns(int positions)
    {
        var result = ExampleSweep.OfLayers(2, eachPosition: true);
        double[] atPosition = [.. Enumerable.Range(0, positions).Select(position => position == positions - 2 ? 0.9 : 0)];
        result = result with { HeatmapByPosition = [.. Enumerable.Range(0, 2).Select(_ => atPosition.Select(effect => (double[])[effect]).ToArray())] };

        var lines = Print(Heatmap(result), coloured: false);

        Assert.All(lines, line => Assert.True(line.Length <= 80, line));
        var numbers = lines.Where(line => line.StartsWith('P')).SelectMany(line => line[1..].Split(' ', StringSplitOptions.RemoveEmptyEntries)).Select(int.Parse).ToList();
        Assert.All(numbers, number => Assert.InRange(number, 0, positions - 1));
        Assert.Equal(numbers.Order(), numbers);
        // The one strong position is under the number that names it, or as many columns right of it as positions.
        var block = lines.FindIndex(line => line.Contains('█', StringComparison.Ordinal));
        var place = lines[block].IndexOf('█', StringComparison.Ordinal);
        var start = lines[block - 1].LastIndexOf(' ', place) + 1;
        var named = int.Parse(lines[block - 1][start..].Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture);
        Assert.Equal(positions - 2, named + ((place - start) / 2));
    }

    [Fact]
    public void Estimated_effects_have_a_tilde_and_a_note_says_what_it_means()
    {
        var result = ExampleSweep.Screened(3, 8, run: 2);

        var table = Print(RankedTable.Of(result.Heads, 4), coloured: false);
        var rows = table.Where(line => line.Contains(" L", StringComparison.Ordinal)).ToList();

        Assert.All(table, line => Assert.True(line.Length <= 80, line));
        Assert.All(rows.Take(2), row => Assert.DoesNotContain("~", row, StringComparison.Ordinal));
        Assert.All(rows.Skip(2), row => Assert.Matches(@" ~[+-]0\.", row));
        Assert.Contains(table, line => line == "~ estimated from one gradient, not run");
        Assert.DoesNotContain(Print(RankedTable.Of(ExampleSweep.Of(3, 8).Heads, 4), coloured: false), line => line.Contains('~', StringComparison.Ordinal));
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

    private static TerminalHeatmap Heatmap(SweepResult result) => new(HeatmapTable.Of(result));

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
