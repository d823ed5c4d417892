using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Reports;

namespace HeadPatching.Sweeps.Tests.Reports;

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

    private static string Page(SweepResult result)
    {
        using var file = new MemoryStream();
        ReportPage.Write(result, file);
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

    [GeneratedRegex("role=\"gridcell\"[^>]* data-layer=\"(\\d+)\" data-head=\"(\\d+)\" data-effect=\"([^\"]+)\"")]
    private static partial Regex Cell();
}
