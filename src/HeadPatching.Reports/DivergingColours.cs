namespace HeadPatching.Reports;

/// <summary>
/// Blue for negative, white for 0, red for positive: the colours that the field's heatmaps have. The stops between are ColorBrewer's
/// RdBu, whose lightness falls evenly on both sides and which colour-blind readers can tell apart.
/// </summary>
public static class DivergingColours
{
    // From -1 to 1.
    private static readonly (byte Red, byte Green, byte Blue)[] Stops =
    [
        (5, 48, 97), (33, 102, 172), (67, 147, 195), (146, 197, 222), (209, 229, 240),
        (255, 255, 255),
        (253, 219, 199), (244, 165, 130), (214, 96, 77), (178, 24, 43), (103, 0, 31),
    ];

    /// <summary>The colour of a value on a scale that is the same on both sides of 0.</summary>
    /// <param name="value">The value.</param>
    /// <param name="limit">The value with the darkest red; above 0. Values beyond it, on either side, have the darkest colour.</param>
    public static (byte Red, byte Green, byte Blue) At(double value, double limit)
    {
        var place = (Math.Clamp(value / limit, -1, 1) + 1) / 2 * (Stops.Length - 1);
        var below = Math.Min((int)place, Stops.Length - 2);
        var share = place - below;
        var (low, high) = (Stops[below], Stops[below + 1]);
        return (Mix(low.Red, high.Red, share), Mix(low.Green, high.Green, share), Mix(low.Blue, high.Blue, share));
    }

    /// <summary>Whether light text is to be written on a colour, rather than dark text: by its luma (ITU-R BT.601).</summary>
    public static bool IsDark((byte Red, byte Green, byte Blue) colour) => (0.299 * colour.Red) + (0.587 * colour.Green) + (0.114 * colour.Blue) < 128;

    /// <summary>
    /// The least limit of a scale. Effects that round to 0.00 are nearly white on it: with the table's own largest value as the limit, a
    /// table of noise would have the same strong colours as one of findings.
    /// </summary>
    public const double LeastLimit = 0.1;

    /// <summary>The limit of <see cref="At"/> for a table: its largest absolute value, or <see cref="LeastLimit"/>.</summary>
    /// <param name="heatmap">[layer][head].</param>
    public static double LimitOf(double[][] heatmap) => heatmap.SelectMany(layer => layer).Select(Math.Abs).Append(LeastLimit).Max();

    /// <summary>The colour of a cell where nothing can be: no shade of the scale.</summary>
    public static (byte Red, byte Green, byte Blue) Blank => (217, 220, 216);

    private static byte Mix(byte low, byte high, double share) => (byte)Math.Round(low + ((high - low) * share));
}
