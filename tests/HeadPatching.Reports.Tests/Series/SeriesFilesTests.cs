using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.Series;
using HeadPatching.Reports.Series;
using HeadPatching.Testing;

namespace HeadPatching.Reports.Tests.Series;

/// <summary>The files of a sweep over several models.</summary>
public partial class SeriesFilesTests
{
    [Fact]
    public void Every_head_has_its_effect_in_each_model_and_those_ever_important_are_known()
    {
        SweepSeries series = SweepSeries.Of([("one", ExampleSweep.From([[0.5, 0.01], [0.02, 0.03]])), ("two", ExampleSweep.From([[0.02, 0.01], [0.02, -0.7]])), ("three", Another(ExampleSweep.From([[0.5, 0.01], [0.02, 0.03]])))]);
        Assert.Equal([0.5, 0.02, 0.5], series.Heads[0].Effects);
        Assert.Equal(["L0H0", "L1H1"], series.EverImportant.Select(head => head.Name));
        Assert.Equal(2, series.Heads[0].ImportantIn);
        Assert.Equal([null, "one", null], series.Models.Select(model => model.SameAs));
        using JsonDocument json = JsonDocument.Parse(Text(stream => SeriesFiles.Json.Write(series, stream)));
        Assert.Equal(3, json.RootElement.GetProperty("models").GetArrayLength());
        Assert.Equal(3, json.RootElement.GetProperty("heads")[3].GetProperty("effects").GetArrayLength());

        static SweepResult Another(SweepResult result) => result with { Model = result.Model with { Fingerprint = new string('1', 64) } };
    }

    [Fact]
    public void Models_of_other_shapes_are_no_series()
    {
        InvalidInputException refused = Assert.Throws<InvalidInputException>(() => SweepSeries.Of([("one", ExampleSweep.Of(2, 2)), ("two", ExampleSweep.Of(2, 3))]));
        Assert.StartsWith("two: It has 2 layers of 3, one 2 of 2", refused.Message, StringComparison.Ordinal);
        Assert.Throws<InvalidInputException>(() => SweepSeries.Of([]));
    }

    [Fact]
    public void The_page_shows_hostile_names_as_text_and_loads_nothing()
    {
        const string Hostile = "</script><script>alert(1)</script>{{script}}";
        string page = Text(stream => SeriesFiles.Page.Write(SweepSeries.Of([(Hostile, ExampleSweep.Of(2, 2)), ("two", ExampleSweep.OfLayers(2) with { Heads = ExampleSweep.Of(2, 2).Heads, Heatmap = ExampleSweep.Of(2, 2).Heatmap })]), stream));
        Assert.DoesNotContain("<script>alert", page, StringComparison.Ordinal);
        Assert.Empty(External().Matches(page));
    }

    [GeneratedRegex("(src|href)=\"(?!data:,)|url\\((?!data:)|@import")]
    private static partial Regex External();

    private static string Text(Action<Stream> write)
    {
        using var stream = new MemoryStream();
        write(stream);
        return Encoding.UTF8.GetString(stream.ToArray());
    }
}
