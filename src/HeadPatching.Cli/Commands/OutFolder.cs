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
    private const int MostOfResults = 64 << 10; // the id is the second member of results.json, which may be large

    private static readonly string[] Files = [ResultJson.File.Name, .. ReportFiles.All.Select(file => file.Name)];

    private readonly string _folder;
    private readonly string _given;
    private readonly string? _sweepId;
    private readonly bool _force;

    private OutFolder(string folder, string given, string? sweepId, bool force)
    {
        _folder = folder;
        _given = given;
        _sweepId = sweepId;
        _force = force;
    }

    private string Results => Path.Combine(_folder, ResultJson.File.Name);

    /// <summary>Makes the folder and sees that the sweep's files can be put there, before any work is done for them.</summary>
    /// <param name="folder">The folder as it was given.</param>
    /// <param name="sweepId">The sweep; null for files that are no sweep's, and may lie beside one's.</param>
    /// <param name="force">Whether another sweep's results may go.</param>
    /// <exception cref="InvalidInputException">It cannot be made or written, or holds another sweep's results.</exception>
    public static OutFolder Open(string folder, string? sweepId = null, bool force = false)
    {
        try
        {
            string full = Path.GetFullPath(folder);
            Directory.CreateDirectory(full);
            DeleteLeftovers(full);
            string probe = Path.Combine(full, $".headpatch-{Environment.ProcessId}");
            File.WriteAllText(probe, "");
            File.Delete(probe);
            var opened = new OutFolder(full, folder, sweepId, force);
            opened.CheckFree("");
            return opened;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new InvalidInputException(FaultKinds.CannotWrite, Option, $"The folder '{folder}' cannot be written: {e.Message}");
        }
    }

    /// <summary>Copies the finished sweep's files out of the store.</summary>
    /// <returns>The paths, results.json first.</returns>
    /// <exception cref="InvalidInputException">Another sweep's results were put there meanwhile.</exception>
    public async Task<IReadOnlyList<string>> TakeAsync(IArtifactStore store, CancellationToken cancellationToken)
    {
        var waiting = new List<(string From, string To)>();
        foreach (string file in Files)
        {
            string to = Path.Combine(_folder, file), from = $"{to}.{ProcessIdentity.Current}{PartSuffix}";
            await using Stream stored = await store.RequireReadAsync(SweepArtifacts.Result(_sweepId!, file), cancellationToken);
            await using FileStream copy = File.Create(from);
            await stored.CopyToAsync(copy, cancellationToken);
            waiting.Add((from, to));
        }

        try
        {
            CheckFree(" They were put there while this sweep ran. It is finished and in the store, so that this takes a moment.");
        }
        catch (InvalidInputException)
        {
            waiting.ForEach(file => File.Delete(file.From));
            throw;
        }

        if (IsOfAnother())
        {
            File.Delete(Results); // first: where there is a results.json, the other files are of the same sweep
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

    private void CheckFree(string how)
    {
        if (!_force && IsOfAnother())
        {
            throw new InvalidInputException(
                FaultKinds.CannotWrite, Option, $"The folder '{_given}' holds the results of another sweep.{how} Name another one, or write over them with --force.");
        }
    }

    private bool IsOfAnother() => _sweepId is not null && File.Exists(Results) && SweepIdOf(Results) != _sweepId;

    /// <summary>Whose results they are; null where the file is none of ours.</summary>
    private static string? SweepIdOf(string results)
    {
        byte[] begin = new byte[MostOfResults];
        using FileStream file = File.OpenRead(results);
        var reader = new Utf8JsonReader(begin.AsSpan(0, file.ReadAtLeast(begin, begin.Length, throwOnEndOfStream: false)), isFinalBlock: false, default);
        try
        {
            while (reader.Read())
            {
                if (reader.CurrentDepth == 1 && reader.TokenType == JsonTokenType.PropertyName && reader.ValueTextEquals("sweepId"u8))
                {
                    return reader.Read() && reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
                }
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // It is none of ours.
        }

        return null;
    }
}
