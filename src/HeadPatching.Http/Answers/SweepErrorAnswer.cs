namespace HeadPatching.Http.Answers;

/// <summary>Why a sweep failed.</summary>
/// <param name="Message">One sentence.</param>
/// <param name="FaultCount">How many faults its input has.</param>
/// <param name="Faults">The first 100 of them.</param>
public sealed record SweepErrorAnswer(string Message, int FaultCount, IReadOnlyList<FaultAnswer> Faults);
