using System.Runtime.CompilerServices;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;
using HeadPatching.Sweeps.Activities.Adaptive;
using HeadPatching.Sweeps.Activities.Artifacts;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Activities;

/// <summary>
/// The runs of a sweep in the store. They are read chunk by chunk, as often as something goes over all pairs, so that memory does not grow with them:
/// those of the first chunks are kept for the next time, as many as <see cref="MostKept"/> allows.
/// </summary>
/// <param name="store">The store.</param>
/// <param name="plans">The plans in it.</param>
/// <param name="sweepId">The sweep.</param>
/// <param name="plan">Its plan.</param>
/// <param name="before">What came before its patched runs: estimates, or unpatched metrics.</param>
/// <param name="exact">Its patched runs, where it has some.</param>
/// <param name="traffic">Told how much was read.</param>
/// <param name="attributed">Whether the metric's direct attribution is looked for with them.</param>
internal sealed class StoredRuns(
    IArtifactStore store, StoredPlans plans, string sweepId, SweepPlan plan, ChunkWork? before, ChunkWork? exact, Traffic traffic, bool attributed = false)
{
    /// <summary>How many missing parts are named at once; the rest are named by the next call.</summary>
    private const int MostMissing = 1000;

    /// <summary>Numbers and tokens that are kept in memory: some 100 MB of them.</summary>
    private const long MostKept = 6_000_000;

    private readonly Lock _gate = new();
    private readonly List<PlannedPart> _parts = [];                           // the first ones
    private readonly Dictionary<string, ChunkRuns> _runs = [];                // of chunks of theirs, by key
    private long _kept;

    /// <summary>With the method <c>adaptive</c>, what was drawn of each pair that was, by its place.</summary>
    public IReadOnlyDictionary<int, TakenPair> Drawn { get; init; } = new Dictionary<int, TakenPair>();

    /// <summary>The heads that were run after an estimate, by layer; null where all were.</summary>
    public IReadOnlyDictionary<int, int[]>? HeadsRun => (exact as ChunkWork.Heads)?.Only;

    /// <summary>Reads all of them once: what the pairs have in common, or which parts' runs are not there whole. Those are deleted, so that they are made again.</summary>
    public async Task<RunsOverview> LookAsync(CancellationToken cancellationToken)
    {
        var overview = new RunsOverview(new PairsOverview(plan.PairCount), new SortedSet<int>(), new SortedSet<int>());
        PlannedMetric metric = plan.Metric();
        bool attributes = attributed && metric.Make().IsLinear;
        for (int group = 0; group < plan.Size.Groups && overview.MissingEstimates.Count + overview.MissingRuns.Count < MostMissing; group++)
        {
            PlannedPart part = await PartAsync(group, cancellationToken);
            foreach (PlannedChunk chunk in part.Chunks)
            {
                IReadOnlyList<Baseline>? baselines = null;
                Task<ChunkAttribution?>? attribution = attributes // read beside the runs
                    ? AttributionArtifact.ReadAsync(store, chunk, metric, cancellationToken)
                    : null;
                foreach (StoredRun run in RunsOf(part, chunk))
                {
                    if (await ReadAsync(run.Key, chunk, cancellationToken) is not ChunkRuns runs)
                    {
                        await store.DeleteAsync(SweepArtifacts.Runs(run.Key), cancellationToken);
                        (run.IsEstimate ? overview.MissingEstimates : overview.MissingRuns).Add(run.Part);
                        continue;
                    }

                    baselines ??= runs.Baselines;
                    overview.CacheSeconds += runs.CacheSeconds;
                    overview.PatchSeconds += runs.Layers.Sum(layer => layer.Seconds);
                    overview.PatchedRuns += run.IsEstimate ? 0 : runs.Layers.Sum(layer => layer.PatchedRuns);
                }

                if (attribution is not null)
                {
                    overview.Add(group, await attribution);
                }

                foreach (var (place, pair, baseline) in baselines is null ? [] : chunk.Places.Zip(chunk.Pairs, baselines))
                {
                    overview.Pairs.Add(place, pair, baseline);
                }
            }
        }

        return overview;
    }

    /// <summary>Every pair of the sweep with its runs, chunk by chunk.</summary>
    /// <exception cref="MissingRunsException">Some went missing since <see cref="LookAsync"/>.</exception>
    public async IAsyncEnumerable<PairRuns> PairByPairAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        for (int group = 0; group < plan.Size.Groups; group++)
        {
            PlannedPart part = await PartAsync(group, cancellationToken);
            foreach (PlannedChunk chunk in part.Chunks)
            {
                IReadOnlyList<Baseline> baselines = [];
                var estimates = new LayerPatches?[plan.Model.Layers];
                var patches = new LayerPatches?[plan.Model.Layers];
                foreach (StoredRun run in RunsOf(part, chunk))
                {
                    ChunkRuns runs = await ReadAsync(run.Key, chunk, cancellationToken) ?? throw new MissingRunsException();
                    baselines = runs.Baselines;
                    foreach (LayerPatches layer in runs.Layers)
                    {
                        (run.IsEstimate ? estimates : patches)[layer.Layer] = layer;
                    }
                }

                for (int pair = 0; pair < chunk.Pairs.Count; pair++)
                {
                    yield return Of(chunk, pair, baselines[pair], estimates, patches);
                }
            }
        }
    }

    private PairRuns Of(PlannedChunk chunk, int pair, Baseline baseline, LayerPatches?[] estimates, LayerPatches?[] patches)
    {
        if (plan.Request.Method == Method.Adaptive)
        {
            double[][][] drawn = [.. Enumerable.Range(0, patches.Length).Select(_ => new[] { Enumerable.Repeat(double.NaN, plan.HeadCount).ToArray() })];
            foreach (var (head, metric) in Drawn.TryGetValue(chunk.Places[pair], out TakenPair? taken) ? taken.Heads.Zip(taken.Metric) : [])
            {
                drawn[head / plan.HeadCount][0][head % plan.HeadCount] = metric;
            }

            return new PairRuns(chunk.Places[pair], chunk.Pairs[pair], baseline, drawn)
            {
                Estimates = before is ChunkWork.Estimates ? [.. estimates.Select(layer => layer!.PatchedMetric[pair])] : null,
            };
        }

        if (before is null || exact is null)
        {
            return new PairRuns(chunk.Places[pair], chunk.Pairs[pair], baseline, [.. (exact is null ? estimates : patches).Select(layer => layer!.PatchedMetric[pair])]);
        }

        double[][][] estimated = [.. estimates.Select(layer => layer!.PatchedMetric[pair])];
        var run = patches.OfType<LayerPatches>().ToDictionary(layer => layer.Layer, layer => layer.PatchedMetric[pair]);
        return new PairRuns(chunk.Places[pair], chunk.Pairs[pair], baseline, PairRuns.ExactWhereRun(estimated, run, HeadsRun!)) { Estimates = estimated };
    }

    private async Task<PlannedPart> PartAsync(int group, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (group < _parts.Count)
            {
                return _parts[group];
            }
        }

        PlannedPart part = await plans.PartAsync(sweepId, group, cancellationToken);
        lock (_gate)
        {
            if (group == _parts.Count && _kept < MostKept)
            {
                _parts.Add(part);
                _kept += part.Chunks.Sum(chunk => chunk.Pairs.Sum(pair => 2L * pair.Length));
            }
        }

        return part;
    }

    /// <summary>The runs under a key; null where they are not there whole.</summary>
    private async Task<ChunkRuns?> ReadAsync(string key, PlannedChunk chunk, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (_runs.TryGetValue(key, out ChunkRuns? kept))
            {
                return kept;
            }
        }

        ChunkRuns? runs = await RunArtifact.ReadAsync(store, key, chunk.Pairs, traffic, cancellationToken);
        lock (_gate)
        {
            if (runs is not null && _kept < MostKept && _runs.TryAdd(key, runs))
            {
                _kept += runs.Layers.Sum(layer => layer.PatchedMetric.Sum(rows => rows.Sum(row => (long)row.Length)));
            }
        }

        return runs;
    }

    /// <summary>The artifacts that the runs of a chunk are in.</summary>
    private IEnumerable<StoredRun> RunsOf(PlannedPart part, PlannedChunk chunk)
    {
        if (before is not null)
        {
            yield return new StoredRun(chunk.KeyOfRuns(before, 0, plan.Model.Layers - 1), part.Bands[0].Part, IsEstimate: true);
        }

        if (exact is not null)
        {
            foreach (PlannedBand band in part.Bands)
            {
                yield return new StoredRun(chunk.KeyOfRuns(exact, band.FirstLayer, band.LastLayer), band.Part, IsEstimate: false);
            }
        }
    }

    private readonly record struct StoredRun(string Key, int Part, bool IsEstimate);
}

