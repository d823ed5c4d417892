using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.Comparing;
using HeadPatching.Reports.Comparing;
using HeadPatching.Testing;

namespace HeadPatching.Reports.Tests.Comparing;

/// <summary>The files of a comparison: what programs read, and a page that asks for nothing.</summary>
public partial class ComparisonFilesTests
{
    [Fact]
    public async Task The_table_has_every_head_and_the_json_what_moved()
    {
        SweepComparison comparison = await CompareAsync(ExampleSweep.Of(3, 8, pairs: 10), ExampleSweep.From([.. ExampleSweep.Of(3, 8).Heatmap.Select(row => row.Select(effect => effect + 0.25).ToArray())], pairs: 10));
        string[] lines = Text(ComparisonFiles.Csv, comparison).TrimEnd().Split('\n');
        Assert.Equal("layer,head,name,position,role,effectA,effectB,difference,standardError,confidenceLow,confidenceHigh,jointLow,jointHigh,moved,estimated", lines[0]);
        Assert.Equal(25, lines.Length);
        Assert.All(lines, line => Assert.Equal(15, line.Split(',').Length));
        Assert.StartsWith("0,0,L0H0,,,", lines[1], StringComparison.Ordinal);

        using JsonDocument json = JsonDocument.Parse(Text(ComparisonFiles.Json, comparison));
        Assert.Equal("tokens", json.RootElement.GetProperty("matchedBy").GetString());
        Assert.Equal(24, json.RootElement.GetProperty("heads").GetArrayLength());
        Assert.Equal(comparison.Moved.Count, json.RootElement.GetProperty("moved").GetArrayLength());
        Assert.Equal(comparison.Summary, json.RootElement.GetProperty("summary").GetString());
        Assert.Equal(2, json.RootElement.GetProperty("heads")[0].GetProperty("jointInterval").GetArrayLength());
    }

    [Fact]
    public async Task The_pictures_are_of_the_differences()
    {
        SweepComparison comparison = await CompareAsync(ExampleSweep.Of(3, 8, pairs: 10), ExampleSweep.Of(3, 8, pairs: 10) with { Direction = Direction.Noise });
        using var png = new MemoryStream();
        ComparisonFiles.Png.Write(comparison, png);
        Assert.Equal([0x89, 0x50, 0x4e, 0x47], png.ToArray()[..4]);
        string svg = Text(ComparisonFiles.Svg, comparison);
        Assert.Contains("Difference of patching effects", svg, StringComparison.Ordinal);
        Assert.Contains("noise minus denoise", svg, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Layers_at_each_position_are_a_picture_of_layers_by_positions_and_heads_of_their_largest_place()
    {
        SweepResult one = ExampleSweep.OfLayers(4, eachPosition: true), other = one with { Heatmap = one.Heatmap };
        DifferenceTable layers = DifferenceTable.Of(await CompareAsync(one, other));
        Assert.Equal((HeatmapColumns.Positions, 15), (layers.Table.Columns, layers.Table.Width));
        Assert.Equal(("-15", "-1"), (layers.Table.LabelOf(0), layers.Table.LabelOf(14)));

        SweepComparison byPosition = await CompareAsync(ExampleSweep.Of(2, 3, eachPosition: true), ExampleSweep.Of(2, 3, eachPosition: true) with { Direction = Direction.Noise });
        DifferenceTable heads = DifferenceTable.Of(byPosition);
        Assert.Equal((HeatmapColumns.Heads, 3), (heads.Table.Columns, heads.Table.Width));
        Assert.Equal(byPosition.Heads.Where(head => head is { Layer: 1, Head: 2 }).Max(head => Math.Abs(head.Difference!.Value)), Math.Abs(heads.Table.Effects[1][2]));
    }

    [Fact]
    public async Task The_page_runs_no_script_but_its_own_and_loads_nothing()
    {
        const string Hostile = "</script><script>alert(1)</script>{{script}}";
        SweepResult hostile = ExampleSweep.Of(2, 2, pairs: 10);
        hostile = hostile with { Model = hostile.Model with { Name = Hostile }, Dataset = hostile.Dataset with { Name = Hostile }, SweepId = Hostile };
        string page = Text(ComparisonFiles.Page, await CompareAsync(ExampleSweep.Of(2, 2, pairs: 10), hostile));
        Assert.DoesNotContain("<script>alert", page, StringComparison.Ordinal);
        string script = Script().Matches(page)[^1].Groups[1].Value;
        Assert.Contains($"script-src 'sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(script)))}'", page, StringComparison.Ordinal);
        Assert.Empty(External().Matches(page));
    }

    [GeneratedRegex("<script>(.*?)</script>", RegexOptions.Singleline)]
    private static partial Regex Script();

    [GeneratedRegex("(src|href)=\"(?!data:,)|url\\((?!data:)|@import")]
    private static partial Regex External();

    private static Task<SweepComparison> CompareAsync(SweepResult a, SweepResult b) =>
        SweepComparer.CompareAsync(ComparedSweep.Of(a), ComparedSweep.Of(b), cancellationToken: TestContext.Current.CancellationToken);

    private static string Text(ComparisonFile file, SweepComparison comparison)
    {
        using var stream = new MemoryStream();
        file.Write(comparison, stream);
        return Encoding.UTF8.GetString(stream.ToArray());
    }
}
