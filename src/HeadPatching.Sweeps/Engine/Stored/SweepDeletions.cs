using System.Text.Json;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Engine.Stored;

/// <summary>
/// Takes sweeps out of the store. Who deletes puts a mark of his own beside the sweep's folder, only then sees whether the sweep is still to
/// go, and takes the mark away when all is gone. A sweep that is posted anew under the same id waits while there is a mark, so that it never
/// goes with the old one; and what a process left that died over it is finished by whoever looks next.
/// </summary>
public static class SweepDeletions
{
    private static readonly TimeSpan LongestDeletion = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan WaitInterval = TimeSpan.FromMilliseconds(100);

    /// <summary>Deletes everything of a sweep.</summary>
    /// <param name="store">The store.</param>
    /// <param name="sweepId">The sweep.</param>
    /// <param name="isToGo">Asked once the mark is there: whether what is in the folder now is what is to go.</param>
    /// <param name="cancellationToken">Stops the deleting, perhaps half way; it is finished later.</param>
    public static async Task DeleteSweepAsync(
        this IArtifactStore store, string sweepId, Func<CancellationToken, Task<bool>> isToGo, CancellationToken cancellationToken = default)
    {
        string mark = SweepArtifacts.DeletionMark(sweepId, Guid.NewGuid());
        await store.ReplaceTextAsync(mark, Content(isGoing: false), cancellationToken);
        bool cutShort = false;
        try
        {
            if (await isToGo(cancellationToken))
            {
                await store.ReplaceTextAsync(mark, Content(isGoing: true), cancellationToken);
                cutShort = true;
                await store.DeletePrefixAsync(SweepArtifacts.Folder(sweepId), cancellationToken);
                cutShort = false;
            }
        }
        finally
        {
            // Where it was cut short, the mark says so to those that come later. What is in the folder otherwise was posted since.
            if (!cutShort)
            {
                await store.DeleteAsync(mark, CancellationToken.None);
            }
        }
    }

    /// <summary>Deletes what a sweep's folder holds where there is no request in it: no sweep, but what is left of one.</summary>
    public static Task DeleteLeftoversAsync(this IArtifactStore store, string sweepId, CancellationToken cancellationToken = default) =>
        store.DeleteSweepAsync(sweepId, async stop => !await store.ExistsAsync(SweepArtifacts.Request(sweepId), stop), cancellationToken);

    /// <summary>Waits until nobody deletes a sweep; what was left half done is finished.</summary>
    public static async Task WaitForDeletionAsync(this IArtifactStore store, string sweepId, CancellationToken cancellationToken = default)
    {
        while (await store.IsBeingDeletedAsync(sweepId, cancellationToken))
        {
            await store.FinishDeletionsAsync(sweepId, cancellationToken);
            await Task.Delay(WaitInterval, cancellationToken);
        }
    }

    /// <summary>Whether somebody deletes a sweep, or has begun to.</summary>
    public static Task<bool> IsBeingDeletedAsync(this IArtifactStore store, string sweepId, CancellationToken cancellationToken = default) =>
        AnyAsync(store, SweepArtifacts.DeletionMarks(sweepId), cancellationToken);

    /// <summary>Finishes the deletions that dead processes have begun.</summary>
    /// <param name="store">The store.</param>
    /// <param name="sweepId">Of this sweep; null: of all.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    public static async Task FinishDeletionsAsync(this IArtifactStore store, string? sweepId = null, CancellationToken cancellationToken = default)
    {
        await foreach (ArtifactInfo mark in store.ListAsync(sweepId is null ? SweepArtifacts.Deletions : SweepArtifacts.DeletionMarks(sweepId), cancellationToken))
        {
            if (await store.ReadTextAsync(mark.Name, cancellationToken) is not StoredText text)
            {
                continue; // it was finished at this moment
            }

            var (process, isGoing) = Read(text.Text);
            if (process?.HasEnded() == true || DateTimeOffset.UtcNow - mark.LastModified > LongestDeletion)
            {
                if (isGoing)
                {
                    await store.DeleteSweepAsync(mark.Name.Split('/')[1], stop => store.ExistsAsync(mark.Name, stop), cancellationToken);
                }

                await store.DeleteAsync(mark.Name, cancellationToken);
            }
        }
    }

    private static string Content(bool isGoing) => JsonSerializer.Serialize(new Mark(ProcessIdentity.Current.ToString(), isGoing), ResultJson.Compact);

    private static (ProcessIdentity? Process, bool IsGoing) Read(string text)
    {
        try
        {
            Mark mark = StoredJson.Parse<Mark>("mark", text);
            return (ProcessIdentity.Parse(mark.Process), mark.IsGoing);
        }
        catch (DamagedArtifactException)
        {
            return (null, false);
        }
    }

    private static async Task<bool> AnyAsync(IArtifactStore store, string folder, CancellationToken cancellationToken) =>
        await store.ListAsync(folder, cancellationToken).AnyAsync(cancellationToken);

    /// <summary>A mark.</summary>
    /// <param name="Process">Who deletes.</param>
    /// <param name="IsGoing">Whether it is certain that the sweep goes.</param>
    private sealed record Mark(string Process, bool IsGoing);
}
