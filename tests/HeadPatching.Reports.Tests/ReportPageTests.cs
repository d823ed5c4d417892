using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Patterns;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Testing;

namespace HeadPatching.Reports.Tests;

public sealed partial class ReportPageTests
{
    private const string Hostile = "</script><script>alert('{{script}}')</script><!--<script><img src=x onerror=alert(1)>\u2028&quot;\"";

    [Theory]
    [InlineData(3, 8)]
    [InlineData(48, 25)]
    public void The_heatmap_has_a_cell_for_every_head_with_the_result_s_own_effect(int layers, int heads)
    {
        var result = ExampleSweep.Of(layers, heads);

        var cells = Cell().Matches(Page(result));

        Assert.Equal(layers * heads, cells.Count);
        foreach (Match cell in cells)
        {
            var layer = int.Parse(cell.Groups[1].Value, CultureInfo.InvariantCulture);
            var head = int.Parse(cell.Groups[2].Value, CultureInfo.InvariantCulture);
            Assert.Equal(result.Heatmap[layer][head], double.Parse(cell.Groups[3].Value, CultureInfo.InvariantCulture));
        }
    }

    [Fact]
    public void Layers_at_each_position_have_a_cell_for_every_layer_and_position()
    {
        var result = ExampleSweep.OfLayers(6, eachPosition: true);

        var page = Page(result);

        var cells = Cell().Matches(page);
        Assert.Equal(6 * 15, cells.Count);
        foreach (Match cell in cells)
        {
            var layer = int.Parse(cell.Groups[1].Value, CultureInfo.InvariantCulture);
            var position = int.Parse(cell.Groups[2].Value, CultureInfo.InvariantCulture);
            Assert.Equal(result.HeatmapByPosition![layer][position][0], double.Parse(cell.Groups[3].Value, CultureInfo.InvariantCulture));
        }

        Assert.Contains(">Patching effect of each layer at each position<", page, StringComparison.Ordinal);
        Assert.Contains("aria-label=\"L5, position 14, effect 1\"", page, StringComparison.Ordinal);
    }

    [Fact]
    public void More_positions_than_a_page_can_hold_are_left_to_the_choice_of_one()
    {
        var result = ExampleSweep.OfLayers(6, eachPosition: true);
        result = result with
        {
            HeatmapByPosition = [.. result.HeatmapByPosition!.Select(layer => Enumerable.Range(0, 4000).Select(position => layer[position % 15]).ToArray())],
        };

        var page = Page(result);

        Assert.Equal(6, Cell().Count(page));
        Assert.Equal(4000, DataOf(page).GetProperty("result").GetProperty("heatmapByPosition")[0].GetArrayLength());
    }

    [Fact]
    public void Key_value_heads_and_layers_are_called_what_they_are()
    {
        var keys = Page(ExampleSweep.OfKeyValueHeads(12, 4));
        Assert.Contains(">Key/value head</div>", keys, StringComparison.Ordinal);
        Assert.Contains("aria-label=\"L11KV3, effect", keys, StringComparison.Ordinal);
        Assert.Equal(12 * 4, Cell().Count(keys));

        var layers = Page(ExampleSweep.OfLayers(12, Patch.AttnOut));
        Assert.Contains(">Ranked layers<", layers, StringComparison.Ordinal);
        Assert.Contains("<th scope=\"col\">Layer</th>", layers, StringComparison.Ordinal);
        Assert.DoesNotContain("aria-label=\"Head", layers, StringComparison.Ordinal);
        Assert.Equal(12, Cell().Count(layers));
    }

