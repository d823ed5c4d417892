namespace HeadPatching.Core.Adaptive;

/// <summary>What an adaptive sweep is asked, and how it goes on.</summary>
public sealed record AdaptiveOptions
{
    /// <summary>Which heads have an |effect| above it, and which have not, is what is to be decided.</summary>
    public double Threshold { get; init; } = 0.1;

    /// <summary>The share of sweeps in which the intervals of all heads hold the effects over all pairs, in every round; between 0 and 1.</summary>
    public double Confidence { get; init; } = 0.95;

    /// <summary>An interval that is no wider ends a head's runs, decided or not; null where only a decision does.</summary>
    public double? Width { get; init; }

    /// <summary>Of the order in which pairs are run.</summary>
    public int Seed { get; init; }

    /// <summary>
    /// How many pairs the first round draws; null for a 25th of all, but 14 at the least and 25 at the most: of what a few pairs do not show, such as one pair in ten that is unlike the others,
    /// nothing can be said, and where there are many pairs a few more cost little.
    /// </summary>
    public int? FirstPairs { get; init; }

    /// <summary>By how much the pairs of all rounds together are multiplied in each.</summary>
    public double Growth { get; init; } = 1.3;

    /// <summary>
    /// Whether effects may be those of a few pairs alone, as the effects of edges are: of such pairs the drawn ones may show none. Then intervals leave room for pairs of a kind
    /// that was not drawn (<see cref="AdjustedMean"/>) and are no narrower than rounding, and no round leaves fewer pairs than the first draws: a sum over so few is as far from
    /// normal as a mean over so few is.
    /// </summary>
    public bool OfFewPairs { get; init; }

    /// <summary>How many pairs the first round draws of so many.</summary>
    internal int First(int pairs) => FirstPairs ?? Math.Clamp((int)Math.Ceiling(pairs / 25.0), 14, 25);
}

/// <summary>What is known of a head.</summary>
public enum Decision
{
    /// <summary>Its interval holds the threshold still.</summary>
    Undecided,

    /// <summary>|effect| is above the threshold.</summary>
    Above,

    /// <summary>|effect| is not above the threshold.</summary>
    Below,
}

/// <summary>A head of an adaptive sweep, as far as it was run.</summary>
/// <param name="Decision">What is known of it.</param>
/// <param name="Effect">
/// The effect over all pairs as its runs and all estimates have it; where it was run on all pairs, the effect itself. 0 before the first round.
/// </param>
/// <param name="Interval">
/// The interval in which the effect over all pairs lies, with those of all other heads and of all rounds together as often as asked; null before the first round.
/// </param>
/// <param name="Pairs">On how many pairs it was run.</param>
/// <param name="IsFinished">Whether it is run no more: it is decided, its interval is narrow enough, or there are no more pairs.</param>
public sealed record AdaptiveHead(Decision Decision, double Effect, Results.OverPairs.ConfidenceInterval? Interval, int Pairs, bool IsFinished);

/// <summary>Runs that are to be made: every head of some on every pair of some.</summary>
/// <param name="Number">Which round it is, from 0.</param>
/// <param name="Pairs">The pairs by their places in the population, in the order in which their effects are taken in.</param>
/// <param name="Heads">The heads, ascending.</param>
public sealed record AdaptiveRound(int Number, IReadOnlyList<int> Pairs, IReadOnlyList<int> Heads);
