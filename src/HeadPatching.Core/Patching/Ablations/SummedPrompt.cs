namespace HeadPatching.Core.Patching.Ablations;

/// <summary>A prompt whose z goes into the sums that means are taken from. It is all that is needed of it to take them: it can be stored.</summary>
/// <param name="Ids">Its token ids.</param>
/// <param name="Into">Which position goes into which sum: a position and a sum, then the next two.</param>
public sealed record SummedPrompt(IReadOnlyList<int> Ids, IReadOnlyList<int> Into);
