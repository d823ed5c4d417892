using System.Text.RegularExpressions;
using HeadPatching.Cli.Terminal;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;
using HeadPatching.Reports;
using HeadPatching.Testing;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace HeadPatching.Cli.Tests.Terminal;

public sealed class TerminalTests
{
    private const char Escape = '\u001b';
    private const ColorSystemSupport NoColors = ColorSystemSupport.NoColors;

    [Fact]
    public void Each_shade_begins_just_above_its_threshold_and_has_its_number_beside_it_where_there_is_room()
    {
        double[][] heatmap = [[0.9, 0.2, 0.1], [0.05, 0.02, 0]];

        var lines = Print(Heatmap(ExampleSweep.From(heatmap)), NoColors);

        Assert.Equal("H  0     1     2", lines[0]);
        Assert.Equal("L0 █ .90 ▓ .20 ▒ .10", lines[1]);
        Assert.Equal("L1 ░ .05 ·     ·", lines[2]);
    }

    [Fact]
    public void Without_colour_a_minus_tells_negative_effects()
    {
        var few = Print(Heatmap(ExampleSweep.From([[-0.9, -0.15, 0.9, -0.001]])), NoColors);
        var many = Print(Heatmap(ExampleSweep.From([[.. Enumerable.Range(0, 32).Select(head => head == 3 ? -0.9 : head == 4 ? 0.3 : 0)]])), NoColors);

        Assert.Equal("L0 █-.90 ▓-.15 █ .90 ·", few[1]);
        Assert.Equal("L0 ······-███" + new string('·', 54), many[1]);
        Assert.Contains("negative: -█", many[2], StringComparison.Ordinal);
        Assert.DoesNotContain(few.Concat(many), line => line.Contains(Escape, StringComparison.Ordinal));
    }

    [Fact]
    public void With_sixteen_colours_negative_effects_are_blue_and_positive_ones_red()
    {
        var row = Print(Heatmap(ExampleSweep.From([[-0.9, 0.9]])), ColorSystemSupport.Standard)[1];

        Assert.Contains($"{Escape}[94m█-.90", row, StringComparison.Ordinal);
        Assert.Contains($"{Escape}[91m█ .90", row, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ColorSystemSupport.TrueColor, "48;2;103;0;31", "48;2;5;48;97", "48;2;255;255;255")]
    [InlineData(ColorSystemSupport.EightBit, "48;5;52", "48;5;23", "48;5;15")]
    public void With_more_colours_cells_are_filled_as_in_the_picture_with_a_number_that_can_be_read_on_them(ColorSystemSupport colours, string red, string blue, string white)
    {
        var row = Print(Heatmap(ExampleSweep.From([[-0.9, 0.9, 0.001, 0.09]])), colours)[1];

        Assert.Equal("L0 -0.90  0.90        0.09", Plain(row).TrimEnd());
        Assert.Contains(blue + "m-0.90", row, StringComparison.Ordinal);
        Assert.Contains(red + "m 0.90", row, StringComparison.Ordinal);
        Assert.Contains(white + "m      ", row, StringComparison.Ordinal);
        string light = colours == ColorSystemSupport.TrueColor ? "38;2;255;255;255" : "38;5;15", dark = colours == ColorSystemSupport.TrueColor ? "38;2;0;0;0" : "38;5;0";
        Assert.Matches($"{light}[^0]*{blue}m-0.90", row);
        Assert.Matches($@"{dark}[^m]*m( |{Escape}[^m]*m)*0\.09", row);
    }

    [Theory]
    [InlineData(12, 80, 6, "  0.12")]
    [InlineData(15, 80, 5, " .12 ")]
    [InlineData(16, 80, 4, " .12")]
    [InlineData(32, 80, 2, "  ")]
    [InlineData(64, 80, 1, " ")]
    [InlineData(32, 160, 4, " .12")]
    [InlineData(32, 200, 6, "  0.12")]
    public void Numbers_go_before_cells_become_narrower_and_every_head_stays_in_one_block(int heads, int width, int cell, string first)
    {
        var layer = Enumerable.Repeat(0.12, heads).ToArray();

        var rows = Print(Heatmap(ExampleSweep.From([.. Enumerable.Repeat(layer, 32)])), ColorSystemSupport.TrueColor, width).Where(line => Plain(line).StartsWith('L')).ToList();

        Assert.Equal(32, rows.Count);
        Assert.All(rows, row => Assert.Equal(4 + (heads * cell), Plain(row).Length));
        Assert.All(rows, row => Assert.Equal(first.Trim(), Plain(row)[4..(4 + cell)].Trim()));
    }