/// <summary>What one reading of all runs of a sweep tells.</summary>
/// <param name="Pairs">The pairs.</param>
/// <param name="MissingEstimates">Parts whose estimates are not there whole.</param>
/// <param name="MissingRuns">Parts whose runs are not there whole.</param>
internal sealed record RunsOverview(PairsOverview Pairs, ISet<int> MissingEstimates, ISet<int> MissingRuns)
{
    private LogitAttribution? _attribution;
    private bool _overflows;

    /// <summary>Whether all runs are there.</summary>
    public bool IsWhole => MissingEstimates.Count + MissingRuns.Count == 0;

    /// <summary>Groups of chunks whose direct attribution is not there.</summary>
    public ISet<int> MissingAttributions { get; } = new SortedSet<int>();

    /// <summary>What the parts of the model add directly to the clean metric, the sum over the pairs; null where the metric has no such thing, or it is not finite.</summary>
    public LogitAttribution? Attribution => _overflows ? null : _attribution;

    /// <summary>Takes in a chunk's direct attribution.</summary>
    /// <param name="group">The chunk's group.</param>
    /// <param name="chunk">What is stored; null where it is not there.</param>
    public void Add(int group, ChunkAttribution? chunk)
    {
        if (chunk is null)
        {
            MissingAttributions.Add(group);
        }
        else if (chunk.Sum is null)
        {
            _overflows = true;
        }
        else
        {
            _attribution = _attribution?.Plus(chunk.Sum) ?? chunk.Sum;
        }
    }

    /// <summary>Seconds in clean and corrupted runs.</summary>
    public double CacheSeconds { get; set; }

    /// <summary>Seconds in patched runs and estimates.</summary>
    public double PatchSeconds { get; set; }

    /// <summary>How many patched runs were made.</summary>
    public long PatchedRuns { get; set; }
}

/// <summary>Runs that were there are gone.</summary>
internal sealed class MissingRunsException : Exception;
