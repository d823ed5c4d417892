using System.Text.Json;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Requests;

namespace HeadPatching.Sweeps.Plans;

/// <summary>What is done with each chunk of pairs: one of the records below and no other.</summary>
public abstract record ChunkWork
{
    private ChunkWork(PlannedMetric metric)
    {
        Metric = metric;
    }

    /// <summary>What is measured.</summary>
    public PlannedMetric Metric { get; }

    /// <summary>Whether what it puts in depends on all pairs of the sweep, not on a chunk alone.</summary>
    public virtual bool NeedsAllPairs => false;

    /// <summary>Whether it goes over all layers at once, whatever the band.</summary>
    public virtual bool OfAllLayers => false;

    /// <summary>How many residual streams a patched run holds at the most.</summary>
    public virtual int StreamsOfRun => 1;

    /// <summary>How often a chunk reads streamed weights beside the passes of its patched runs, with the first of which its own runs go.</summary>
    public virtual int FurtherPasses => 0;

    /// <summary>Everything that the numbers depend on beside the pairs, the activations and the layers: a part of the key of the runs.</summary>
    public abstract string Text { get; }

    /// <summary>The cached tensors that a band of layers looks at.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="first">The band's first layer.</param>
    /// <param name="last">Its last.</param>
    /// <param name="start">The first position that is cached of each run.</param>
    public abstract IReadOnlyList<CachedTensor> Needed(ModelConfig config, int first, int last, int start);

    /// <summary>The floating-point operations of a band of layers over a chunk of pairs, counted.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="pairs">The chunk's pairs.</param>
    /// <param name="first">The band's first layer.</param>
    /// <param name="last">Its last.</param>
    public abstract double Operations(ModelConfig config, IReadOnlyList<TokenPair> pairs, int first, int last);

    /// <summary>The patched runs of a band of layers over a chunk of pairs, as they are reported when they are made.</summary>
    /// <inheritdoc cref="Operations"/>
    public virtual long PatchedRuns(ModelConfig config, IReadOnlyList<TokenPair> pairs, int first, int last) => 0;

    /// <summary>The work that a request's patched runs, or paths, are.</summary>
    /// <param name="request">The request.</param>
    /// <param name="metric">What it measures.</param>
    /// <param name="references">The pairs of its reference, where it has one.</param>
    /// <param name="pairsKey">The key of all pairs of the sweep.</param>
    public static ChunkWork Exact(SweepRequest request, PlannedMetric metric, IReadOnlyList<TokenPair>? references, string pairsKey) => request.PathOptions() is PathOptions paths
        ? new Paths(metric, paths)
        : new Heads(metric, request.PatchOptions() with { References = references }, pairsKey);

    /// <summary>The work that comes before a request's patched runs: its estimates, or where it has none the unpatched metrics; null with the method <c>exact</c>.</summary>
    public static ChunkWork? Before(SweepRequest request, PlannedMetric metric) => request switch
    {
        { Method: Method.Exact } => null,
        _ when request.EstimatedFrom() is Gradient gradient => new Estimates(metric, request.PatchOptions(), gradient),
        _ => new Unpatched(metric),
    };

    private string Joined(params object?[] parts) =>
        $"{GetType().Name} {Metric.Text()} {string.Join(' ', parts.Select(part => JsonSerializer.Serialize(part, ResultJson.Compact)))}";

    /// <summary>Patched runs, of every head or of some.</summary>
    /// <param name="Measure">What is measured.</param>
    /// <param name="Options">What is patched.</param>
    /// <param name="PairsKey">The key of all pairs of the sweep.</param>
    public sealed record Heads(PlannedMetric Measure, PatchOptions Options, string PairsKey) : ChunkWork(Measure)
    {
        /// <summary>The heads to run, by layer; null: all.</summary>
        public IReadOnlyDictionary<int, int[]>? Only { get; init; }

        /// <inheritdoc/>
        public override bool NeedsAllPairs => Options.Ablation is Ablation.Mean or Ablation.Resample;

        /// <inheritdoc/>
        public override int FurtherPasses => NeedsAllPairs ? 2 : 0; // its own runs, what is put in