    [Theory]
    [InlineData(1.5, " 1.50", " 1.5")]
    [InlineData(-1.5, "-1.50", "-1.5")]
    [InlineData(12.34, " 12.3", "  12")]
    [InlineData(-12.34, "-12.3", " -12")]
    [InlineData(1234.5, " 1235", " 1e3")]
    [InlineData(-1e20, "-1e20", "-…")]
    public void Large_effects_lose_digits_and_never_touch_their_neighbours(double effect, string wide, string narrow)
    {
        var few = Print(Heatmap(ExampleSweep.From([[effect, effect]])), ColorSystemSupport.TrueColor)[1];
        var many = Print(Heatmap(ExampleSweep.From([[.. Enumerable.Repeat(effect, 19)]])), ColorSystemSupport.TrueColor)[1];

        Assert.Equal($"L0 {wide} {wide}", Plain(few).TrimEnd());
        Assert.Equal($"L0 {string.Concat(Enumerable.Repeat(narrow.PadLeft(4), 19))}", Plain(many));
    }

    [Theory]
    [InlineData(3, 8)]
    [InlineData(12, 12)]
    [InlineData(48, 25)]
    [InlineData(80, 64)]
    public void Heatmap_and_table_fit_80_columns(int layers, int heads)
    {
        var result = ExampleSweep.Of(layers, heads, eachPosition: true);

        var heatmap = Print(Heatmap(result), NoColors);
        var table = Print(RankedTable.Of(result.Heads, 20, threshold: 0.1), NoColors);

        Assert.All(heatmap.Concat(table), line => Assert.True(line.Length <= 80, line));
        Assert.Equal(layers * heads, heatmap.Where(line => line.StartsWith('L')).Sum(CellsOf));
        Assert.Equal(20, table.Count(line => line.Contains(" L", StringComparison.Ordinal)));
    }

    [Fact]
    public void Layers_at_each_position_have_a_column_a_position()
    {
        var lines = Print(Heatmap(ExampleSweep.From([[0.5], [-1]], eachPosition: true) with { Patch = Patch.ResidPre }), NoColors);

        Assert.Equal("P  0  1  2  3  4  5  6  7  8  9  10 11 12 13 14", lines[0]);
        Assert.Equal("L0                               -▓ ·· ·· ·· ██", lines[1]);
        Assert.Equal("L1                               ██ ·· ·· ·· -█", lines[2]);
    }

    [Fact]
    public void Cells_where_nothing_can_be_are_blank_as_in_the_picture_and_not_0()
    {
        // The prompts differ from position 10 on, and in the last layer only the end is looked at.
        HeatmapTable table = HeatmapTable.Of(ExampleSweep.From([[0.5], [0.5]], eachPosition: true) with { Patch = Patch.AttnOut });

        List<string> plain = Print(new TerminalHeatmap(table), NoColors), filled = Print(new TerminalHeatmap(table), ColorSystemSupport.TrueColor);

        Assert.Equal("L0                               -▓ ·· ·· ·· ██", plain[1]);
        Assert.Equal("L1                               -▓          ██", plain[2]);
        Assert.Equal("empty: nothing can be", plain[4]);
        Assert.All(plain, line => Assert.True(line.Length <= 80, line));
        const string Grey = "48;2;217;220;216", White = "48;2;255;255;255";
        Assert.Equal((10, 3, 13, 0), (Cells(filled[1], Grey), Cells(filled[1], White), Cells(filled[2], Grey), Cells(filled[2], White)));
        Assert.Contains(Grey, filled[4], StringComparison.Ordinal);
        Assert.EndsWith("grey: nothing can be", Plain(filled[4]), StringComparison.Ordinal);
        Assert.DoesNotContain(Print(Heatmap(ExampleSweep.From([[0, 0.5]])), NoColors), line => line.Contains("nothing can be", StringComparison.Ordinal));

        static int Cells(string line, string colour) => Regex.Matches(line, $@"{colour}m( +)").Sum(match => match.Groups[1].Length) / 5;
    }

