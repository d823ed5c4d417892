using System.Globalization;
using System.Text.Json.Serialization;

namespace HeadPatching.Core.Adaptive;

/// <summary>What an adaptive sweep came to.</summary>
/// <param name="Confidence">The share of sweeps in which no interval misses (<see cref="AdaptiveOptions.Confidence"/>).</param>
/// <param name="Width">The interval's width that ended a head's runs too (<see cref="AdaptiveOptions.Width"/>).</param>
/// <param name="Heads">What is known of each head, layer by layer.</param>
/// <param name="Pairs">How many pairs the effects are over.</param>
/// <param name="Rounds">How many rounds there were.</param>
/// <param name="Runs">How many patched runs it took, each of a head on a pair.</param>
public sealed record AdaptiveFindings(double Confidence, double? Width, IReadOnlyList<AdaptiveHead> Heads, int Pairs, int Rounds, long Runs)
{
    /// <summary>Of a sweep as far as it is.</summary>
    public static AdaptiveFindings Of(AdaptiveSweep sweep, AdaptiveOptions options) =>
        new(options.Confidence, options.Width, [.. sweep.Heads], sweep.Pairs, sweep.Rounds, sweep.Runs);

    /// <summary>What kind of interval a head's is, in words.</summary>
    [JsonIgnore]
    public string Kind => string.Create(
        CultureInfo.InvariantCulture,
        $"of the effect over these pairs, {100 * Confidence:0.##} % for all heads and rounds together (asymptotic confidence sequence, Waudby-Smith et al. 2024, Bonferroni over heads); other pairs may have another");

    /// <summary>The same in a few numbers.</summary>
    public AdaptiveSummary Summary() => new(
        Confidence,
        Width,
        Rounds,
        Runs,
        (long)Heads.Count * Pairs,
        Heads.Count(head => head.Decision == Decision.Above),
        Heads.Count(head => head.Decision == Decision.Below),
        Heads.Count(head => head.Decision == Decision.Undecided));
}

/// <summary>What an adaptive sweep came to, in a few numbers.</summary>
/// <param name="Confidence">The share of sweeps in which every <c>anytimeInterval</c> holds the effect over all pairs, whatever the round in which a head's last run was.</param>
/// <param name="Width">An interval that was no wider ended a head's runs, decided or not; null where only a decision did.</param>
/// <param name="Rounds">How many rounds there were.</param>
/// <param name="Runs">How many patched runs the decisions took, each of a head on a pair.</param>
/// <param name="RunsOfExact">How many an exact sweep takes for the same pairs.</param>
/// <param name="Above">How many heads' |effect| is above the threshold.</param>
/// <param name="Below">How many heads' is not.</param>
/// <param name="Undecided">Of how many it is not known.</param>
public sealed record AdaptiveSummary(double Confidence, double? Width, int Rounds, long Runs, long RunsOfExact, int Above, int Below, int Undecided);
