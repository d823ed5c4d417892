using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Engine.Stored;

/// <summary>
/// What a list shows of a completed sweep's result: written beside it, small however large the model, so that no list reads a results.json. Sweeps
/// of versions before it have none.
/// </summary>
/// <param name="SchemaVersion">The form of it; one that this version does not know counts as none.</param>
/// <param name="Pairs">How many pairs were swept.</param>
/// <param name="Strongest">The head with the largest |effect|; null where no effect is a number.</param>
/// <param name="Heatmap">The effects, [layer][head], to two decimals; of more than <see cref="MostCells"/> layers or heads, the strongest of each block.</param>
public sealed record SweepDigest(int SchemaVersion, int Pairs, HeadEffect? Strongest, double[][] Heatmap)
{
    /// <summary>The form that is written.</summary>
    public const int CurrentSchema = 1;

    /// <summary>The most rows, and the most columns, of <see cref="Heatmap"/>.</summary>
    public const int MostCells = 32;

    /// <summary>The digest of a result.</summary>
    public static SweepDigest Of(SweepResult result)
    {
        HeadResult? strongest = result.Heads.Where(head => double.IsFinite(head.PatchingEffect)).MaxBy(head => Math.Abs(head.PatchingEffect));
        return new SweepDigest(
            CurrentSchema, result.Dataset.Pairs, strongest is null ? null : new HeadEffect(strongest.Name, strongest.PatchingEffect), Shrunk(result.Heatmap));
    }

    private static double[][] Shrunk(double[][] heatmap) =>
    [
        .. Blocks(heatmap.Length).Select(layers => heatmap[layers]).Select(layers =>
            Blocks(layers.Max(layer => layer.Length)).Select(heads => Largest(layers.SelectMany(layer => layer.Take(heads)))).ToArray()),
    ];

    /// <summary>As few neighbours together as make the whole fit.</summary>
    private static IEnumerable<Range> Blocks(int count)
    {
        int size = (count + MostCells - 1) / MostCells;
        for (int first = 0; first < count; first += size)
        {
            yield return first..Math.Min(first + size, count);
        }
    }

    private static double Largest(IEnumerable<double> effects) =>
        Math.Round(effects.Where(double.IsFinite).OrderByDescending(Math.Abs).FirstOrDefault(), 2) + 0.0; // no -0
}

/// <summary>The digests of a store, of which the process remembers the last ones it read.</summary>
public sealed class SweepDigests
{
    private const int Remembered = 1000, ReadsAtOnce = 16;

    private readonly IArtifactStore _store;
    private readonly Lock _gate = new();
    private readonly Dictionary<(string SweepId, DateTimeOffset? FinishedAt), SweepDigest?> _known = [];

    /// <summary>Makes the reader.</summary>
    public SweepDigests(IArtifactStore store)
    {
        _store = store;
    }

    /// <summary>Those of the completed sweeps among some, by their ids.</summary>
    public async Task<IReadOnlyDictionary<string, SweepDigest>> ReadAsync(IReadOnlyList<SweepStatus> sweeps, CancellationToken cancellationToken = default)
    {
        var found = new Dictionary<string, SweepDigest>();
        await Parallel.ForEachAsync(
            sweeps.Where(status => status.Status == SweepState.Completed),
            new ParallelOptions { MaxDegreeOfParallelism = ReadsAtOnce, CancellationToken = cancellationToken },
            async (status, stop) =>
            {
                if (await FindAsync(status, stop) is SweepDigest digest)
                {
                    lock (found)
                    {
                        found[status.Id] = digest;
                    }
                }
            });
        return found;
    }

    /// <summary>That of one sweep; null where it has none.</summary>
    public async Task<SweepDigest?> FindAsync(SweepStatus status, CancellationToken cancellationToken = default)
    {
        if (status.Status != SweepState.Completed)
        {
            return null;
        }

        // Under the same id a sweep may come anew once it was deleted; then it ends at another time.
        var key = (status.Id, status.FinishedAt);
        lock (_gate)
        {
            if (_known.TryGetValue(key, out SweepDigest? known))
            {
                return known;
            }
        }

        SweepDigest? digest = await ReadAsync(status.Id, cancellationToken);
        lock (_gate)
        {
            if (_known.Count >= Remembered)
            {
                _known.Clear();
            }

            _known[key] = digest;
        }

        return digest;
    }

    private async Task<SweepDigest?> ReadAsync(string sweepId, CancellationToken cancellationToken)
    {
        try
        {
            SweepDigest? digest = await _store.ReadJsonAsync<SweepDigest>(SweepArtifacts.Digest(sweepId), cancellationToken);
            return digest is { SchemaVersion: SweepDigest.CurrentSchema, Heatmap: not null } ? digest : null;
        }
        catch (DamagedArtifactException)
        {
            return null; // a list is shown without it
        }
    }
}