    [Fact]
    public void Layers_as_a_whole_are_a_column_without_a_number_and_a_table_of_layers()
    {
        var result = ExampleSweep.OfLayers(12, Patch.MlpOut);

        var lines = Print(Heatmap(result), NoColors);
        var table = Print(RankedTable.Of(result.Heads, 3, threshold: 0.1), NoColors);

        Assert.Matches(@"^L0  ▒ \.\d\d$", lines[0]);
        Assert.Matches(@"^L11 █ 1\.0$", lines[11]);
        Assert.Contains(table, line => line.Contains(" layer ", StringComparison.Ordinal));
        Assert.Contains(table, line => line.Contains(" L11 ", StringComparison.Ordinal));
    }

    [Fact]
    public void Key_value_heads_have_their_own_letters()
    {
        var lines = Print(Heatmap(ExampleSweep.OfKeyValueHeads(3, 2)), NoColors);

        Assert.Equal("KV 0     1", lines[0]);
        Assert.Matches(@"^L0 .( *[-. \d]{4}|·) .*$", lines[1]);
    }

    [Theory]
    [InlineData(300)]
    [InlineData(2000)]
    public void The_numbers_of_many_positions_stand_apart_and_over_their_columns(int positions)
    {
        var result = ExampleSweep.OfLayers(2, eachPosition: true);
        double[] atPosition = [.. Enumerable.Range(0, positions).Select(position => position == positions - 2 ? 0.9 : 0)];
        result = result with { HeatmapByPosition = [.. Enumerable.Range(0, 2).Select(_ => atPosition.Select(effect => (double[])[effect]).ToArray())] };

        var lines = Print(Heatmap(result), NoColors);

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

        var table = Print(RankedTable.Of(result.Heads, 4, threshold: 0.1), NoColors);
        var rows = table.Where(line => line.Contains(" L", StringComparison.Ordinal)).ToList();

        Assert.All(table, line => Assert.True(line.Length <= 80, line));
        Assert.All(rows.Take(2), row => Assert.DoesNotContain("~", row, StringComparison.Ordinal));
        Assert.All(rows.Skip(2), row => Assert.Matches(@" ~[+-]0\.", row));
        Assert.Contains(table, line => line == "~ estimated from one gradient, not run");
        Assert.DoesNotContain(Print(RankedTable.Of(ExampleSweep.Of(3, 8).Heads, 4, threshold: 0.1), NoColors), line => line.Contains('~', StringComparison.Ordinal));
    }

    [Fact]
    public void The_table_ranks_by_absolute_effect_and_its_bars_are_in_proportion()
    {
        var result = ExampleSweep.From([[0.4, -0.8, 0.2, 0.1]]);

        var rows = Print(RankedTable.Of(result.Heads, 3, threshold: 0.1), NoColors).Where(line => line.Contains("L0H", StringComparison.Ordinal)).ToList();

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

        var rows = Print(RankedTable.Of(heads, 2, threshold: 0.1), NoColors).Where(line => line.Contains("L0H", StringComparison.Ordinal)).ToList();

        Assert.Contains("-0.800    0.033   [-0.867, -0.733]", rows[0], StringComparison.Ordinal);
        Assert.Matches(@"\+0\.400 +- +- +0\.400", rows[1]);
    }

    [Fact]
    public void A_table_of_effects_that_are_all_0_has_no_bars()
    {
        var lines = Print(RankedTable.Of(ExampleSweep.From([[0, 0]]).Heads, 20, threshold: 0.1), NoColors);

        Assert.DoesNotContain(lines, line => line.Contains('█', StringComparison.Ordinal));
    }