    [Fact]
    public void The_page_names_no_address_that_a_browser_would_ask_for()
    {
        var page = Page(ExampleSweep.Of(3, 8));

        Assert.DoesNotMatch("https?://", page);
        Assert.DoesNotMatch("(src|href)=\"(?!data:)", page);
        Assert.DoesNotMatch(@"url\(|@import", page);
        Assert.Contains("default-src 'none'", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Texts_of_prompts_and_names_cannot_break_out_of_their_place()
    {
        var result = ExampleSweep.Of(2, 2);
        result = result with
        {
            SweepId = Hostile,
            Model = result.Model with { Name = Hostile },
            Dataset = result.Dataset with { Name = Hostile },
            Warnings = [Hostile],
            Pairs = [.. result.Pairs.Select(pair => pair with { CleanTokenTexts = [Hostile, .. pair.CleanTokenTexts!.Skip(1)], CorrectText = Hostile })],
        };

        var page = Page(result);

        // The data block and the page's own script.
        Assert.Equal(2, Regex.Count(page, "<script"));
        Assert.Equal(2, Regex.Count(page, "</script"));
        Assert.DoesNotContain("<img", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<!--", page, StringComparison.Ordinal);
        // And yet nothing is lost.
        var data = DataOf(page).GetProperty("result");
        Assert.Equal(Hostile, data.GetProperty("model").GetProperty("name").GetString());
        Assert.Equal(Hostile, data.GetProperty("pairs")[0].GetProperty("cleanTokenTexts")[0].GetString());
    }

    [Fact]
    public void Only_the_page_s_own_script_may_run()
    {
        var page = Page(ExampleSweep.Of(2, 2));
        var script = page[(page.LastIndexOf("<script>", StringComparison.Ordinal) + "<script>".Length)..page.LastIndexOf("</script>", StringComparison.Ordinal)];

        var hash = Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(script)));

        Assert.Contains($"script-src 'sha256-{hash}'", page, StringComparison.Ordinal);
        Assert.DoesNotMatch(@"\son[a-z]+=", page);
    }

    [Fact]
    public void A_large_sweep_is_cut_to_what_a_page_can_hold_and_says_so()
    {
        var result = ExampleSweep.Of(48, 25, pairs: 1000);

        var page = Page(result);

        var data = DataOf(page);
        Assert.Equal(ReportPage.MostPairs, data.GetProperty("result").GetProperty("pairs").GetArrayLength());
        Assert.Equal(1000, data.GetProperty("result").GetProperty("dataset").GetProperty("pairs").GetInt32());
        Assert.Contains("The first 200 of 1000 pairs", data.GetProperty("notes")[0].GetString(), StringComparison.Ordinal);
        Assert.InRange(page.Length, 0, 15_000_000);
    }

    [Fact]
    public void Effects_by_position_that_are_too_many_are_left_out_of_the_pairs_that_have_no_room_for_them()
    {
        // 12 x 12 heads x 15 positions, effect and metric: 4,320 numbers a pair.
        var result = ExampleSweep.Of(12, 12, pairs: 150, eachPosition: true);

        var data = DataOf(Page(result));

        Assert.True(data.GetProperty("result").TryGetProperty("heatmapByPosition", out _));
        var pairs = data.GetProperty("result").GetProperty("pairs").EnumerateArray().ToList();
        Assert.Equal(150, pairs.Count);
        Assert.True(pairs[0].TryGetProperty("patchingEffectByPosition", out _));
        Assert.False(pairs[149].TryGetProperty("patchingEffectByPosition", out _));
        Assert.Contains("the first 115 pairs", data.GetProperty("notes")[0].GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Patterns_are_in_the_page_as_thousandths_of_what_is_seen_and_in_words()
    {
        var result = ExampleSweep.Of(3, 8);
        double[][] pattern = [.. Enumerable.Range(0, 15).Select(query => Enumerable.Range(0, 15).Select(key => key == Math.Min(query, 10) ? 0.71234 : 0).ToArray())];
        var pair = new TokenPair(0, result.Pairs[0].CleanTokens, result.Pairs[0].CorruptedTokens, TokenAnswers.Of(2), TokenAnswers.Of(4));

        var patterns = DataOf(Page(result, [new PairPatterns(pair, [new HeadPattern(2, 6, pattern, pattern)])])).GetProperty("patterns");

        var head = Assert.Single(Assert.Single(patterns.EnumerateArray()).GetProperty("heads").EnumerateArray());
        Assert.Equal("L2H6", head.GetProperty("name").GetString());
        Assert.Equal(
            "from ' to' it looks at ' John' at position 10 (0.71) in the clean run and at ' Mary' at position 10 (0.71) in the corrupted", head.GetProperty("words").GetString());
        Assert.Equal([.. Enumerable.Range(1, 15)], head.GetProperty("clean").EnumerateArray().Select(row => row.GetArrayLength()));
        Assert.Equal(712, head.GetProperty("corrupted")[14][10].GetInt32());
        Assert.Empty(DataOf(Page(result)).GetProperty("patterns").EnumerateArray());
    }

    [Fact]
    public void The_scale_is_that_of_the_pictures_for_all_pairs_and_never_too_fine()
    {
        Assert.Equal(0.1, DataOf(Page(ExampleSweep.From([[0.001, -0.002]]))).GetProperty("limit").GetDouble());
        var result = ExampleSweep.Of(12, 12, pairs: 9);
        Assert.Equal(result.Heatmap.SelectMany(layer => layer).Max(Math.Abs), DataOf(Page(result)).GetProperty("limit").GetDouble());
    }

    private static string Page(SweepResult result, IReadOnlyList<PairPatterns>? patterns = null)
    {
        using var file = new MemoryStream();
        ReportPage.Write(result, file, patterns);
        return Encoding.UTF8.GetString(file.ToArray());
    }

    private static JsonElement DataOf(string page)
    {
        const string Start = "<script type=\"application/json\" id=\"data\">";
        var start = page.IndexOf(Start, StringComparison.Ordinal) + Start.Length;
        var end = page.IndexOf("</script>", start, StringComparison.Ordinal);
        using var document = JsonDocument.Parse(page[start..end]);
        return document.RootElement.Clone();
    }

    [GeneratedRegex("role=\"gridcell\"[^>]* data-layer=\"(\\d+)\" data-column=\"(\\d+)\" data-effect=\"([^\"]+)\"")]
    private static partial Regex Cell();
}
