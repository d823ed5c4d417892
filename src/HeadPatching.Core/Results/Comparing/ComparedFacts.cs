using System.Globalization;
using HeadPatching.Core.Patching;

namespace HeadPatching.Core.Results.Comparing;

/// <summary>What two sweeps are, fact by fact, and what to know where they differ.</summary>
internal static class ComparedFacts
{
    private const string Model = "model", Metric = "metric", MetricIs = "metric is";

    // In the order in which they are shown. Those of the first part name what the sweep was asked to do.
    private static readonly (string Name, Func<SweepResult, string?> Of)[] All =
    [
        (Model, result => result.Model.Name),
        ("fingerprint", result => result.Model.Fingerprint[..Math.Min(result.Model.Fingerprint.Length, 16)]),
        ("layers and heads", result => string.Create(CultureInfo.InvariantCulture, $"{result.Model.Layers} x {result.Model.Heads}")),
        ("computed in", result => $"{result.Model.Dtype} on {result.Model.Device}"),
        ("dataset", result => result.Dataset.Name),
        ("pairs", result => result.Dataset.Pairs.ToString(CultureInfo.InvariantCulture)),
        ("seed", result => result.Seed.ToString(CultureInfo.InvariantCulture)),
        ("BOS", result => result.Bos?.NameOf()),
        ("patch", result => result.Patch.NameOf()),
        ("put in", result => result.AblationDetails ?? result.Ablation?.NameOf()),
        ("positions", result => result.Positions.ToString()),
        ("direction", result => result.Direction.NameOf()),
        ("method", result => result.Method.NameOf()),
        ("gradient", result => result.Gradient?.NameOf()),
        ("paths to", result => result.Receivers is null ? null : string.Join(", ", result.Receivers)),
        ("MLPs", result => result.FreezeMlps is not bool frozen ? null : frozen ? "frozen" : "recomputed"),
        (Metric, result => result.Metric),
        (MetricIs, result => result.MetricDetails?.Description),
        ("aggregation", result => result.Aggregation.NameOf()),
        ("clean metric", result => Number(result.CleanMetric)),
        ("corrupted metric", result => Number(result.CorruptedMetric)),
        ("version", result => result.Software.Version),
        ("sweep", result => result.SweepId),
    ];

    // What tells sweeps apart in a few words, what was asked before what it was asked of.
    private static readonly string[] Telling = ["patch", "positions", "direction", Metric, "method", "put in", "aggregation", Model, "dataset", "pairs", "seed"];

    /// <summary>The facts that either sweep has.</summary>
    public static IReadOnlyList<ComparedFact> Of(SweepResult a, SweepResult b) =>
        [.. All.Select(fact => new ComparedFact(fact.Name, fact.Of(a), fact.Of(b))).Where(fact => (fact.A ?? fact.B) is not null)];

    /// <summary>What tells each sweep from the other; their ids where nothing else does.</summary>
    public static (string A, string B) Labels(SweepResult a, SweepResult b)
    {
        const int Most = 3;
        ComparedFact[] telling = [.. Of(a, b).Where(fact => fact.Differs && Telling.Contains(fact.Name)).OrderBy(fact => Array.IndexOf(Telling, fact.Name)).Take(Most)];
        return telling.Length == 0 ? (a.SweepId, b.SweepId) : (Label(fact => fact.A), Label(fact => fact.B));

        string Label(Func<ComparedFact, string?> side) => string.Join(' ', telling.Select(fact => fact.Name is "pairs" or "seed" ? $"{fact.Name} {side(fact)}" : side(fact) ?? $"no {fact.Name}"));
    }

    /// <summary>What differs that makes the effects answers to different questions.</summary>
    public static IEnumerable<string> Notes(SweepResult a, SweepResult b)
    {
        if (a.Metric != b.Metric || a.MetricDetails?.Description != b.MetricDetails?.Description)
        {
            yield return $"The metrics differ ({(a.Metric == b.Metric ? "their weights" : $"{a.Metric} and {b.Metric}")}): both effects are shares of clean - corrupted, but of different quantities.";
        }

        if (a.Patch != b.Patch)
        {
            yield return $"Different activations were patched, {a.Patch.NameOf()} and {b.Patch.NameOf()}: a difference says what the one carries and the other does not.";
        }

        if (a.Aggregation != b.Aggregation)
        {
            yield return $"The aggregations differ ({a.Aggregation.NameOf()} and {b.Aggregation.NameOf()}): each effect is by its own sweep's.";
        }

        if (a.Positions != b.Positions)
        {
            yield return $"The positions differ ({a.Positions} and {b.Positions}).";
        }

        if (a.Method is Method.Attribution or Method.Screen || b.Method is Method.Attribution or Method.Screen)
        {
            yield return "Some effects are estimates; an interval knows nothing of their error.";
        }

        if (a.Method == Method.Adaptive || b.Method == Method.Adaptive)
        {
            yield return "An adaptive sweep runs each head on as few pairs as its decision takes: its effects are known as far as their own intervals say, and pairs cannot be compared one by one.";
        }
    }

    private static string? Number(double? value) => value?.ToString("G4", CultureInfo.InvariantCulture);
}