    [Fact]
    public void What_may_be_0_with_all_heads_taken_together_is_grey_and_the_others_say_how_much_is_sure()
    {
        IReadOnlyList<HeadResult> heads = Together((0.4, 0.15), (-0.8, 0.9), (0.2, 0.05), (0.11, 0.005));

        var rows = Print(RankedTable.Of(heads, 4, threshold: 0.1), ColorSystemSupport.EightBit).Where(line => line.Contains("L0H", StringComparison.Ordinal)).ToList();

        Assert.Equal(["L0H1", "L0H0", "L0H2", "L0H3"], rows.Select(row => Regex.Match(row, "L0H.").Value));
        const string Grey = "\u001b[38;5;8m";
        Assert.Equal([true, false, false, false], rows.Select(row => row.Contains(Grey, StringComparison.Ordinal)));
        Assert.Equal(["", ">0.1", ">0.1", ">0.1"], rows.Select(row => Regex.Match(Plain(row), ">0.1|≠0").Value));
        Assert.Equal(["", "≠0", "≠0", "≠0"], Print(RankedTable.Of(heads, 4, threshold: 0.3), NoColors).Where(line => line.Contains("L0H", StringComparison.Ordinal)).Select(row => Regex.Match(row, ">0.3|≠0").Value).Order());
    }

    [Fact]
    public void By_what_is_sure_a_large_effect_that_may_be_0_comes_after_smaller_ones_that_may_not()
    {
        IReadOnlyList<HeadResult> heads = Together((0.4, 0.15), (-0.8, 0.9), (-0.3, 0.01), (0.11, 0.5));

        var lines = Print(RankedTable.Of(heads, 4, threshold: 0.1, Ranking.Sure), NoColors);

        Assert.Equal(["L0H2", "L0H0", "L0H1", "L0H3"], lines.Select(row => Regex.Match(row, "L0H.").Value).Where(name => name.Length > 0));
        Assert.All(lines, line => Assert.True(line.Length <= 80, line));
        // The bars are still in proportion to the largest effect, wherever it stands.
        Assert.Equal(10, lines.Single(line => line.Contains("L0H1", StringComparison.Ordinal)).Count(character => character == '█'));
    }

    /// <summary>Heads with these effects, whose intervals for all of them together are so far from them.</summary>
    private static IReadOnlyList<HeadResult> Together(params (double Effect, double Half)[] heads) =>
    [
        .. ExampleSweep.From([[.. heads.Select(head => head.Effect)]]).Heads.Zip(heads, (head, of) => head with
        {
            JointInterval = new ConfidenceInterval(of.Effect - of.Half, of.Effect + of.Half),
            ExcludesZero = Math.Abs(of.Effect) > of.Half,
            ExcludesThreshold = Math.Abs(of.Effect) - of.Half > 0.1,
        }),
    ];

    private static TerminalHeatmap Heatmap(SweepResult result) => new(HeatmapTable.Of(result));

    /// <summary>A cell is two characters, or where it has room for them a block and a number, or a dot.</summary>
    private static int CellsOf(string line)
    {
        string cells = line[line.IndexOf(' ', StringComparison.Ordinal)..].Trim();
        return cells.Contains('.', StringComparison.Ordinal) || cells.Contains("·  ", StringComparison.Ordinal)
            ? Regex.Count(cells, "[█▓▒░·]")
            : cells.Replace(" ", "", StringComparison.Ordinal).Length / 2;
    }

    private static string Plain(string line) => Regex.Replace(line, @"\u001b\[[0-9;]*m", "");

    private static List<string> Print(IRenderable what, ColorSystemSupport colours, int width = 80)
    {
        using var text = new StringWriter();
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = colours == NoColors ? AnsiSupport.No : AnsiSupport.Yes,
            ColorSystem = colours,
            Out = new AnsiConsoleOutput(text),
        });
        console.Profile.Width = width;
        console.Profile.Capabilities.Unicode = true;
        console.Write(what);
        return [.. text.ToString().ReplaceLineEndings("\n").Split('\n').Select(line => line.TrimEnd())];
    }
}
