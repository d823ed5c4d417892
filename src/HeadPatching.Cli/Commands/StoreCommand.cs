using System.CommandLine;
using System.Globalization;
using HeadPatching.Azure;
using HeadPatching.Cli.Terminal;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Cli.Commands;

/// <summary><c>headpatch store</c>: what a store holds, and how to be rid of what no sweep refers to.</summary>
internal static class StoreCommand
{
    private const int MostDays = 36_500;

    // Nothing is planned or run here, so that no model is asked for.
    private static readonly ModelCatalog NoModels = new();

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var store = StoreOption.WithDefault("The store", "store");
        var days = new Option<int>("--days") { Description = "Only what is older than so many days", DefaultValueFactory = _ => 30 };
        // Of less than none, everything would be older, what a sweep has just written too. More no calendar holds.
        days.Validators.Add(result =>
        {
            if (result.Tokens.Count == 1 && int.TryParse(result.Tokens[0].Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int number) && number is < 0 or > MostDays)
            {
                result.AddError(FormattableString.Invariant($"{days.Name}: At least 0, at most {MostDays}."));
            }
        });
        var dryRun = new Option<bool>("--dry-run") { Description = "Say what would be deleted, and delete nothing" };
        var list = new Command("list", "The sweeps of the store, newest first") { store, OutputOptions.Json };
        list.SetAction((parsed, cancellation) => ListAsync(ArtifactStores.Open(parsed.GetRequiredValue(store)), parsed.GetValue(OutputOptions.Json), cancellation));
        var size = new Command("size", "How much the store holds of what") { store, OutputOptions.Json };
        size.SetAction((parsed, cancellation) => SizeAsync(ArtifactStores.Open(parsed.GetRequiredValue(store)), parsed.GetValue(OutputOptions.Json), cancellation));
        var prune = new Command("prune", "Delete activations and runs that no sweep refers to; they are made again where a later one needs them") { store, days, dryRun };
        prune.SetAction((parsed, cancellation) => PruneAsync(
            ArtifactStores.Open(parsed.GetRequiredValue(store)), parsed.GetValue(days), parsed.GetValue(dryRun), cancellation));
        return new Command("store", "See what a store holds, and free it of what no sweep refers to") { list, size, prune };
    }

    private static async Task<int> ListAsync(IArtifactStore store, bool json, CancellationToken cancellation)
    {
        await using var engine = new InProcessEngine(store, NoModels, reports: []);
        IReadOnlyList<SweepStatus> sweeps = (await engine.ListAsync(cancellationToken: cancellation)).Sweeps;
        if (json)
        {
            await JsonOutput.WriteAsync(new { sweeps }, cancellation);
            return ExitCode.Done;
        }

        foreach (SweepStatus status in sweeps)
        {
            Console.WriteLine(FormattableString.Invariant(
                $"{status.Id}  {status.CreatedAt:yyyy-MM-dd HH:mm}  {status.Status.ToString().ToLowerInvariant(),-9}  {status.Model}  {status.Dataset}  {status.Title}"));
        }

        return ExitCode.Done;
    }

    private static async Task<int> SizeAsync(IArtifactStore store, bool json, CancellationToken cancellation)
    {
        var byFolder = new SortedDictionary<string, (long Artifacts, long Bytes)>(StringComparer.Ordinal);
        await foreach (ArtifactInfo artifact in store.ListAsync("", cancellation))
        {
            string folder = artifact.Name.Split('/')[0];
            var (artifacts, bytes) = byFolder.GetValueOrDefault(folder);
            byFolder[folder] = (artifacts + 1, bytes + artifact.Length);
        }

        if (json)
        {
            await JsonOutput.WriteAsync(new { folders = byFolder.Select(one => new { name = one.Key, artifacts = one.Value.Artifacts, bytes = one.Value.Bytes }) }, cancellation);
            return ExitCode.Done;
        }

        foreach (var (folder, (artifacts, bytes)) in byFolder)
        {
            Console.WriteLine(FormattableString.Invariant($"{folder,-12} {bytes / 1048576.0,10:F1} MiB in {artifacts} artifacts"));
        }

        return ExitCode.Done;
    }

    private static async Task<int> PruneAsync(IArtifactStore store, int days, bool dryRun, CancellationToken cancellation)
    {
        IReadOnlyList<ArtifactInfo> unused = await StorePruning.UnusedAsync(
            store, new StoredPlans(store, NoModels), TimeProvider.System.GetUtcNow().AddDays(-days), cancellation);
        foreach (ArtifactInfo artifact in dryRun ? [] : unused)
        {
            await store.DeleteAsync(artifact.Name, cancellation);
        }

        Console.WriteLine(FormattableString.Invariant(
            $"{(dryRun ? "Would delete" : "Deleted")} {unused.Count} artifacts of {unused.Sum(artifact => artifact.Length) / 1048576.0:F1} MiB that no sweep refers to and are older than {days} days."));
        return ExitCode.Done;
    }
}