        /// <inheritdoc/>
        public override string Text => Joined(
            Options.Patch,
            Options.Ablation,
            Options.Positions,
            Options.Direction,
            NeedsAllPairs ? PairsKey : null,
            Options.References is null ? null : WorkKeys.Pairs(Options.References),
            Options.Ablation == Ablation.Resample ? Options.Seed : null,
            Only is null ? null : string.Join(';', Only.OrderBy(layer => layer.Key).Select(layer => $"{layer.Key}:{string.Join(',', layer.Value)}")));

        /// <inheritdoc/>
        public override IReadOnlyList<CachedTensor> Needed(ModelConfig config, int first, int last, int start) =>
            NeededTensors.OfBand(config, Options, first, last, start);

        /// <inheritdoc/>
        public override double Operations(ModelConfig config, IReadOnlyList<TokenPair> pairs, int first, int last) =>
            Cost.OfBand(config, Options, pairs, first, last);

        /// <inheritdoc/>
        public override long PatchedRuns(ModelConfig config, IReadOnlyList<TokenPair> pairs, int first, int last) => Only is null
            ? Cost.RunsOfBand(config, Options, pairs, first, last)
            : Only.Where(layer => layer.Key >= first && layer.Key <= last)
                .Sum(layer => Cost.RunsOfBand(config, Options, pairs, layer.Key, layer.Key) * layer.Value.Length / Units.Of(config, Options.Patch));
    }

    /// <summary>Patched paths.</summary>
    /// <param name="Measure">What is measured.</param>
    /// <param name="Options">The paths.</param>
    public sealed record Paths(PlannedMetric Measure, PathOptions Options) : ChunkWork(Measure)
    {
        /// <inheritdoc/>
        public override int StreamsOfRun => Options.StreamsOfRun;

        /// <inheritdoc/>
        public override string Text => Joined(string.Join(' ', Options.Receivers), Options.FreezeMlps, Options.Positions, Options.Direction);

        /// <inheritdoc/>
        public override IReadOnlyList<CachedTensor> Needed(ModelConfig config, int first, int last, int start) =>
            NeededTensors.OfPaths(config, Options, first, last, start);

        /// <inheritdoc/>
        public override double Operations(ModelConfig config, IReadOnlyList<TokenPair> pairs, int first, int last) =>
            Cost.OfPaths(config, Options, pairs, first, last);

        /// <inheritdoc/>
        public override long PatchedRuns(ModelConfig config, IReadOnlyList<TokenPair> pairs, int first, int last) =>
            Cost.RunsOfPaths(config, Options, pairs, first, last);
    }

    /// <summary>The unpatched metrics alone: what an adaptive sweep needs of all pairs before it runs a head on some.</summary>
    /// <param name="Measure">What is measured.</param>
    public sealed record Unpatched(PlannedMetric Measure) : ChunkWork(Measure)
    {
        /// <inheritdoc/>
        public override bool OfAllLayers => true;

        /// <inheritdoc/>
        public override int FurtherPasses => 1;

        /// <inheritdoc/>
        public override string Text => Joined();

        /// <inheritdoc/>
        public override IReadOnlyList<CachedTensor> Needed(ModelConfig config, int first, int last, int start) => [];

        /// <inheritdoc/>
        public override double Operations(ModelConfig config, IReadOnlyList<TokenPair> pairs, int first, int last) => 0;
    }

    /// <summary>Estimates of every patch from one gradient.</summary>
    /// <param name="Measure">What is measured.</param>
    /// <param name="Options">What is patched.</param>
    /// <param name="Gradient">Which gradient.</param>
    public sealed record Estimates(PlannedMetric Measure, PatchOptions Options, Gradient Gradient) : ChunkWork(Measure)
    {
        /// <inheritdoc/>
        public override bool OfAllLayers => true;

        /// <inheritdoc/>
        public override int FurtherPasses => Options.Patch == Patch.Z ? 3 : 4; // its own runs, forwards, backwards; for what is within a layer, some layers once more

        /// <inheritdoc/>
        public override string Text => Joined(Options.Patch, Options.Positions, Options.Direction, Gradient);

        /// <inheritdoc/>
        public override IReadOnlyList<CachedTensor> Needed(ModelConfig config, int first, int last, int start) =>
            NeededTensors.OfEstimate(config, Options, start);

        /// <inheritdoc/>
        public override double Operations(ModelConfig config, IReadOnlyList<TokenPair> pairs, int first, int last) =>
            Cost.OfEstimate(config, pairs.Count, pairs[0].Length);
    }
}
