using HeadPatching.Azure;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.Comparing;
using HeadPatching.Http.Comparing;
using HeadPatching.Reports;
using HeadPatching.Reports.Comparing;
using HeadPatching.Sweeps.Requests;

namespace HeadPatching.Cli.Commands;

/// <summary>A sweep as <c>compare</c> is told it: a folder that a sweep's files were put into, a results.json, or an id of the store.</summary>
internal static class ComparedSource
{
    /// <summary>Reads both; faults of both are named at once.</summary>
    /// <exception cref="InvalidInputException">One is none of these, or cannot be read.</exception>
    public static async Task<(ComparedSweep A, ComparedSweep B)> ReadAsync(string a, string b, string store, CancellationToken cancellationToken)
    {
        var faults = new List<Fault>();
        ComparedSweep?[] read = [await TryReadAsync(a, store, faults, cancellationToken), await TryReadAsync(b, store, faults, cancellationToken)];
        return faults.Count > 0 ? throw new InvalidInputException(faults) : (read[0]!, read[1]!);
    }

    private static async Task<ComparedSweep?> TryReadAsync(string given, string store, List<Fault> faults, CancellationToken cancellationToken)
    {
        try
        {
            return await ReadAsync(given, store, cancellationToken);
        }
        catch (InvalidInputException e)
        {
            faults.AddRange(e.Faults);
            return null;
        }
    }

    private static async Task<ComparedSweep> ReadAsync(string given, string store, CancellationToken cancellationToken)
    {
        string file = Directory.Exists(given) ? Path.Combine(given, ResultJson.File.Name) : given;
        if (File.Exists(file))
        {
            return await OfFileAsync(file, cancellationToken);
        }

        if (Directory.Exists(given))
        {
            throw new InvalidInputException(FaultKinds.NotFound, given, $"The folder has no {ResultJson.File.Name}: it is not one that a sweep's files were put into.");
        }

        if (!SweepIds.IsValid(given))
        {
            throw new InvalidInputException(FaultKinds.NotFound, given, "There is no such file or folder, and it is no sweep's id ('headpatch store list' says those of a store).");
        }

        return await StoredComparison.ReadAsync(ArtifactStores.Open(store), given, cancellationToken)
            ?? throw new InvalidInputException(FaultKinds.NotFound, given, "The store has no such sweep, or it has no result yet. Another store is named with --store.");
    }

    private static async Task<ComparedSweep> OfFileAsync(string file, CancellationToken cancellationToken)
    {
        try
        {
            await using FileStream stream = File.OpenRead(file);
            SweepResult result = await ResultJson.ReadAsync(stream, file, cancellationToken);
            string pairs = Path.Combine(Path.GetDirectoryName(file)!, EffectsTable.Name);
            return StoredPairNumbers.Compared(result, File.Exists(pairs) ? _ => Task.FromResult<Stream>(File.OpenRead(pairs)) : null, pairs);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InvalidInputException(FaultKinds.NotFound, file, $"It cannot be read: {e.Message}");
        }
    }
}
