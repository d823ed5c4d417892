using System.Globalization;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Results;
using SkiaSharp;

namespace HeadPatching.Reports.Circuits;

/// <summary>
/// circuit.svg: the circuit as a graph, layers upwards. The residual stream goes from the embedding to the logits, and the nodes of each layer read it and
/// write into it; lines from node to node are not drawn, for nodes were measured and not edges. Colours are effects, on the scale of heatmaps; a border is the
/// wider, the more is lost without the node.
/// </summary>
public static class CircuitPicture
{
    private const float TitleSize = 15, SubtitleSize = 12, LabelSize = 11, NameSize = 12, ValueSize = 9.5f;
    private const float Margin = 24, Top = 74, Labels = 84, LegendHeight = 64, LegendWidth = 540;

    private const int MostInLine = 8;
    private const float NodeHeight = 36, NodeGap = 8, BoxPadding = 9, ArrowLength = 22, StreamWidth = 26;
    private const float LevelGap = 14, EmptyLevel = 20, EndHeight = 26;
    private const float WidestBorder = 5;
    private const int LongestText = 110;

    private static readonly SKColor Stream = SKColor.Parse("#dde5ee"), Box = SKColor.Parse("#f3f5f8"), Arrow = SKColor.Parse("#8fa3b8");

    /// <summary>Writes it.</summary>
    /// <param name="sheet">The proof sheet.</param>
    /// <param name="of">One of the sweeps that ranked its nodes.</param>
    /// <param name="to">The file.</param>
    public static void WriteSvg(ProofSheet sheet, SweepResult of, Stream to)
    {
        IReadOnlyList<CircuitLevel> levels = CircuitLevel.Of(sheet, of.Model.Layers);
        string title = $"The circuit: {CircuitFacts.Size(sheet)}, faithfulness {CircuitFacts.WithInterval(sheet.Circuit.Faithfulness)}";
        string subtitle = string.Join(" · ", [.. CircuitFacts.Of(of).Select(fact => VectorPicture.Drawable(fact, LongestText / 2)), CircuitFacts.Pairs(sheet)]);
        float node = sheet.Circuit.Nodes.Max(one => VectorPicture.WidthOf(one.Node.ToString(), NameSize)) + 26;
        int inLine = Math.Clamp(levels.Max(level => level.Heads.Count), 1, MostInLine);
        float heads = BoxWidth(inLine), mlp = levels.Any(level => level.Mlp is not null) ? BoxWidth(1) + ArrowLength : 0;
        float graph = Labels + heads + ArrowLength + StreamWidth + mlp;
        float width = ((float[])[graph, LegendWidth, VectorPicture.WidthOf(title, TitleSize), VectorPicture.WidthOf(subtitle, SubtitleSize)]).Max() + (2 * Margin);
        float left = (width - graph) / 2, stream = left + Labels + heads + ArrowLength, height = Top + (2 * (EndHeight + LevelGap)) + levels.Sum(level => HeightOf(level) + LevelGap) + LegendHeight;
        double limit = CircuitFacts.LimitOf(sheet), most = Math.Max(sheet.Circuit.Nodes.Max(one => one.Loss.Effect), 1e-9);

        VectorPicture.Write(
            width,
            height,
            picture =>
            {
                picture.Text(title, width / 2, 30, TitleSize, VectorPicture.Ink, TextAnchor.Middle);
                picture.Text(subtitle, width / 2, 50, SubtitleSize, VectorPicture.Faint, TextAnchor.Middle);
                float y = Top, bottom = height - LegendHeight - LevelGap - EndHeight;
                picture.Box(new SKRect(stream, y + EndHeight, stream + StreamWidth, bottom), Stream);
                End(picture, "logits", y);
                y += EndHeight + LevelGap;
                foreach (CircuitLevel level in levels)
                {
                    Level(picture, level, y);
                    y += HeightOf(level) + LevelGap;
                }

                End(picture, "embed", bottom);
                Legend(picture, height - LegendHeight + 20);
            },
            to);

        float BoxWidth(int nodes) => (2 * BoxPadding) + (nodes * node) + ((nodes - 1) * NodeGap);

        float HeightOf(CircuitLevel level)
        {
            int lines = Math.Max(1, (level.Heads.Count + inLine - 1) / inLine);
            return level.IsEmpty ? EmptyLevel : (2 * BoxPadding) + (lines * NodeHeight) + ((lines - 1) * NodeGap);
        }

        void End(VectorPicture picture, string name, float y)
        {
            float middle = stream + (StreamWidth / 2), half = 34;
            picture.Box(new SKRect(middle - half, y, middle + half, y + EndHeight), Stream, radius: 6);
            picture.Text(name, middle, y + 17, NameSize, VectorPicture.Ink, TextAnchor.Middle);
        }

        void Level(VectorPicture picture, CircuitLevel level, float y)
        {
            float own = HeightOf(level);
            string name = level.First == level.Last ? $"Layer {level.First}" : $"Layers {level.First}–{level.Last}";
            picture.Text(name, left + Labels - 12, y + (own / 2) + 4, LabelSize, VectorPicture.Faint, TextAnchor.End);
            if (level.Heads.Count > 0)
            {
                int longest = Math.Min(level.Heads.Count, inLine);
                var box = new SKRect(stream - ArrowLength - BoxWidth(longest), y, stream - ArrowLength, y + own);
                picture.Box(box, Box, radius: 8);
                Arrows(picture, box.Right, stream, y, own);
                foreach (var (index, head) in level.Heads.Index())
                {
                    float x = box.Left + BoxPadding + (index % inLine * (node + NodeGap)), top = y + BoxPadding + (index / inLine * (NodeHeight + NodeGap));
                    Node(picture, head, new SKRect(x, top, x + node, top + NodeHeight));
                }
            }

            if (level.Mlp is { } mlpNode)
            {
                float x = stream + StreamWidth + ArrowLength;
                var box = new SKRect(x, y, x + BoxWidth(1), y + own);
                picture.Box(box, Box, radius: 8);
                Arrows(picture, box.Left, stream + StreamWidth, y, own);
                Node(picture, mlpNode, new SKRect(x + BoxPadding, y + ((own - NodeHeight) / 2), x + BoxPadding + node, y + ((own + NodeHeight) / 2)));
            }
        }

        // What a layer reads comes in below, and what it writes goes out above.
        void Arrows(VectorPicture picture, float box, float at, float y, float own)
        {
            One(at, box, y + own - 9);
            One(box, at, y + 9);

            void One(float from, float towards, float height)
            {
                float direction = Math.Sign(towards - from);
                picture.Through([new SKPoint(from, height), new SKPoint(towards - (direction * 5), height)], Arrow, 1.5f);
                picture.Area([new SKPoint(towards, height), new SKPoint(towards - (direction * 7), height - 4), new SKPoint(towards - (direction * 7), height + 4)], Arrow);
            }
        }

        void Node(VectorPicture picture, ProvedNode one, SKRect place)
        {
            var colour = DivergingColours.At(one.Effect, limit);
            SKColor text = DivergingColours.IsDark(colour) ? SKColors.White : VectorPicture.Ink;
            picture.Box(place, new SKColor(colour.Red, colour.Green, colour.Blue), radius: 6);
            picture.Border(place, VectorPicture.Ink, BorderOf(one.Loss.Effect, most), radius: 6);
            picture.Text(one.Node.ToString(), place.MidX, place.MidY - 1, NameSize, text, TextAnchor.Middle);
            picture.Text(one.Effect.ToString("+0.00;−0.00;0.00", CultureInfo.InvariantCulture), place.MidX, place.MidY + 11.5f, ValueSize, text, TextAnchor.Middle);
        }

        void Legend(VectorPicture picture, float y)
        {
            const int slices = 60;
            const float bar = 150;
            float at = ((width - LegendWidth) / 2) + 36;
            for (int slice = 0; slice < slices; slice++)
            {
                var colour = DivergingColours.At(limit * ((2 * (slice + 0.5) / slices) - 1), limit);
                float from = at + (bar * slice / slices);
                picture.Box(new SKRect(from, y, Math.Min(from + (1.5f * bar / slices), at + bar), y + 10), new SKColor(colour.Red, colour.Green, colour.Blue));
            }

            picture.Border(new SKRect(at, y, at + bar, y + 10), VectorPicture.Line, 0.75f);
            picture.Text((-limit).ToString("0.00;−0.00", CultureInfo.InvariantCulture), at - 6, y + 9, LabelSize, VectorPicture.Faint, TextAnchor.End);
            picture.Text($"{limit.ToString("0.00", CultureInfo.InvariantCulture)}  effect of patching it alone", at + bar + 6, y + 9, LabelSize, VectorPicture.Faint);
            float right = at + bar + 196;
            picture.Border(new SKRect(right, y - 3, right + 24, y + 13), VectorPicture.Ink, BorderOf(most, most), radius: 5);
            picture.Text($"f lost without it: {CircuitFacts.Number(most)}", right + 32, y + 9, LabelSize, VectorPicture.Faint);
        }
    }

    private static float BorderOf(double loss, double most) => 0.75f + ((WidestBorder - 0.75f) * (float)Math.Clamp(loss / most, 0, 1));
}
