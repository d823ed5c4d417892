using System.Text.Json;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Results;
using HeadPatching.Reports;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Cli.Commands;

/// <summary>The folder that a sweep's files, or a comparison's, are put into. Each file is there whole or not at all, results.json last.</summary>
internal sealed class OutFolder
{
    private const string Option = "--out";
    private const string PartSuffix = ".part";

    private static readonly string[] Files = [ResultJson.File.Name, .. ReportFiles.All.Select(file => file.Name)];

    private readonly string _folder;
    private readonly string _given;

    private OutFolder(string folder, string given)
    {
        _folder = folder;
        _given = given;
    }

    /// <summary>Makes the folder and sees that it can be written, before any work is done for it.</summary>
    /// <exception cref="InvalidInputException">It cannot be made or written.</exception>
    public static OutFolder Open(string folder)
    {
        try
        {
            string full = Path.GetFullPath(folder);
            Directory.CreateDirectory(full);
            DeleteLeftovers(full);
            string probe = Path.Combine(full, $".headpatch-{Environment.ProcessId}");
            File.WriteAllText(probe, "");
            File.Delete(probe);
            return new OutFolder(full, folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new InvalidInputException(FaultKinds.CannotWrite, Option, $"The folder '{folder}' cannot be written: {e.Message}");
        }
    }

    /// <summary>Sees that no other sweep's results would be written over.</summary>
    /// <exception cref="InvalidInputException">The folder holds results, and not this sweep's.</exception>
    public void CheckFree(string sweepId)
    {
        string known = Path.Combine(_folder, ResultJson.File.Name);
        if (File.Exists(known) && SweepIdOf(known) != sweepId)
        {
            throw new InvalidInputException(
                FaultKinds.CannotWrite, Option, $"The folder '{_given}' holds the results of another sweep. Name another one, or write over them with --force.");
        }
    }

    /// <summary>Copies a finished sweep's files out of the store.</summary>
    /// <returns>The paths, results.json first.</returns>
    public async Task<IReadOnlyList<string>> TakeAsync(IArtifactStore store, string sweepId, CancellationToken cancellationToken)
    {
        var waiting = new List<(string From, string To)>();
        foreach (string file in Files)
        {
            string to = Path.Combine(_folder, file), from = $"{to}.{ProcessIdentity.Current}{PartSuffix}";
            await using Stream stored = await store.RequireReadAsync(SweepArtifacts.Result(sweepId, file), cancellationToken);
            await using FileStream copy = File.Create(from);
            await stored.CopyToAsync(copy, cancellationToken);
            waiting.Add((from, to));
        }

        foreach (var (from, to) in Enumerable.Reverse(waiting))
        {
            File.Move(from, to, overwrite: true);
        }

        return [.. waiting.Select(file => file.To)];
    }

    /// <summary>Writes files that are made here.</summary>
    /// <returns>Their paths.</returns>
    public IReadOnlyList<string> Write(IEnumerable<(string Name, Action<Stream> Write)> files)
    {
        var written = new List<string>();
        foreach (var (name, write) in files)
        {
            string to = Path.Combine(_folder, name), from = $"{to}.{ProcessIdentity.Current}{PartSuffix}";
            using (FileStream file = File.Create(from))
            {
                write(file);
            }

            File.Move(from, to, overwrite: true);
            written.Add(to);
        }

        return written;
    }

    /// <summary>Deletes what was half copied by processes that died over it.</summary>
    private static void DeleteLeftovers(string folder)
    {
        foreach (string part in Directory.GetFiles(folder, "*" + PartSuffix))
        {
            string writer = Path.GetFileNameWithoutExtension(part).Split('.')[^1];
            if (ProcessIdentity.Parse(writer)?.HasEnded() == true)
            {
                File.Delete(part);
            }
        }
    }

    /// <summary>Whose results they are; null where the file is none of ours.</summary>
    private static string? SweepIdOf(string results)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(results));
            return document.RootElement.GetProperty("sweepId").GetString();
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return null;
        }
    }
}
