using System.Buffers.Binary;
using System.Xml.Linq;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Results;
using HeadPatching.Testing;
using SkiaSharp;

namespace HeadPatching.Reports.Tests;

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
    public void Layers_patched_at_each_position_are_shown_as_layers_by_positions()
    {
        var texts = Texts(ExampleSweep.OfLayers(3, Patch.ResidPre, eachPosition: true));

        Assert.Contains("Activation patching of resid_pre, layer by layer", texts);
        Assert.Contains("Position", texts);
        Assert.DoesNotContain("Head", texts);
        Assert.Contains("to 14", texts);
        Assert.Contains("John/Mary 10", texts);
        Assert.DoesNotContain(texts, text => text.Contains("strongest", StringComparison.Ordinal));
    }

    [Fact]
    public void Heads_patched_at_each_position_are_shown_as_the_strongest_heads_by_positions_with_their_tokens()
    {
        var result = ExampleSweep.Of(12, 12, eachPosition: true);

        var texts = Texts(result);

        string[] strongest = [.. result.Heads.OrderByDescending(head => Math.Abs(head.PatchingEffect)).Take(HeatmapTable.MostHeadsByPosition).Select(head => head.Name)];
        Assert.Equal(strongest, texts.Where(text => text.StartsWith('L') && text.Contains('H', StringComparison.Ordinal)));
        Assert.Contains("Position", texts);
        Assert.Contains("Head", texts);
        Assert.DoesNotContain("Layer", texts);
        Assert.Contains("John/Mary 10", texts);
        Assert.Contains("<|endoftext|> 0", texts);
        Assert.Contains(texts, text => text.EndsWith("· each position, tokens of pair 0, grey: nothing can be", StringComparison.Ordinal));
        Assert.Equal(12, HeatmapTable.Of(result).Effects.Length); // heatmap.csv is layers by heads, as it was
    }

    [Fact]
    public void Cells_where_nothing_can_be_are_grey_and_those_of_no_effect_white()
    {
        // Layers at each position: the prompts differ from position 10 on, and in the last layer only the end is looked at.
        var result = ExampleSweep.OfLayers(3, Patch.AttnOut, eachPosition: true);
        var table = HeatmapTable.ForPicture(result);
        Assert.Equal(
            [.. Enumerable.Range(0, 15).Select(position => position < 10), .. Enumerable.Range(0, 15).Select(position => position < 10), .. Enumerable.Range(0, 15).Select(position => position is < 10 or > 10 and < 14)],
            Enumerable.Range(0, 3).SelectMany(layer => Enumerable.Range(0, 15).Select(position => table.IsBlank(layer, position))));

        var fills = ParseSvg(result).Descendants(Svg + "rect").Select(rectangle => rectangle.Attribute("fill")?.Value).ToList();
        Assert.Equal((10 * 3) + 3, fills.Count(fill => fill == "#D9DCD8"));
    }

    [Fact]
    public void An_ablation_and_layers_before_a_receiver_are_never_blank()
    {
        var ablated = ExampleSweep.OfLayers(3, Patch.ResidPre, eachPosition: true) with { Ablation = Ablation.Zero };
        Assert.False(HeatmapTable.ForPicture(ablated).HasBlanks());

        double[][] effects = [[0.2, 0], [0, 0], [0, 0]];
        var paths = HeatmapTable.ForPicture(ExampleSweep.From(effects) with { Receivers = [Receiver.Of(2, 0, ReceiverInput.Q)], FreezeMlps = true });
        Assert.Equal([false, false, true], Enumerable.Range(0, 3).Select(layer => paths.IsBlank(layer, 1)));
    }

    [Fact]
    public void Tokens_that_cannot_be_drawn_are_no_harm_to_the_picture()
    {
        var result = ExampleSweep.OfLayers(2, eachPosition: true);
        result = result with
        {
            Pairs = [result.Pairs[0] with { CleanTokenTexts = [.. result.Pairs[0].CleanTokenTexts!.Select((text, at) => at == 0 ? "\u0001<&\ud83d\ude00" + new string('x', 5000) : text)] }],
        };

        Assert.Contains(Texts(result), text => text.StartsWith("?<&??", StringComparison.Ordinal) && text.Length < 40);
        Assert.InRange(HeatmapPicture.SizeOf(result).Height, 200, 500);
    }

    [Fact]
    public void Layers_patched_at_each_position_of_pairs_of_several_lengths_show_the_strongest_of_each_layer()
    {
        var texts = Texts(ExampleSweep.OfLayers(3, eachPosition: true) with { HeatmapByPosition = null });

        Assert.DoesNotContain("Position", texts);
        Assert.Contains(texts, text => text.EndsWith("each position, the strongest shown", StringComparison.Ordinal));
    }

    [Fact]
    public void Layers_patched_at_each_role_are_shown_as_layers_by_roles()
    {
        var result = ExampleSweep.OfLayers(3, Patch.ResidPre, eachPosition: true);
        string[] names = ["IO", "S1", "S1+1", "S2", "a_role_with_a_name_of_32_letters"];
        var texts = Texts(result with
        {
            Positions = Positions.EachRole,
            HeatmapByPosition = null,
            HeatmapByRole = [.. result.HeatmapByPosition!.Select(layer => layer[..5])],
            Roles = [.. names.Select(name => new RoleSummary(name, 5))],
        });

        Assert.Contains("Role", texts);
        Assert.All(names, name => Assert.Contains(name, texts));
        Assert.DoesNotContain(texts, text => text.Contains("strongest", StringComparison.Ordinal));
        Assert.Contains(texts, text => text.EndsWith("· each role", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(3)]
    [InlineData(12)]
    [InlineData(48)]
    public void Layers_as_a_whole_are_one_column_with_values_and_no_axis(int layers)
    {
        var result = ExampleSweep.OfLayers(layers, Patch.AttnOut);

        var texts = Texts(result);

        Assert.DoesNotContain(texts, text => text is "Head" or "Position");
        Assert.Contains("Layer", texts);
        Assert.Contains("1.00", texts);
        Assert.InRange(HeatmapPicture.SizeOf(result).Width, 300, 500);
    }

    [Fact]
    public void Key_value_heads_are_named_as_such()
    {
        Assert.Contains("Key/value head", Texts(ExampleSweep.OfKeyValueHeads(12, 4)));
    }

    [Fact]
    public void A_prompt_of_thousands_of_tokens_gives_narrow_columns_and_not_a_picture_that_no_viewer_opens()
    {
        var result = ExampleSweep.OfLayers(4, eachPosition: true);
        result = result with
        {
            HeatmapByPosition = [.. result.HeatmapByPosition!.Select(layer => Enumerable.Range(0, 4000).Select(position => layer[position % 15]).ToArray())],
        };

        Assert.InRange(HeatmapPicture.SizeOf(result).Width, 1600, 2000);
        using var picture = SKBitmap.Decode(Png(result));
        Assert.True(picture.Width > 0);
    }

    [Fact]
    public void The_subtitle_says_what_was_put_in_which_paths_were_patched_and_what_was_only_estimated()
    {
        var result = ExampleSweep.Of(3, 8);

        Assert.Contains(Texts(result with { Ablation = Ablation.Zero, Direction = Direction.Noise }), text => text.Contains("· clean run, z replaced by zeros ·", StringComparison.Ordinal));
        Assert.Contains(
            Texts(result with { Receivers = [Receiver.Of(2, 6, ReceiverInput.Q)], FreezeMlps = false }),
            text => text.Contains("· paths to L2H6.q, MLPs recomputed ·", StringComparison.Ordinal));
        Assert.Contains(
            Texts(result with { Receivers = [Receiver.Logits], FreezeMlps = true }), text => text.Contains("· paths to logits, MLPs frozen ·", StringComparison.Ordinal));
        Assert.Contains(
            Texts(result with { Method = Method.Attribution }), text => text.Contains("· estimated from one gradient; nothing was run ·", StringComparison.Ordinal));
        Assert.Contains(
            Texts(result with { Method = Method.Attribution, Gradient = Gradient.FrozenNorms }),
            text => text.Contains("· estimated from one gradient, norms held fixed; nothing was run ·", StringComparison.Ordinal));
        Assert.Contains(Texts(ExampleSweep.Screened(3, 8, run: 5)), text => text.Contains("· 5 heads run after an estimate of all ·", StringComparison.Ordinal));
    }

    [Fact]
    public void Many_receivers_do_not_widen_the_picture_beyond_reading()
    {
        var result = ExampleSweep.Of(12, 12) with
        {
            Receivers = [.. Enumerable.Range(0, 100).Select(head => Receiver.Of(11, head, ReceiverInput.V))],
            FreezeMlps = false,
        };

        Assert.True(HeatmapPicture.SizeOf(result).Width < 1100);
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

    private static List<string> Texts(SweepResult result) =>
        [.. ParseSvg(result).Descendants(Svg + "text").Select(text => text.Value.Trim())];

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
