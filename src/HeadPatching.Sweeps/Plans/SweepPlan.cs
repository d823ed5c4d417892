using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using HeadPatching.Core;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Ablations;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Requests;

namespace HeadPatching.Sweeps.Plans;

/// <summary>
/// The header of a validated sweep that is cut into activities. It lies in the store and does not grow with the number of pairs: those are in the
/// parts, one small artifact each.
/// </summary>
/// <param name="SchemaVersion">How plans are written: those of other versions are not read.</param>
/// <param name="Request">What was asked for, less its list of pairs.</param>
/// <param name="Dataset">The dataset's name.</param>
/// <param name="CreatedAt">When it was asked for.</param>
/// <param name="Model">The model, as the result will say it.</param>
/// <param name="Source">The model, for every worker to find.</param>
/// <param name="PairCount">How many pairs there are.</param>
/// <param name="PairsKey">The key of all of them together.</param>
/// <param name="Size">How it is cut.</param>
public sealed record SweepPlan(
    int SchemaVersion,
    SweepRequest Request,
    string Dataset,
    DateTimeOffset CreatedAt,
    ModelSummary Model,
    ModelSource Source,
    int PairCount,
    string PairsKey,
    PlanSize Size)
{
    /// <summary>The version of plans that are written now.</summary>
    public const int CurrentSchema = 5;

    /// <summary>The pairs whose corrupted prompts means are over, or donors are drawn from; null: the swept pairs' own runs.</summary>
    public IReadOnlyList<TokenPair>? References { get; init; }

    /// <summary>What results call those.</summary>
    public string? ReferenceTitle { get; init; }

    /// <summary>With mean ablation, how many sums its means are taken from.</summary>
    public int SumCount { get; init; }

    /// <summary>With mean ablation and references, those as they go into the sums; null where the means are over the swept pairs' own runs.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<SummedPrompt>? SummedReferences { get; init; }

    /// <summary>What to know of an ablation before trusting its effects.</summary>
    public IReadOnlyList<string> AblationWarnings { get; init; } = [];

    /// <summary>
    /// Activities of the sweep: planning, every wave, assembling, and of a sweep of heads reading the patterns that its report shows (of which there
    /// are none where every prompt is too long for it).
    /// </summary>
    [JsonIgnore]
    public int Activities => Size.Activities + (Request.Patch.IsOfLayer() ? 0 : 1);

    /// <summary>What is patched, where and which way.</summary>
    public PatchOptions PatchOptions() => Request.PatchOptions() with { References = References };

    /// <summary>With token weights, what they are of this model; null otherwise.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<TokenWeight>? TokenWeights { get; init; }

    /// <summary>Seconds that a patched run takes on one worker at the most, on a pair of mean length, estimated as <see cref="PlanSize.Seconds"/>: what rounds are cut by. 0 where there are none.</summary>
    public double SecondsOfRun { get; init; }

    /// <summary>The same of an edge that is patched; 0 where no edges are looked at.</summary>
    public double SecondsOfEdge { get; init; }

    /// <summary>The same of an edge that is estimated.</summary>
    public double SecondsOfEstimatedEdge { get; init; }

    /// <summary>How many heads (or what else is patched one at a time) a layer has.</summary>
    [JsonIgnore]
    public int HeadCount => Request.Patch.IsOfLayer() ? 1 : Request.Patch is Patch.K or Patch.V ? Model.KeyValueHeads ?? Model.Heads : Model.Heads;

    /// <summary>What is measured.</summary>
    public PlannedMetric Metric() => new(Request.Measured(), TokenWeights);

    /// <summary>The patched runs, or paths.</summary>
    public ChunkWork ExactWork() => ChunkWork.Exact(Request, Metric(), References, PairsKey);

    /// <summary>What comes before the patched runs: estimates, or unpatched metrics; null where nothing does.</summary>
    public ChunkWork? WorkBefore() => ChunkWork.Before(Request, Metric());

    /// <summary>The key of the sums that means are taken from: over a slice of the pairs, or over all, which an only slice is.</summary>
    public string KeyOfSums(ChunkWork.Heads work, int? slice = null) => WorkKeys.Sums(
        Source, PairsKey, References, work.Options.Direction, slice is null || Size.SumSlices == 1 ? null : string.Create(CultureInfo.InvariantCulture, $"{slice} of {Size.SumSlices}"));

    /// <summary>How many of the pairs that were asked for cannot be swept and were left out.</summary>
    public int LeftOutCount { get; init; }

    /// <summary>Those that were left out, the first 100 of them.</summary>
    public IReadOnlyList<LeftOutPair> LeftOut { get; init; } = [];

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
        return $"{LeftOutCount} of {LeftOutCount + PairCount} pairs cannot be swept and were left out: {which}. {(LeftOutCount > Explained ? "The first: " : "")}{why}";
    }
}

