using System.Globalization;
using System.Text.Json.Serialization;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Results.Comparing;

/// <summary>Two sweeps held against each other: what comparison.json holds.</summary>
public sealed record SweepComparison
{
    private const int MostNamed = 5;

    /// <summary>The version of this schema.</summary>
    public int SchemaVersion { get; init; } = 1;

    /// <summary>The sweep that is compared with.</summary>
    public required ComparedSide A { get; init; }

    /// <summary>The sweep that is compared.</summary>
    public required ComparedSide B { get; init; }

    /// <summary>What the sweeps are, fact by fact.</summary>
    public required IReadOnlyList<ComparedFact> Facts { get; init; }

    /// <summary>What to know before trusting the differences.</summary>
    public required IReadOnlyList<string> Notes { get; init; }

    /// <summary>How pairs of both are known to be the same.</summary>
    public required MatchedBy MatchedBy { get; init; }

    /// <summary>How many pairs are common, and the effects over them alone; 0 where the effects are each sweep's own.</summary>
    public required int CommonPairs { get; init; }

    /// <summary>What kind of intervals there are, in words; absent where there are none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Intervals { get; init; }

    /// <summary>How often pairs were drawn again; 0 where there are no intervals.</summary>
    public required int Draws { get; init; }

    /// <summary>The seed of the draws.</summary>
    public required int Seed { get; init; }

    /// <summary>
    /// How often each <c>jointInterval</c> by itself leaves out what it should hold, so that all together do so in 5 of 100 comparisons; absent where
    /// there are none.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? JointMiss { get; init; }

    /// <summary>What one of the things that were patched is called: <c>head</c>, <c>key/value head</c> or <c>layer</c>.</summary>
    public required string Unit { get; init; }

    /// <summary>Every head (or key/value head, or layer), layer by layer; by position or role, at each place one after the other.</summary>
    public required IReadOnlyList<HeadDifference> Heads { get; init; }

    /// <summary>Those whose joint interval leaves out 0, of largest |difference| first.</summary>
    public required IReadOnlyList<HeadDifference> Moved { get; init; }

    /// <summary>Spearman's rank correlation of the effects of all cells; absent where all of a sweep's are the same.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? RankCorrelation { get; init; }

    /// <summary>What moved, in words.</summary>
    public string Summary => InWords();

    /// <summary>The heads of largest |difference|, whether or not they moved, largest first.</summary>
    public IEnumerable<HeadDifference> Ranked() => Heads.OrderByDescending(head => Math.Abs(head.Difference ?? 0));

    /// <summary>
    /// The heads that moved by more than a limit beyond doubt: those whose joint interval lies wholly beyond it, on either side. All heads are asked at
    /// once, so it is the joint one: of 144 heads with no difference some would fail by their own.
    /// </summary>
    /// <param name="limit">From 0 on.</param>
    public IEnumerable<HeadDifference> MovedBeyond(double limit) =>
        Moved.Where(head => head.JointInterval is { } interval && (interval.Low > limit || interval.High < -limit));

    private string InWords()
    {
        string rank = RankCorrelation is double correlation ? FormattableString.Invariant($" The rank correlation of all effects is {correlation:F3}.") : "";
        string basis = MatchedBy == MatchedBy.None
            ? FormattableString.Invariant($"of {A.Pairs} and {B.Pairs} pairs, none of them known to be common")
            : FormattableString.Invariant($"of {CommonPairs} common pairs");
        if (JointMiss is null)
        {
            string largest = Ranked().FirstOrDefault() is { Difference: not null } first ? $" The largest difference: {Said(first)}." : "";
            return $"What moved cannot be said: there are no intervals ({basis}).{largest}{rank}";
        }

        if (Moved.Count == 0)
        {
            return $"No {Unit} moved ({basis}, 95 % for all together).{rank}";
        }

        string more = Moved.Count > MostNamed ? FormattableString.Invariant($" and {Moved.Count - MostNamed} more") : "";
        return FormattableString.Invariant(
            $"{Moved.Count} of {Heads.Count} {(Heads.Any(head => head.Position is not null || head.Role is not null) ? $"{Unit}s at a place" : $"{Unit}s")} moved ({basis}, 95 % for all together): ")
            + $"{string.Join("; ", Moved.Take(MostNamed).Select(Said))}{more}.{rank}";
    }

    private static string Said(HeadDifference head) =>
        FormattableString.Invariant($"{head.Label} {head.Difference:+0.000;-0.000;0.000} ({head.EffectA:0.000} to {head.EffectB:0.000})").Replace("-0.000", "0.000", StringComparison.Ordinal);
}

/// <summary>One of the two sweeps of a comparison.</summary>
/// <param name="SweepId">Its id.</param>
/// <param name="Label">What tells it from the other one, in a few words.</param>
/// <param name="Title">What it did.</param>
/// <param name="Pairs">How many pairs it swept.</param>
/// <param name="LeftOut">How many of them it leaves out of its means.</param>
/// <param name="CleanMetric">Mean of the clean run's metric over its pairs; null in results of versions before it.</param>
/// <param name="CorruptedMetric">Mean of the corrupted run's metric over its pairs.</param>
public sealed record ComparedSide(string SweepId, string Label, string Title, int Pairs, int LeftOut, double? CleanMetric, double? CorruptedMetric);

/// <summary>Something that each of two sweeps is.</summary>
/// <param name="Name">What, such as <c>direction</c>.</param>
/// <param name="A">What it is of the one; null where the one does not have it.</param>
/// <param name="B">What it is of the other.</param>
public sealed record ComparedFact(string Name, string? A, string? B)
{
    /// <summary>Whether the two are not the same.</summary>
    public bool Differs => A != B;
}

/// <summary>A head (or key/value head, or layer as a whole), at one place where there are several, in two sweeps.</summary>
/// <param name="Layer">Layer, from 0.</param>
/// <param name="Head">Head, from 0; null where a layer was patched as a whole.</param>
/// <param name="Name">Such as <c>L9H6</c>.</param>
/// <param name="EffectA">Its effect in the one sweep, over the common pairs where there are some; null where there is none to take.</param>
/// <param name="EffectB">Its effect in the other.</param>
/// <param name="Difference"><paramref name="EffectB"/> less <paramref name="EffectA"/>.</param>
public sealed record HeadDifference(int Layer, int? Head, string Name, double? EffectA, double? EffectB, double? Difference)
{
    /// <summary>By position: the place, counted from the end.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Position { get; init; }

    /// <summary>By role: the place.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Role { get; init; }

    /// <summary>Standard error of the difference; null where there is no interval.</summary>
    public double? StandardError { get; init; }

    /// <summary>The 95 % interval of this difference by itself, <c>[low, high]</c>; null over fewer than five pairs.</summary>
    public ConfidenceInterval? ConfidenceInterval { get; init; }

    /// <summary>An interval that is wider by as much as it takes for those of all heads together to hold their differences in 95 of 100 comparisons.</summary>
    public ConfidenceInterval? JointInterval { get; init; }

    /// <summary>Whether the joint interval leaves out 0.</summary>
    public bool Moved { get; init; }

    /// <summary>Whether an effect is an estimate in either sweep.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Estimated { get; init; }

    /// <summary>Its name, and its place where it has one: <c>L9H6</c>, <c>L9H6 at S2</c>.</summary>
    [JsonIgnore]
    public string Label => (Role ?? Position?.ToString(CultureInfo.InvariantCulture)) is string place ? $"{Name} at {place}" : Name;
}
