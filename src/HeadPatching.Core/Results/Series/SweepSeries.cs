using System.Text.Json.Serialization;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results.OverPairs;

namespace HeadPatching.Core.Results.Series;

/// <summary>One sweep of several models, or of the checkpoints of one: what series.json holds.</summary>
public sealed record SweepSeries
{
    /// <summary>The most models of a series.</summary>
    public const int MostModels = 500;

    /// <summary>The version of this schema.</summary>
    public int SchemaVersion { get; init; } = 1;

    /// <summary>What each sweep did, in a few words.</summary>
    public required string Title { get; init; }

    /// <summary>The prompts that all were swept on.</summary>
    public required DatasetSummary Dataset { get; init; }

    /// <summary>Which activation was replaced.</summary>
    public required Patch Patch { get; init; }

    /// <summary>The metric's name.</summary>
    public required string Metric { get; init; }

    /// <summary>The threshold of the important heads.</summary>
    public required double Threshold { get; init; }

    /// <summary>The models, in their order.</summary>
    public required IReadOnlyList<SeriesModel> Models { get; init; }

    /// <summary>Every head, layer by layer, over the models.</summary>
    public required IReadOnlyList<SeriesHead> Heads { get; init; }

    /// <summary>The heads that are important in any model, by the sum of |effect| over all: one that stays comes before one that stands out once.</summary>
    [JsonIgnore]
    public IEnumerable<SeriesHead> EverImportant => Heads.Where(head => head.ImportantIn > 0).OrderByDescending(head => head.Effects.Sum(Math.Abs));

    /// <summary>Puts the sweeps of several models together.</summary>
    /// <param name="sweeps">What each model is called, and its result; all of one request.</param>
    /// <exception cref="InvalidInputException">There are none, or too many, or their shapes differ.</exception>
    public static SweepSeries Of(IReadOnlyList<(string Name, SweepResult Result)> sweeps)
    {
        if (sweeps.Count is 0 or > MostModels)
        {
            throw new InvalidInputException(FaultKinds.TooLarge, "models", $"A series is of 1 to {MostModels} models; there are {sweeps.Count}.");
        }

        SweepResult first = sweeps[0].Result;
        Fault[] faults =
        [
            .. from sweep in sweeps
               where Shape(sweep.Result) != Shape(first)
               select new Fault(FaultKinds.OutOfRange, sweep.Name, $"It has {sweep.Result.Heatmap.Length} layers of {sweep.Result.Heatmap[0].Length}, {sweeps[0].Name} {first.Heatmap.Length} of {first.Heatmap[0].Length}: a series is of models of one shape."),
        ];
        if (faults.Length > 0)
        {
            throw new InvalidInputException(faults);
        }

        HashSet<string>[] important = [.. sweeps.Select(sweep => sweep.Result.ImportantHeads.Select(head => head.Name).ToHashSet())];
        return new SweepSeries
        {
            Title = first.Title(),
            Dataset = first.Dataset,
            Patch = first.Patch,
            Metric = first.Metric,
            Threshold = first.Threshold,
            Models =
            [
                .. sweeps.Select((sweep, index) => new SeriesModel(
                    sweep.Name,
                    sweep.Result.SweepId,
                    sweep.Result.Model.Fingerprint,
                    sweeps.Take(index).FirstOrDefault(before => before.Result.Model.Fingerprint == sweep.Result.Model.Fingerprint).Name,
                    sweep.Result.CleanMetric,
                    sweep.Result.CorruptedMetric,
                    sweep.Result.Warnings)),
            ],
            Heads =
            [
                .. first.Heads.Select((head, at) => new SeriesHead(
                    head.Layer,
                    head.Head,
                    head.Name,
                    [.. sweeps.Select(sweep => sweep.Result.Heads[at].PatchingEffect)],
                    [.. sweeps.Select(sweep => sweep.Result.Heads[at].ConfidenceInterval)],
                    important.Count(names => names.Contains(head.Name)))),
            ],
        };
    }

    private static (int, int, int) Shape(SweepResult result) => (result.Heatmap.Length, result.Heatmap[0].Length, result.Heads.Count);
}

/// <summary>A model of a series.</summary>
/// <param name="Name">What it is called, and the folder of its files.</param>
/// <param name="SweepId">The id of its sweep.</param>
/// <param name="Fingerprint">SHA-256 of its configuration and weights.</param>
/// <param name="SameAs">The first model of the series that has the same; null where it is another.</param>
/// <param name="CleanMetric">Mean of the clean run's metric over all pairs.</param>
/// <param name="CorruptedMetric">Mean of the corrupted run's.</param>
/// <param name="Warnings">What to know before trusting its effects.</param>
public sealed record SeriesModel(string Name, string SweepId, string Fingerprint, string? SameAs, double? CleanMetric, double? CorruptedMetric, IReadOnlyList<string> Warnings);

/// <summary>A head over the models of a series.</summary>
/// <param name="Layer">Layer, from 0.</param>
/// <param name="Head">Head, from 0; null where layers were patched as a whole.</param>
/// <param name="Name">Such as <c>L9H6</c>.</param>
/// <param name="Effects">Its effect in each model.</param>
/// <param name="ConfidenceIntervals">The 95 % interval of each; null over fewer than five pairs.</param>
/// <param name="ImportantIn">In how many models it is important.</param>
public sealed record SeriesHead(int Layer, int? Head, string Name, IReadOnlyList<double> Effects, IReadOnlyList<ConfidenceInterval?> ConfidenceIntervals, int ImportantIn);
