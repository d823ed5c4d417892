namespace HeadPatching.Core.Models;

/// <summary>
/// Llama 3's scaling (config.json: <c>llama3</c>): frequencies that turn fewer than <paramref name="LowFrequencyFactor"/> times over the
/// original context are divided by the factor, those that turn more than <paramref name="HighFrequencyFactor"/> times stay, and between
/// the two it passes linearly from one to the other.
/// </summary>
/// <param name="LowFrequencyFactor">Turns over the original context up to which the whole factor counts.</param>
/// <param name="HighFrequencyFactor">Turns from which none of it counts; above <paramref name="LowFrequencyFactor"/>.</param>
/// <param name="OriginalContext">The context before it was made longer, in positions.</param>
public sealed record RotaryBands(double LowFrequencyFactor, double HighFrequencyFactor, int OriginalContext);
