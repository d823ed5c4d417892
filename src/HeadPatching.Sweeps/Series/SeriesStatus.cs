using System.Globalization;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Series;

/// <summary>Where a series stands.</summary>
/// <param name="Series">The series.</param>
/// <param name="Sweeps">Where each model's sweep stands, in the series' order; null where it was deleted.</param>
public sealed record SeriesStatus(StoredSeries Series, IReadOnlyList<SweepStatus?> Sweeps)
{
    /// <summary>How many have their result.</summary>
    public int Completed => Sweeps.Count(sweep => sweep?.Status == SweepState.Completed);

    /// <summary>Whether nothing more will become of it by itself.</summary>
    public bool HasEnded => Sweeps.All(sweep => sweep?.HasEnded ?? true);

    /// <summary>
    /// Where it stands: completed when all are. Of one that has ended without, the worst of its sweeps says how; one of which a sweep was deleted is
    /// damaged.
    /// </summary>
    public SweepState State =>
        !HasEnded ? Sweeps.All(sweep => sweep?.Status == SweepState.Queued) ? SweepState.Queued : SweepState.Running
        : Sweeps.Max(sweep => sweep?.Status ?? SweepState.Damaged) switch
        {
            SweepState.Cancelled when Sweeps.Any(sweep => sweep?.Status == SweepState.Failed) => SweepState.Failed,
            var worst => worst,
        };

    /// <summary>When the last of its sweeps ended; null before.</summary>
    public DateTimeOffset? FinishedAt => HasEnded ? Sweeps.Max(sweep => sweep?.FinishedAt) : null;
}

/// <summary>A page of the list of series.</summary>
/// <param name="Series">Newest first.</param>
/// <param name="Total">How many there are on all pages.</param>
/// <param name="Next">Where this page ends, to ask for the next (of the form of <see cref="SweepPage.Next"/>); null on the last.</param>
public sealed record SeriesPage(IReadOnlyList<SeriesStatus> Series, int Total, string? Next)
{
    /// <summary>Of a series' file, its id.</summary>
    internal static string IdOf(ArtifactInfo file) => Path.GetFileNameWithoutExtension(file.Name);

    /// <summary>The place of a series: what is written once is as old as its file.</summary>
    internal static string PlaceOf(ArtifactInfo file) => string.Create(CultureInfo.InvariantCulture, $"{file.LastModified.UtcTicks:x16}-{IdOf(file)}");
}
