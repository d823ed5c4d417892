using System.Buffers.Binary;
using System.Xml.Linq;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Reports;
using SkiaSharp;

namespace HeadPatching.Sweeps.Tests.Reports;

public sealed class HeatmapPictureTests
{
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    [Theory]
    [InlineData(1, 1)]
    [InlineData(3, 8)]
    [InlineData(12, 12)]
    [InlineData(48, 25)]
    public void The_png_is_a_png_and_grows_with_the_model(int layers, int heads)
    {
        var result = ExampleSweep.Of(layers, heads);
        var (width, height) = HeatmapPicture.SizeOf(result);

        var png = Png(result);

        Assert.Equal([0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A], png[..8]);
        Assert.Equal(width * HeatmapPicture.PngScale, BinaryPrimitives.ReadInt32BigEndian(png.AsSpan(16)));
        Assert.Equal(height * HeatmapPicture.PngScale, BinaryPrimitives.ReadInt32BigEndian(png.AsSpan(20)));
        // Room for the labels of 11 units' height that stand beside each cell.
        Assert.True(height >= layers * 17, $"{height} units for {layers} layers");
        Assert.True(width >= heads * 17, $"{width} units for {heads} heads");
    }

    [Fact]
    public void Layer_0_is_at_the_top_positive_is_red_negative_blue_and_0_white()
    {
        // Head 0 of layer 0 positive, the last head of the last layer negative.
        var heatmap = Enumerable.Range(0, 20).Select(_ => new double[20]).ToArray();
        heatmap[0][0] = 0.5;
        heatmap[19][19] = -0.5;

        using var picture = SKBitmap.Decode(Png(ExampleSweep.From(heatmap)));

        var reds = PlacesOf(picture, new SKColor(0x67, 0x00, 0x1f), width: 30);
        var blues = PlacesOf(picture, new SKColor(0x05, 0x30, 0x61), width: 30);
        var (red, blue) = (Assert.Single(reds), Assert.Single(blues));
        Assert.True(red.X < blue.X && red.Y < blue.Y, $"red at {red}, blue at {blue}");
        Assert.Equal(SKColors.White, picture.GetPixel((red.X + blue.X) / 2, (red.Y + blue.Y) / 2));
    }

    [Fact]
    public void The_svg_is_made_of_rectangles_and_text_that_names_model_data_set_and_patch()
    {
        var result = ExampleSweep.Of(48, 25) with { Model = ExampleSweep.Of(48, 25).Model with { Name = "a <model> & more" } };

        var document = ParseSvg(result);

        Assert.Equal(Svg + "svg", document.Root!.Name);
        Assert.Empty(document.Descendants(Svg + "image"));
        Assert.InRange(document.Descendants(Svg + "rect").Count(), 48 * 25, (48 * 25) + 300);
        var texts = document.Descendants(Svg + "text").Select(text => text.Value.Trim()).ToList();
        Assert.Single(texts, "Activation patching of z, head by head");
        Assert.Contains(texts, text => text.StartsWith("a <model> & more · ioi, 5 pairs", StringComparison.Ordinal));
        Assert.Contains("Head", texts);
        Assert.Contains("Layer", texts);
        Assert.Contains("Patching effect", texts);
        Assert.Contains("47", texts);
    }

    [Fact]
    public void Cells_have_their_values_where_there_is_room()
    {
        double[][] heatmap = [[0.876, -0.125], [0, -0.0001]];

        var texts = ParseSvg(ExampleSweep.From(heatmap)).Descendants(Svg + "text").Select(text => text.Value.Trim()).ToList();

        Assert.Contains("0.88", texts);
        Assert.Contains("-0.13", texts);
        Assert.Equal(2, texts.Count(text => text == "0.00"));
    }

    [Fact]
    public void Effects_that_are_all_0_give_a_white_picture_and_no_fault()
    {
        using var picture = SKBitmap.Decode(Png(ExampleSweep.From([[0, 0], [0, 0]])));

        Assert.True(picture.Width > 0);
    }

    [Fact]
    public void Long_names_are_shortened_and_stay_inside_the_picture()
    {
        var result = ExampleSweep.Of(3, 8) with { Dataset = new DatasetSummary(new string('n', 400) + ".jsonl", 5) };

        Assert.True(HeatmapPicture.SizeOf(result).Width < 1000);
    }

    [Fact]
    public void A_name_with_characters_that_xml_forbids_still_gives_an_svg()
    {
        var result = ExampleSweep.Of(3, 8) with { Dataset = new DatasetSummary("pairs\u0001\ud800\uffff.jsonl", 5) };

        Assert.NotNull(ParseSvg(result).Root);
    }

    private static byte[] Png(SweepResult result)
    {
        using var file = new MemoryStream();
        HeatmapPicture.WritePng(result, file);
        return file.ToArray();
    }

    private static XDocument ParseSvg(SweepResult result)
    {
        using var file = new MemoryStream();
        HeatmapPicture.WriteSvg(result, file);
        file.Position = 0;
        return XDocument.Load(file);
    }

    // Left upper corners of areas of one colour, at least so wide and high; the colour bar's ends are lower than that.
    private static List<(int X, int Y)> PlacesOf(SKBitmap picture, SKColor colour, int width)
    {
        var places = new List<(int X, int Y)>();
        for (var y = 0; y + width <= picture.Height; y++)
        {
            for (var x = 0; x + width <= picture.Width; x++)
            {
                if (picture.GetPixel(x, y) == colour
                    && picture.GetPixel(x + width - 1, y + width - 1) == colour
                    && !places.Exists(place => Math.Abs(place.X - x) < 2 * width && Math.Abs(place.Y - y) < 2 * width))
                {
                    places.Add((x, y));
                }
            }
        }

        return places;
    }
}
