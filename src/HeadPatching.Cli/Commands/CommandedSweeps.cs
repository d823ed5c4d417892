using HeadPatching.Azure;
using HeadPatching.Cli.Terminal;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Results;
using HeadPatching.Reports;
using HeadPatching.Reports.Circuits;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Engine.Stored;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Cli.Commands;

/// <summary>A sweep that is planned and has a folder to be put into.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Request">What was asked for.</param>
/// <param name="Plan">Its plan's header; the rest lies in the store.</param>
/// <param name="Folder">Where its files go.</param>
internal sealed record CommandedSweep(string Id, SweepRequest Request, SweepPlan Plan, OutFolder Folder);

/// <summary>The sweeps of one command, which share a store and an engine: planned, run and taken out one after another.</summary>
internal sealed class CommandedSweeps : IAsyncDisposable
{
    private readonly string _location;
    private readonly IArtifactStore _store;
    private readonly FaultPlaces _places;
    private readonly bool _force;
    private readonly ModelCatalog _catalog;
    private readonly StoredPlans _plans;
    private readonly InProcessEngine _engine;
    private bool _checked;

    /// <summary>Over a store.</summary>
    /// <param name="location">Where the store is.</param>
    /// <param name="places">How faults name places.</param>
    /// <param name="force">Whether other sweeps' results may be written over.</param>
    public CommandedSweeps(string location, FaultPlaces places, bool force)
    {
        _location = location;
        _store = ArtifactStores.Open(location);
        _places = places;
        _force = force;
        _catalog = new ModelCatalog(DefaultFolders.Models, foldersToo: true, new StoredModels(_store, new ModelCache(progress: new ModelDownloads())), DefaultFolders.HuggingFace);
        _plans = new StoredPlans(_store, _catalog);
        _engine = new InProcessEngine(_store, _catalog, ReportFiles.All);
    }

    /// <summary>The fingerprint of a model.</summary>
    public async Task<string> FingerprintAsync(string model, CancellationToken cancellation)
    {
        using LocatedModel located = await _catalog.LocateAsync(model, _places.Option("model"), cancellation);
        return located.Fingerprint();
    }

    /// <summary>Plans a sweep, and says which pairs it leaves out.</summary>
    public async Task<PlannedSweep> PlanAsync(SweepRequest request, CancellationToken cancellation)
    {
        PlannedSweep plan = await Notes.WhileAsync(
            "reading the model and the prompts", () => _plans.PlanAsync(request, TimeProvider.System.GetUtcNow(), _places, cancellation));
        LeftOutPairs.Say(plan.Header.LeftOutCount, plan.Header.LeftOut);
        return plan;
    }

    /// <summary>Sees that it can be stored and put into its folder, before any work is done for it, and stores its plan.</summary>
    public async Task<CommandedSweep> PrepareAsync(SweepRequest request, PlannedSweep plan, string output, CancellationToken cancellation)
    {
        string id = SweepIds.OfContent(plan);
        OutFolder folder = OutFolder.Open(output, id, _force);
        if (!_checked)
        {
            await _store.CheckAsync(cancellation);
            _checked = true;
        }

        await _plans.WriteAsync(id, plan, cancellation); // as it is: the engine need not plan again
        return new CommandedSweep(id, request, plan.Header, folder);
    }

    /// <summary>Runs it to its end, and shows how it goes.</summary>
    public async Task<SweepStatus> RunAsync(CommandedSweep sweep, CancellationToken cancellation)
    {
        if (await _engine.FindOwnerAsync(sweep.Id, cancellation) is SweepOwner owner)
        {
            Notes.Say($"The same sweep runs already, in process {owner.ProcessId} on {owner.Machine}. It is followed to its end there; if that process ends, the sweep goes on here.");
        }

        try
        {
            return await SweepDisplay.RunAsync(_engine, sweep.Plan, () => _engine.RunAsync(sweep.Id, sweep.Request, cancellation));
        }
        catch (OperationCanceledException)
        {
            Notes.Say($"Stopped. Finished runs and activations are kept in {(_store.IsRemote ? "the store" : Path.GetFullPath(_location))}.");
            throw;
        }
    }

    /// <summary>Copies the files of one that completed, and writes what is made of its edges and its circuit beside them.</summary>
    /// <returns>The result, and the paths, results.json first.</returns>
    public async Task<(SweepResult Result, IReadOnlyList<string> Files)> TakeAsync(CommandedSweep sweep, CancellationToken cancellation)
    {
        IReadOnlyList<string> files = await sweep.Folder.TakeAsync(_store, cancellation);
        await using FileStream results = File.OpenRead(files[0]);
        SweepResult result = await ResultJson.ReadAsync(results, files[0], cancellation);
        IEnumerable<(string Name, Action<Stream> Write)> made = EdgeFiles.Of(result).Concat(result.Circuit is ProofSheet sheet ? CircuitFiles.Of(sheet, result) : []);
        return (result, [.. files, .. sweep.Folder.Write(made)]);
    }

    /// <summary>Says why one did not complete.</summary>
    /// <returns>The exit code.</returns>
    public static async Task<int> SayWhyAsync(SweepStatus status)
    {
        foreach (string line in status.Error!.Faults.Count > 0 ? status.Error.Faults.Select(fault => fault.ToString()) : [status.Error.Message])
        {
            await Console.Error.WriteLineAsync(line);
        }

        return status.Error.Faults.Count > 0 ? ExitCode.BadInput : ExitCode.Failed;
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _engine.DisposeAsync();
}
