using System.Globalization;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;
using SkiaSharp;

namespace HeadPatching.Reports.Circuits;

/// <summary>
/// faithfulness.svg: f of the strongest nodes, alone and left out, by how many they are, with intervals over pairs; the band of random circuits of as many;
/// and the circuit that was found.
/// </summary>
public static class FaithfulnessPicture
{
    private const float Width = 760, Height = 420, Left = 64, Right = 210, Top = 74, Bottom = 58;
    private const float TitleSize = 15, SubtitleSize = 12, LabelSize = 13, TickSize = 11;
    private const float SpaceOfTick = 30;
    private const int LongestText = 40;

    private static readonly SKColor Alone = SKColor.Parse("#2166ac"), Without = SKColor.Parse("#b35806"), Chance = SKColor.Parse("#8a94a0");
    private static readonly double[] Steps = [0.05, 0.1, 0.2, 0.25, 0.5, 1, 2, 5];

    /// <summary>Writes it.</summary>
    /// <param name="sheet">The proof sheet.</param>
    /// <param name="of">One of the sweeps that ranked its nodes.</param>
    /// <param name="to">The file.</param>
    public static void WriteSvg(ProofSheet sheet, SweepResult of, Stream to)
    {
        FaithfulnessAxis axis = FaithfulnessAxis.Of(sheet);
        double all = Math.Log(Math.Max(2, sheet.Ranking.Count));
        string subtitle = string.Join(" · ", [.. CircuitFacts.Of(of).Select(fact => VectorPicture.Drawable(fact, LongestText)), CircuitFacts.Pairs(sheet)]);
        float width = Math.Max(Width, VectorPicture.WidthOf(subtitle, SubtitleSize) + 40);
        VectorPicture.Write(
            width,
            Height,
            picture =>
            {
                picture.Text($"Faithfulness of the strongest {CircuitFacts.Unit(sheet)}, by how many they are", width / 2, 30, TitleSize, VectorPicture.Ink, TextAnchor.Middle);
                picture.Text(subtitle, width / 2, 50, SubtitleSize, VectorPicture.Faint, TextAnchor.Middle);
                (ProvedSize Size, RandomBand Band)[] bands = [.. sheet.Sizes.Select(size => (Size: size, Band: RandomBand.Of(size.Random)!)).Where(one => one.Band is not null)];
                if (bands.Length > 0)
                {
                    Band(picture, bands, band => band.Low, band => band.High, 40);
                    Band(picture, bands, band => band.Five, band => band.NinetyFive, 70);
                }

                Axes(picture);
                if (bands.Length > 0)
                {
                    picture.Through([.. bands.Select(one => At(one.Size.Nodes, one.Band.Mean))], Chance, 1.5f, dash: 3);
                }

                Curve(picture, size => size.Without, Without);
                Curve(picture, size => size.Faithfulness, Alone);
                Found(picture);
                Legend(picture, bands.Length > 0);
            },
            to);

        float X(int nodes) => Left + (float)(Math.Log(nodes) / all * (width - Left - Right));

        float Y(double f) => Height - Bottom - (float)((Math.Clamp(f, axis.Low, axis.High) - axis.Low) / (axis.High - axis.Low) * (Height - Bottom - Top));

        SKPoint At(int nodes, double f) => new(X(nodes), Y(f));

        void Band(VectorPicture picture, (ProvedSize Size, RandomBand Band)[] bands, Func<RandomBand, double> low, Func<RandomBand, double> high, byte strength) => picture.Area(
            [.. bands.Select(one => At(one.Size.Nodes, high(one.Band))), .. bands.Reverse().Select(one => At(one.Size.Nodes, low(one.Band)))], Chance.WithAlpha(strength));

        void Axes(VectorPicture picture)
        {
            double step = Steps.First(step => step * (Height - Top - Bottom) / (axis.High - axis.Low) >= SpaceOfTick || step == Steps[^1]);
            for (double tick = Math.Ceiling(axis.Low / step) * step; tick <= axis.High; tick += step)
            {
                bool isEnd = Math.Abs(tick) < 1e-9 || Math.Abs(tick - 1) < 1e-9;
                picture.Through([new SKPoint(Left, Y(tick)), new SKPoint(width - Right, Y(tick))], isEnd ? Chance : VectorPicture.Line);
                picture.Text((tick + 0.0).ToString("0.##;−0.##;0", CultureInfo.InvariantCulture), Left - 8, Y(tick) + 4, TickSize, VectorPicture.Faint, TextAnchor.End);
            }

            float free = float.NegativeInfinity;
            foreach (ProvedSize size in sheet.Sizes)
            {
                float x = X(size.Nodes), half = VectorPicture.WidthOf($"{size.Nodes}", TickSize) / 2;
                picture.Through([new SKPoint(x, Height - Bottom), new SKPoint(x, Height - Bottom + 4)], Chance);
                if (x - half > free)
                {
                    picture.Text($"{size.Nodes}", x, Height - Bottom + 17, TickSize, VectorPicture.Faint, TextAnchor.Middle);
                    free = x + half + 4;
                }
            }

            string unit = CircuitFacts.Unit(sheet);
            picture.Text($"{char.ToUpperInvariant(unit[0])}{unit[1..]} in the circuit, of {sheet.Ranking.Count} (logarithmic)", (Left + width - Right) / 2, Height - 16, LabelSize, VectorPicture.Ink, TextAnchor.Middle);
            picture.TextUpwards("f", 20, (Top + Height - Bottom) / 2, LabelSize, VectorPicture.Ink);
        }

        void Curve(VectorPicture picture, Func<ProvedSize, PooledEffect> effect, SKColor colour)
        {
            ProvedSize[] withInterval = [.. sheet.Sizes.Where(size => effect(size).Interval is not null)];
            if (withInterval.Length > 1)
            {
                picture.Area(
                    [.. withInterval.Select(size => At(size.Nodes, effect(size).Interval!.Value.High)), .. withInterval.Reverse().Select(size => At(size.Nodes, effect(size).Interval!.Value.Low))],
                    colour.WithAlpha(45));
            }

            picture.Through([.. sheet.Sizes.Select(size => At(size.Nodes, effect(size).Effect))], colour, 2);
            foreach (ProvedSize size in sheet.Sizes)
            {
                picture.Dot(At(size.Nodes, effect(size).Effect), 3, colour);
            }
        }

        void Found(VectorPicture picture)
        {
            PooledEffect f = sheet.Circuit.Faithfulness;
            SKPoint at = At(sheet.Circuit.Nodes.Count, f.Effect);
            if (f.Interval is { } interval)
            {
                picture.Through([new SKPoint(at.X, Y(interval.Low)), new SKPoint(at.X, Y(interval.High))], VectorPicture.Ink, 1.5f);
            }

            Diamond(picture, at);
        }

        void Legend(VectorPicture picture, bool random)
        {
            float x = width - Right + 18, y = Top + 10;
            Line(picture, Alone, "these alone", "shaded: 95 % over pairs");
            Line(picture, Without, "everything but these", null);
            if (random)
            {
                picture.Box(new SKRect(x, y - 8, x + 22, y + 8), Chance.WithAlpha(40));
                picture.Box(new SKRect(x, y - 4, x + 22, y + 4), Chance.WithAlpha(70));
                picture.Through([new SKPoint(x, y), new SKPoint(x + 22, y)], Chance, 1.5f, dash: 3);
                int count = sheet.Sizes.Max(size => size.Random.Count);
                Words($"{count} random ones of each size:", "mean, 5 to 95 %, all");
            }

            Diamond(picture, new SKPoint(x + 11, y));
            Words($"the circuit that was found:", $"{sheet.Circuit.Nodes.Count}, f {CircuitFacts.Number(sheet.Circuit.Faithfulness.Effect)}");
            y += 8;
            picture.Text($"CPR {CircuitFacts.Number(sheet.Cpr)}{(sheet.RandomCpr is double chance ? $" (random {CircuitFacts.Number(chance)})" : "")}", x, y, TickSize, VectorPicture.Ink);
            picture.Text($"CMD {CircuitFacts.Number(sheet.Cmd)}", x, y + 17, TickSize, VectorPicture.Ink);

            void Line(VectorPicture on, SKColor colour, string words, string? more)
            {
                on.Box(new SKRect(x, y - 6, x + 22, y + 6), colour.WithAlpha(45));
                on.Through([new SKPoint(x, y), new SKPoint(x + 22, y)], colour, 2);
                on.Dot(new SKPoint(x + 11, y), 3, colour);
                Words(words, more);
            }

            void Words(string words, string? more)
            {
                picture.Text(words, x + 30, y + 4, TickSize, VectorPicture.Ink);
                if (more is not null)
                {
                    picture.Text(more, x + 30, y + 18, TickSize - 1, VectorPicture.Faint);
                }

                y += more is null ? 26 : 40;
            }
        }

        static void Diamond(VectorPicture picture, SKPoint at) =>
            picture.Area([at + new SKSize(0, -7), at + new SKSize(6, 0), at + new SKSize(0, 7), at + new SKSize(-6, 0)], VectorPicture.Ink);
    }
}
