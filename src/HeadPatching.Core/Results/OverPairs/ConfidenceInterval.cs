using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Serialization;
using MathNet.Numerics.Distributions;

namespace HeadPatching.Core.Results.OverPairs;

/// <summary>
/// A 95 % interval: made so that it holds the effect over all pairs of this kind in 95 of 100 sweeps of other such pairs. On the demo model
/// it did in 93 of 100 over 5 or 10 pairs, in 94 over 20 and in 95 over 50 or 100. In JSON <c>[low, high]</c>.
/// </summary>
/// <param name="Low">The lower end.</param>
/// <param name="High">The upper end.</param>
[JsonConverter(typeof(ConfidenceIntervalJsonConverter))]
public readonly record struct ConfidenceInterval(double Low, double High)
{
    /// <summary>Over fewer pairs there is no interval: their own spread says too little of how much others would differ.</summary>
    public const int LeastPairs = 5;

    /// <summary>What kind of interval it is, as results say it.</summary>
    public const string Kind = "95 %, Student's t corrected for skewness (Hall 1992), over pairs; none over fewer than 5";

    /// <summary>How often an interval leaves out what it should hold.</summary>
    public const double Miss = 0.05;

    /// <summary>A smaller effect (or difference of effects) is not told from 0, however sure: so much the rounding of float32 makes.</summary>
    public const double LeastEffect = 1e-4;

    // Finding one takes some tenths of a millisecond, and all heads of a sweep want the same. Bounded, for each comparison has a tail of its own.
    private const int MostQuantiles = 10_000;
    private static readonly ConcurrentDictionary<(int Freedom, double Miss), double> Quantiles = new();

    /// <summary>
    /// Student's t interval, corrected for the skewness of the sample by Hall's cubic transformation of t (Hall 1992, "On the removal of
    /// skewness by transformation", J. R. Statist. Soc. B 54, 221-228).
    /// </summary>
    /// <param name="estimate">The effect over pairs.</param>
    /// <param name="pairs">How many pairs there are.</param>
    /// <param name="squares">
    /// The sum over pairs of the squares of what each adds to the effect beside the others, mean 0: its own effect less the mean, or for a ratio of
    /// means the linearised (numerator - effect * denominator) / mean denominator.
    /// </param>
    /// <param name="cubes">The sum of their cubes.</param>
    /// <param name="miss">How often it may leave out what it should hold; 0.05 for a 95 % interval.</param>
    /// <returns>Null with fewer than <see cref="LeastPairs"/> pairs.</returns>
    public static ConfidenceInterval? Of(double estimate, int pairs, double squares, double cubes, double miss = Miss)
    {
        if (pairs < LeastPairs)
        {
            return null;
        }

        return squares == 0
            ? new ConfidenceInterval(estimate, estimate)
            : Of(estimate, StandardError(squares, pairs), cubes / Math.Pow(squares, 1.5), pairs - 1, miss);
    }

    /// <summary>The same interval of an estimate of whatever kind.</summary>
    /// <param name="estimate">The estimate.</param>
    /// <param name="standardError">Its standard error; above 0.</param>
    /// <param name="a">Its skewness: of a mean, that of the sample by the root of its size.</param>
    /// <param name="freedom">The degrees of freedom of the standard error.</param>
    /// <param name="miss">How often it may leave out what it should hold.</param>
    internal static ConfidenceInterval Of(double estimate, double standardError, double a, int freedom, double miss)
    {
        double t = Quantile(freedom, miss);
        return new ConfidenceInterval(estimate - (standardError * Untransformed(t)), estimate - (standardError * Untransformed(-t)));

        // The t whose transform ((1 + a t / 3)^3 - 1) / a + a / 6 this is; written so that a may be 0.
        double Untransformed(double transformed)
        {
            double y = transformed - (a / 6), root = Math.Cbrt(1 + (a * y));
            return 3 * y / (1 + root + (root * root));
        }
    }

    /// <summary>
    /// The interval of one estimate of many that are asked at once. Far out the correction goes by the skewness of few pairs, which may be chance: of it
    /// and Student's own, each end is the further one.
    /// </summary>
    /// <inheritdoc cref="Of(double, double, double, int, double)"/>
    internal static ConfidenceInterval JointOf(double estimate, double standardError, double a, int freedom, double miss)
    {
        ConfidenceInterval corrected = Of(estimate, standardError, a, freedom, miss), students = Of(estimate, standardError, 0, freedom, miss);
        return new ConfidenceInterval(Math.Min(corrected.Low, students.Low), Math.Max(corrected.High, students.High));
    }

    /// <summary>The same from the pairs' deviations; null with fewer than <see cref="LeastPairs"/> pairs.</summary>
    /// <inheritdoc cref="Of(double, int, double, double, double)"/>
    internal static ConfidenceInterval? JointOf(double estimate, int pairs, double squares, double cubes, double miss) =>
        pairs < LeastPairs ? null
        : squares == 0 ? new ConfidenceInterval(estimate, estimate)
        : JointOf(estimate, StandardError(squares, pairs), cubes / Math.Pow(squares, 1.5), pairs - 1, miss);

    /// <summary>The interval from each pair's own deviation.</summary>
    /// <param name="estimate">The effect over pairs.</param>
    /// <param name="deviations">What each pair adds to it beside the others, mean 0.</param>
    /// <inheritdoc cref="Of(double, int, double, double, double)"/>
    public static ConfidenceInterval? Of(double estimate, IReadOnlyCollection<double> deviations) => Of(
        estimate,
        deviations.Count,
        deviations.Sum(deviation => deviation * deviation),
        deviations.Sum(deviation => deviation * deviation * deviation));

    /// <summary>
    /// Student's t interval as it stands. The correction for skewness is right on average over samples, and with few pairs it stretches without
    /// bound towards the side of a single one that stands out; this asks whether a mean can be told from 0 at all.
    /// </summary>
    /// <inheritdoc cref="Of(double, int, double, double, double)"/>
    internal static ConfidenceInterval? SymmetricOf(double estimate, int pairs, double squares)
    {
        if (pairs < LeastPairs)
        {
            return null;
        }

        double half = Quantile(pairs - 1, Miss) * StandardError(squares, pairs);
        return new ConfidenceInterval(estimate - half, estimate + half);
    }

    private static double StandardError(double squares, int pairs) => Math.Sqrt(squares / (pairs - 1) / pairs);

    private static double Quantile(int freedom, double miss)
    {
        if (Quantiles.Count >= MostQuantiles)
        {
            Quantiles.Clear();
        }

        return Quantiles.GetOrAdd((freedom, miss), of => StudentT.InvCDF(location: 0, scale: 1, of.Freedom, 1 - (of.Miss / 2)));
    }

    /// <summary>Whether a value is between the ends, or is one of them.</summary>
    public bool Contains(double value) => Low <= value && value <= High;

    /// <summary>The least size of an effect that it holds: its end nearer 0, without the sign; 0 where it holds 0.</summary>
    [JsonIgnore]
    public double LeastSize => Math.Max(0, Math.Max(Low, -High));

    /// <summary>Whether it leaves out 0, for an effect that is more than rounding.</summary>
    /// <param name="effect">The effect whose interval it is.</param>
    internal bool ExcludesZero(double effect) => !Contains(0) && Math.Abs(effect) > LeastEffect;

    private sealed class ConfidenceIntervalJsonConverter : JsonConverter<ConfidenceInterval>
    {
        public override ConfidenceInterval Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            JsonSerializer.Deserialize<double[]>(ref reader, options) is [double low, double high]
                ? new ConfidenceInterval(low, high)
                : throw new JsonException("A confidence interval is an array of two numbers.");

        public override void Write(Utf8JsonWriter writer, ConfidenceInterval value, JsonSerializerOptions options) =>
            JsonSerializer.Serialize(writer, (double[])[value.Low, value.High], options);
    }
}
