using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Activities.Adaptive;
using HeadPatching.Sweeps.Activities.Artifacts;
using HeadPatching.Sweeps.Activities.Sets;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Sweeps.Activities;

/// <summary>The activities' names, the same in both engines.</summary>
public static class ActivityNames
{
    /// <summary>Validates, tokenises, fingerprints and cuts; gives the <see cref="PlanSize"/>.</summary>
    public const string PlanSweep = nameof(PlanSweep);

    /// <summary>Makes the activations of a part's chunks; gives a <see cref="WorkReport"/>.</summary>
    public const string CacheActivations = nameof(CacheActivations);

    /// <summary>Takes the sums that means over all pairs are made of; gives a <see cref="WorkReport"/>.</summary>
    public const string SumActivations = nameof(SumActivations);

    /// <summary>Estimates every patch over a part's chunks; gives a <see cref="WorkReport"/>.</summary>
    public const string EstimateEffects = nameof(EstimateEffects);

    /// <summary>Chooses the heads to run after the estimate; gives the number of layers that have some.</summary>
    public const string ScreenHeads = nameof(ScreenHeads);

    /// <summary>Runs the patches of a part; gives a <see cref="WorkReport"/>.</summary>
    public const string PatchHeads = nameof(PatchHeads);

    /// <summary>Decides of an adaptive sweep which heads are run on which pairs next, or that all are decided; gives a <see cref="NextHeads"/>.</summary>
    public const string DecideHeads = nameof(DecideHeads);

    /// <summary>Runs a part of a round of an adaptive sweep; gives a <see cref="WorkReport"/>.</summary>
    public const string PatchDrawn = nameof(PatchDrawn);

    /// <summary>Decides which sets of nodes are patched next, or puts together what they came to; gives a <see cref="NextRound"/>.</summary>
    public const string PlanRound = nameof(PlanRound);

    /// <summary>Patches a part of a round's sets; gives a <see cref="WorkReport"/>.</summary>
    public const string PatchSets = nameof(PatchSets);

    /// <summary>Attributes the metric of a group's clean runs to the parts of the model, where that was not done when they were run; gives a <see cref="WorkReport"/>.</summary>
    public const string AttributeLogits = nameof(AttributeLogits);

    /// <summary>Reads the attention patterns of the heads that assembling found strongest, and writes what it left for them; gives an <see cref="AssembleReport"/>.</summary>
    public const string ReadPatterns = nameof(ReadPatterns);

    /// <summary>Puts the result together; gives an <see cref="AssembleReport"/>.</summary>
    public const string AssembleSweep = nameof(AssembleSweep);
}

/// <summary>Every activity by its name: what both engines run.</summary>
public sealed class ActivityTable
{
    private readonly Dictionary<string, Func<ActivityInput, Action<WorkStep>?, CancellationToken, Task<object>>> _byName;

    /// <summary>Makes the table.</summary>
    /// <param name="store">Where artifacts are kept.</param>
    /// <param name="catalog">The models that there are.</param>
    /// <param name="models">The models in memory.</param>
    /// <param name="reports">What is written of a result beside results.json.</param>
    /// <param name="time">The clock.</param>
    public ActivityTable(IArtifactStore store, IModelCatalog catalog, LoadedModels models, IReadOnlyList<ResultFile> reports, TimeProvider time)
    {
        var plans = new StoredPlans(store, catalog);
        var work = new SweepWork(store, plans, models, store.IsRemote ? new TensorCache() : null);
        Patterns = new SweepPatterns(store, plans, models);
        var sets = new SetWork(store, plans, models, work);
        var adaptive = new AdaptiveWork(store, plans, work);
        var assemble = new AssembleSweep(store, plans, work, adaptive, sets, reports, time);
        _byName = new()
        {
            [ActivityNames.PlanSweep] = async (input, _, cancel) => (await plans.HeaderAsync(input.SweepId, cancel)).Size,
            [ActivityNames.CacheActivations] = async (input, progress, cancel) => await work.CacheAsync(input, progress, cancel),
            [ActivityNames.SumActivations] = async (input, _, cancel) => await work.SumAsync(input, cancel),
            [ActivityNames.EstimateEffects] = async (input, progress, cancel) => await work.EstimateAsync(input, progress, cancel),
            [ActivityNames.ScreenHeads] = async (input, _, cancel) => (await work.ScreenAsync(input.SweepId, await plans.HeaderAsync(input.SweepId, cancel), cancel)).ByLayer.Count,
            [ActivityNames.PatchHeads] = async (input, progress, cancel) => await work.PatchAsync(input, progress, cancel),
            [ActivityNames.DecideHeads] = async (input, _, cancel) => await adaptive.NextAsync(input.SweepId, cancel),
            [ActivityNames.PatchDrawn] = async (input, _, cancel) => await adaptive.PatchAsync(input, cancel),
            [ActivityNames.PlanRound] = async (input, _, cancel) => await sets.NextAsync(input.SweepId, cancel),
            [ActivityNames.PatchSets] = async (input, _, cancel) => await sets.PatchAsync(input, cancel),
            [ActivityNames.AttributeLogits] = async (input, _, cancel) => await work.AttributeAsync(input, cancel),
            [ActivityNames.ReadPatterns] = async (input, _, cancel) =>
            {
                await Patterns.ReadAsync(input.SweepId, cancel);
                return await assemble.RunAsync(input, cancel);
            },
            [ActivityNames.AssembleSweep] = async (input, _, cancel) => await assemble.RunAsync(input, cancel),
        };
    }

    /// <summary>The attention patterns of sweeps' heads, for whoever asks for one.</summary>
    public SweepPatterns Patterns { get; }

    /// <summary>The names.</summary>
    public IEnumerable<string> Names => _byName.Keys;

    /// <summary>Runs an activity.</summary>
    /// <param name="name">One of <see cref="ActivityNames"/>.</param>
    /// <param name="input">Its input.</param>
    /// <param name="progress">Told of each layer that is cached and each batch of patched runs; by one thread at a time.</param>
    /// <param name="cancellationToken">Looked at before each batch and chunk; what was finished stays.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such activity.</exception>
    /// <exception cref="Core.Faults.InvalidInputException">The request cannot be swept.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public Task<object> RunAsync(string name, ActivityInput input, Action<WorkStep>? progress = null, CancellationToken cancellationToken = default) =>
        _byName.TryGetValue(name, out var run)
            ? SweepTelemetry.MeasuredAsync(name, () => run(input, progress, cancellationToken))
            : throw new ArgumentOutOfRangeException(nameof(name), name, "There is no such activity.");
}
