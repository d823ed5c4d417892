using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Requests;

namespace HeadPatching.Sweeps.Plans;

/// <summary>A validated sweep, cut into activities. Lies in the store; every activity but the first reads it.</summary>
/// <param name="Request">What was asked for.</param>
/// <param name="CreatedAt">When.</param>
/// <param name="Model">The model, as the result will say it.</param>
/// <param name="Source">The model, for every worker to find.</param>
/// <param name="Pairs">The pairs as token ids, in the order of the result.</param>
/// <param name="Chunks">The chunks, each with the places of its pairs in <paramref name="Pairs"/> and its folder of cached activations.</param>
/// <param name="TokenTexts">The text of each token in <paramref name="Pairs"/>, so that assembling needs no model; null without a tokenizer.</param>
public sealed record SweepPlan(
    SweepRequest Request,
    DateTimeOffset CreatedAt,
    ModelSummary Model,
    ModelSource Source,
    IReadOnlyList<TokenPair> Pairs,
    IReadOnlyList<PlannedChunk> Chunks,
    IReadOnlyDictionary<int, string>? TokenTexts)
{
    /// <summary>The pairs whose corrupted prompts means are over, or donors are drawn from; null: the swept pairs' own runs.</summary>
    public IReadOnlyList<TokenPair>? References { get; init; }

    /// <summary>What is patched, where and which way.</summary>
    public PatchOptions PatchOptions() => Request.PatchOptions() with { References = References };

    /// <summary>How many of the pairs that were asked for cannot be swept and were left out.</summary>
    public int LeftOutCount { get; init; }

    /// <summary>Those that were left out, the first 100 of them.</summary>
    public IReadOnlyList<LeftOutPair> LeftOut { get; init; } = [];

    /// <summary>The pairs of a chunk.</summary>
    public IReadOnlyList<TokenPair> PairsOf(int chunk) => [.. Chunks[chunk].Pairs.Select(place => Pairs[place])];

    /// <summary>The first position that is cached of each run of a chunk: that of the first difference; an ablation changes positions before it too.</summary>
    public int StartOf(int chunk) => Request.Ablation is null ? CachingRun.StartOf(PairsOf(chunk)) : 0;

    /// <summary>What to say of the pairs that were left out; null where none was.</summary>
    public string? LeftOutWarning()
    {
        if (LeftOutCount == 0)
        {
            return null;
        }

        const int Named = 20, Explained = 3;
        string which = string.Join(", ", LeftOut.Take(Named).Select(pair => pair.Index)) + (LeftOutCount > Named ? $" and {LeftOutCount - Named} more" : "");
        // The first sentence says what is wrong; what follows lists tokens.
        string why = string.Join(" ", LeftOut.Take(Explained).Select(pair => pair.Fault.ToString().Split(". ")[0].TrimEnd('.') + "."));
        return $"{LeftOutCount} of {LeftOutCount + Pairs.Count} pairs cannot be swept and were left out: {which}. {(LeftOutCount > Explained ? "The first: " : "")}{why}";
    }

    /// <summary>The sweep's size, small enough for any payload.</summary>
    public PlanSummary Summary() => new(Model.Layers, Chunks.Count, Request.Method);
}
