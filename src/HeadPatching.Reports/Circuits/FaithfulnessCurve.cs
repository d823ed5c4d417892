using HeadPatching.Core.Circuits;

namespace HeadPatching.Reports.Circuits;

/// <summary>Where random circuits of one size lie.</summary>
/// <param name="Count">How many there are.</param>
/// <param name="Low">The least faithful.</param>
/// <param name="Five">The 5th percentile.</param>
/// <param name="Mean">The mean.</param>
/// <param name="NinetyFive">The 95th.</param>
/// <param name="High">The most faithful.</param>
internal sealed record RandomBand(int Count, double Low, double Five, double Mean, double NinetyFive, double High)
{
    /// <summary>Of some, the least first; null where there are none.</summary>
    public static RandomBand? Of(IReadOnlyList<double> sorted) =>
        sorted.Count == 0 ? null : new RandomBand(sorted.Count, sorted[0], At(sorted, 0.05), sorted.Average(), At(sorted, 0.95), sorted[^1]);

    // Between the two nearest, as most programs do it.
    private static double At(IReadOnlyList<double> sorted, double share)
    {
        double place = share * (sorted.Count - 1);
        int below = (int)place;
        return below == sorted.Count - 1 ? sorted[below] : sorted[below] + ((place - below) * (sorted[below + 1] - sorted[below]));
    }
}

/// <summary>
/// The part of f's axis that is shown, on the page and in the picture: all that circuits and most random ones reach. The last few random ones may lie far
/// outside, where the metric of the pairs is small.
/// </summary>
/// <param name="Low">Its low end.</param>
/// <param name="High">Its high end.</param>
internal sealed record FaithfulnessAxis(double Low, double High)
{
    /// <summary>A random circuit that is further away is not waited for.</summary>
    private const double Furthest = 2;

    /// <summary>Of a proof sheet.</summary>
    public static FaithfulnessAxis Of(ProofSheet sheet)
    {
        var effects = sheet.Sizes.SelectMany(size => new[] { size.Faithfulness, size.Without }).Concat([sheet.Circuit.Faithfulness, sheet.Circuit.Without]);
        double[] own = [.. effects.SelectMany(effect => new[] { effect.Effect, effect.Interval?.Low ?? effect.Effect, effect.Interval?.High ?? effect.Effect }), 0, 1];
        double[] chance = [.. sheet.Sizes.Select(size => RandomBand.Of(size.Random)).OfType<RandomBand>().SelectMany(band => new[] { band.Five, band.NinetyFive })];
        double[] all = [.. own, .. chance.Where(value => Math.Abs(value) <= Furthest)];
        double room = 0.05 * (all.Max() - all.Min());
        return new FaithfulnessAxis(all.Min() - room, all.Max() + room);
    }
}
