using System.Text.Json.Serialization;
using HeadPatching.Sweeps.Engine;

namespace HeadPatching.Sweeps.Activities;

/// <summary>An activity's input: names, never tensors. Everything else is in the store under names that follow from these.</summary>
/// <param name="SweepId">The sweep.</param>
/// <param name="Part">The part of its plan.</param>
public sealed record ActivityInput(string SweepId, int Part = 0)
{
    /// <summary>Of sets of nodes, and of an adaptive sweep: the round that the part is of.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int Round { get; init; }

    /// <summary>For assembling: what the activities before it did.</summary>
    public WorkReport? Done { get; init; }

    /// <summary>For a callback: how the sweep ended.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public SweepState? Ended { get; init; }
}

/// <summary>A step of a sweep's counted work, told while an activity is at it: of all steps together the operations are the plan's (<see cref="Plans.PlanSize.Flops"/>).</summary>
/// <param name="Flops">The operations of it, counted.</param>
/// <param name="PatchedRuns">Patched runs that were made in it.</param>
/// <param name="Found">Whether it was in the store, and so cost no time.</param>
public sealed record WorkStep(double Flops, long PatchedRuns = 0, bool Found = false);

/// <summary>What an activity did, or several together.</summary>
/// <param name="Activities">How many there were.</param>
/// <param name="Chunks">Chunks of pairs that they went over.</param>
/// <param name="Runs">Runs of a band of layers over a chunk that are there now.</param>
/// <param name="Reused">How many of those were there before.</param>
/// <param name="PatchedRuns">Patched runs made.</param>
/// <param name="ForwardPasses">Prompts run through the model for their activations.</param>
/// <param name="BytesRead">Bytes of activations and runs that were read.</param>
/// <param name="BytesWritten">Bytes of activations and runs that were written.</param>
public sealed record WorkReport(
    int Activities = 0,
    int Chunks = 0,
    int Runs = 0,
    int Reused = 0,
    long PatchedRuns = 0,
    int ForwardPasses = 0,
    long BytesRead = 0,
    long BytesWritten = 0)
{
    /// <summary>Both together.</summary>
    public WorkReport Plus(WorkReport other) => new(
        Activities + other.Activities,
        Chunks + other.Chunks,
        Runs + other.Runs,
        Reused + other.Reused,
        PatchedRuns + other.PatchedRuns,
        ForwardPasses + other.ForwardPasses,
        BytesRead + other.BytesRead,
        BytesWritten + other.BytesWritten);
}

/// <summary>How assembling went.</summary>
/// <param name="Summary">The finished sweep; null where something was missing.</param>
/// <param name="MissingEstimates">Parts whose estimates were not there whole.</param>
/// <param name="MissingRuns">Parts whose runs were not there whole.</param>
public sealed record AssembleReport(SweepSummary? Summary, IReadOnlyList<int> MissingEstimates, IReadOnlyList<int> MissingRuns)
{
    /// <summary>Groups of chunks whose direct logit attribution is not there: their activations were, from a sweep of another metric.</summary>
    public IReadOnlyList<int> MissingAttributions { get; init; } = [];

    /// <summary>Whether what an adaptive sweep's rounds came to is not there.</summary>
    public bool WantsHeads { get; init; }

    /// <summary>Whether what the rounds of sets came to is not there.</summary>
    public bool WantsSets { get; init; }

    /// <summary>Whether all is there but the attention patterns that the report shows.</summary>
    public bool WantsPatterns { get; init; }
}

/// <summary>A finished sweep in a few lines: what goes through the durable engine instead of the result.</summary>
/// <param name="SweepId">The sweep.</param>
/// <param name="Heads">Heads that were patched.</param>
/// <param name="Pairs">Pairs that they were patched on.</param>
/// <param name="Strongest">The strongest heads, at most ten, with their effects.</param>
public sealed record SweepSummary(string SweepId, int Heads, int Pairs, IReadOnlyList<HeadEffect> Strongest);

/// <summary>A head and its effect.</summary>
/// <param name="Name">Such as <c>L9H6</c>.</param>
/// <param name="PatchingEffect">Its effect.</param>
public sealed record HeadEffect(string Name, double PatchingEffect);

/// <summary>The heads to run after an estimate of all, as they lie in the store.</summary>
/// <param name="ByLayer">The heads of each layer that has some.</param>
public sealed record ScreenedHeads(IReadOnlyDictionary<int, int[]> ByLayer);
