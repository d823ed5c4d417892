namespace HeadPatching.Sweeps.Activities;

/// <summary>Tells the steps of a band of layers over a chunk, so that together they are the operations that the plan counted for it.</summary>
/// <param name="flops">Those of the patched runs, or of the estimates.</param>
/// <param name="caches">Whether the chunk's activations are counted with it.</param>
/// <param name="progress">Who is told.</param>
internal sealed class ChunkSteps(double flops, bool caches, Action<WorkStep>? progress)
{
    private double _told;

    /// <summary>Who is told of the steps of caching; null where they are not counted here.</summary>
    public Action<WorkStep>? Caching => caches ? progress : null;

    /// <summary>Tells of patched runs: each is as much of the band as the others, though those of a later layer take less.</summary>
    /// <param name="expected">How many there will be.</param>
    public Action<long> OfRuns(long expected) => made => Tell(Math.Min(flops * made / Math.Max(1, expected), flops - _told), made);

    /// <summary>Tells what is left of it.</summary>
    public void End() => Tell(flops - _told, 0);

    private void Tell(double some, long runs)
    {
        _told += some;
        progress?.Invoke(new WorkStep(some, runs));
    }
}
