namespace HeadPatching.Core.Models;

/// <summary>
/// Rotary position embedding (Su et al. 2021, "RoFormer"): pair i of a head's query and key is turned by position * frequency_i, with
/// frequency_i = <see cref="Base"/>^(-2i / <see cref="Width"/>). Pair i is made of the entries i and i + Width/2 (the halves convention
/// of GPT-NeoX and Llama), or of the neighbours 2i and 2i + 1 (GPT-J's).
/// </summary>
public sealed record Rotary
{
    /// <summary>How many entries of each query and key are turned, the first ones; even, at most d_head.</summary>
    public required int Width { get; init; }

    /// <summary>The base of the frequencies (<c>rope_theta</c>, <c>rotary_emb_base</c>).</summary>
    public required double Base { get; init; }

    /// <summary>Whether a pair is made of neighbours.</summary>
    public bool Interleaved { get; init; }

    /// <summary>What frequencies are divided by, so that a longer context fits: 1 for none.</summary>
    public double Factor { get; init; } = 1;

    /// <summary>Which frequencies <see cref="Factor"/> divides by how often they turn (config.json: <c>llama3</c>).</summary>
    public RotaryBands? Bands { get; init; }

    /// <summary>Which frequencies <see cref="Factor"/> divides by their places (config.json: <c>yarn</c>). Neither: all alike (<c>linear</c>).</summary>
    public RotaryRamp? Ramp { get; init; }

    /// <summary>A divisor for each frequency (config.json: <c>longrope</c>); null for none.</summary>
    public RotaryPairFactors? PairFactors { get; init; }

    /// <summary>What cosines and sines are multiplied by, so that scores are by its square.</summary>
    public double Scale { get; init; } = 1;
}

/// <summary>
/// Llama 3's scaling (config.json: <c>llama3</c>): frequencies that turn fewer than <paramref name="LowFrequencyFactor"/> times over the
/// original context are divided by the factor, those that turn more than <paramref name="HighFrequencyFactor"/> times stay, and between
/// the two it passes linearly from one to the other.
/// </summary>
/// <param name="LowFrequencyFactor">Turns over the original context up to which the whole factor counts.</param>
/// <param name="HighFrequencyFactor">Turns from which none of it counts; above <paramref name="LowFrequencyFactor"/>.</param>
/// <param name="OriginalContext">The context before it was made longer, in positions.</param>
public sealed record RotaryBands(double LowFrequencyFactor, double HighFrequencyFactor, int OriginalContext);

/// <summary>
/// YaRN's scaling (Peng et al. 2023; config.json: <c>yarn</c>): the frequencies of pairs up to <paramref name="From"/> stay, those from
/// <paramref name="To"/> on are divided by the factor, and between the two it passes linearly from one to the other.
/// </summary>
/// <param name="From">A place among the pairs, not always a whole one.</param>
/// <param name="To">Likewise; above <paramref name="From"/>.</param>
public sealed record RotaryRamp(double From, double To);

/// <summary>
/// LongRoPE's scaling (Ding et al. 2024; config.json: <c>longrope</c>): each frequency is divided by a factor of its own, of one list in prompts
/// up to the original context, of the other in longer ones.
/// </summary>
/// <param name="Within">Factors in prompts up to the original context, one a pair.</param>
/// <param name="Beyond">Factors in longer prompts.</param>
/// <param name="OriginalContext">The context before it was made longer, in positions.</param>
public sealed record RotaryPairFactors(IReadOnlyList<double> Within, IReadOnlyList<double> Beyond, int OriginalContext)
{
    /// <inheritdoc/>
    public bool Equals(RotaryPairFactors? other) =>
        other is not null && OriginalContext == other.OriginalContext && Within.SequenceEqual(other.Within) && Beyond.SequenceEqual(other.Beyond);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(OriginalContext, Within.Count, Beyond.Count);
}