/// <summary>How a sweep is cut: what the workflow needs to fan out, small enough for any payload.</summary>
/// <param name="Layers">Layers of the model.</param>
/// <param name="Chunks">Chunks of pairs.</param>
/// <param name="Groups">
/// Groups of neighbouring chunks. The parts of all groups' first bands come first, so parts 0 to this less 1 together are every chunk once.
/// </param>
/// <param name="Parts">Parts, one activity each: a band of layers over a group of chunks.</param>
/// <param name="Runs">Runs to be stored, one for each band of layers over each chunk.</param>
/// <param name="Method">How effects are found.</param>
/// <param name="SumSlices">In how many slices the sums over all pairs are taken first, of mean ablation; otherwise 0.</param>
/// <param name="PatchedRuns">Patched runs; of a screen about as many, of an adaptive sweep a guess (<see cref="SweepCut.AdaptiveShare"/>).</param>
/// <param name="Flops">Floating-point operations, counted.</param>
/// <param name="BytesToCache">Bytes of activations that are written where none are there yet.</param>
/// <param name="BytesToRead">Bytes of activations that are read by parts that did not make them.</param>
/// <param name="Seconds">The time on one worker, estimated from a rate for the kind of device.</param>
/// <param name="MemoryBytes">The most memory that an activity takes on a CPU beside the weights; on a GPU a batch takes up to half of the card's free memory.</param>
public sealed record PlanSize(
    int Layers,
    int Chunks,
    int Groups,
    int Parts,
    int Runs,
    Method Method,
    int SumSlices,
    long PatchedRuns,
    double Flops,
    long BytesToCache,
    long BytesToRead,
    double Seconds,
    long MemoryBytes)
{
    /// <summary>What memory an activity takes, and where the weights are; null in plans of versions before there was a choice.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public PlannedMemory? Memory { get; init; }

    /// <summary>Whether sets of nodes are patched then, in rounds that nobody can count before.</summary>
    public bool RunsSets { get; init; }

    /// <summary>Activities of the sweep: those of every wave, and planning and assembling; not those of rounds. Of heads there is one more, which reads the report's patterns.</summary>
    [JsonIgnore]
    public int Activities => 2
        + (Parts > Groups ? Groups : 0)
        + SumSlices
        + (Method == Method.Exact ? 0 : Groups)
        + (Method == Method.Screen ? 1 : 0)
        + (Method is Method.Attribution or Method.Adaptive ? 0 : Parts);
}

/// <summary>One activity's share of a sweep.</summary>
/// <param name="FirstLayer">Its first layer.</param>
/// <param name="LastLayer">Its last layer.</param>
/// <param name="Chunks">Its chunks.</param>
public sealed record PlannedPart(int FirstLayer, int LastLayer, IReadOnlyList<PlannedChunk> Chunks)
{
    /// <summary>Of the part that has its chunks' first layers: the bands of all layers, and which part has each. Empty in the others.</summary>
    public IReadOnlyList<PlannedBand> Bands { get; init; } = [];

    /// <summary>The operations of its patched runs over each chunk, counted.</summary>
    public IReadOnlyList<double> Flops { get; init; } = [];

    /// <summary>The operations of its patched runs over one of its chunks; 0 where the plan is of a version that did not keep them.</summary>
    public double FlopsOf(int chunk) => chunk < Flops.Count ? Flops[chunk] : 0;

    /// <summary>What of it some work goes over: an estimate has all layers at once, whatever the band.</summary>
    public PlannedPart For(ChunkWork work, SweepPlan plan) => work.OfAllLayers ? this with { FirstLayer = 0, LastLayer = plan.Model.Layers - 1 } : this;

    /// <summary>The key of the runs that this part's band of layers makes over a chunk.</summary>
    public string KeyOf(PlannedChunk chunk, ChunkWork work) => chunk.KeyOfRuns(work, FirstLayer, LastLayer);
}

/// <summary>A band of layers over a group of chunks.</summary>
/// <param name="FirstLayer">Its first layer.</param>
/// <param name="LastLayer">Its last layer.</param>
/// <param name="Part">The part of the plan that it is.</param>
public sealed record PlannedBand(int FirstLayer, int LastLayer, int Part);

/// <summary>A chunk of pairs that run as one batch.</summary>
/// <param name="Pairs">Its pairs.</param>
/// <param name="Places">The place of each in the result.</param>
/// <param name="Start">The first position that is cached of each run: that of the first difference; 0 for ablations, which change positions before it too.</param>
/// <param name="Activations">The key of its activations.</param>
public sealed record PlannedChunk(IReadOnlyList<TokenPair> Pairs, IReadOnlyList<int> Places, int Start, string Activations)
{
    /// <summary>The operations of its clean and corrupted runs, counted.</summary>
    public double CachingFlops { get; init; }

    /// <summary>The operations of its estimates, counted; 0 where there are none.</summary>
    public double EstimatingFlops { get; init; }

    /// <summary>With mean and resample ablation, what its pairs are given of all pairs; null otherwise.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ChunkAblation? Ablation { get; init; }

    /// <summary>The key of what the parts of the model add directly to its clean runs' metric.</summary>
    public string KeyOfAttribution(PlannedMetric metric) => WorkKeys.Attribution(Activations, Pairs, metric);

    /// <summary>The key under which runs of it lie that were made one by one, of some heads on some pairs.</summary>
    public string KeyOfDrawn(ChunkWork.Heads work, int layers) => KeyOfRuns(work with { Only = null }, 0, layers - 1);

    /// <summary>The key of the runs that a band of layers makes over it.</summary>
    public string KeyOfRuns(ChunkWork work, int firstLayer, int lastLayer) => WorkKeys.Runs(Activations, Pairs, work.Text, firstLayer, lastLayer);
}

/// <summary>A sweep's whole plan, as the planner makes it.</summary>
/// <param name="Header">The header.</param>
/// <param name="Parts">The parts.</param>
/// <param name="TokenTexts">The text of each token of the pairs, so that assembling needs no model; null without a tokenizer.</param>
public sealed record PlannedSweep(SweepPlan Header, IReadOnlyList<PlannedPart> Parts, IReadOnlyDictionary<int, string>? TokenTexts)
{
    private static SweepRequest Unsaid { get; } = new();

    /// <summary>What makes a sweep the same one: everything that its result depends on. How many heads a table shows is no part of the result.</summary>
    public string Content() => string.Join(
        '\n',
        JsonSerializer.Serialize(Header.Request.Said() with { Model = Header.Model.Name, Dataset = Header.Dataset, Name = null, Count = null, Callback = null, Top = Unsaid.Top, Weights = Unsaid.Weights }, ResultJson.Compact),
        Header.Source.Fingerprint,
        Header.Source.Device,
        Numerics.Version,
        Header.PairsKey,
        (Header.References is null ? "" : WorkKeys.Pairs(Header.References)) + (Header.TokenWeights is null ? "" : Header.Metric().Text()),
        Header.ReferenceTitle,
        Header.LeftOutWarning(),
        TokenTexts is null ? "" : JsonSerializer.Serialize(TokenTexts.OrderBy(text => text.Key), ResultJson.Compact));
}
