using System.Globalization;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;

namespace HeadPatching.Core.Patching.Ablations;

/// <summary>
/// Mean or resample ablation of some pairs: which prompts are run for the z that is put in, what keeps it from being done, what to know of
/// it, the sums of the means, and what each chunk of the pairs is given. It holds no tensor; the sums are made once and may be kept.
/// </summary>
public sealed class AblationPlan
{
    private readonly Ablation _ablation;
    private readonly IReadOnlyList<TokenPair> _pairs;
    private readonly Dictionary<int, int> _placeOf;                           // of a pair's index
    private readonly AblationPrompt[] _prompts;                               // the runs that are patched
    private readonly AblationPrompt[]? _references;
    private readonly MeanPlaces? _places;
    private readonly IReadOnlyList<int>? _donors;

    private AblationPlan(Ablation ablation, IReadOnlyList<TokenPair> pairs, PatchOptions options)
    {
        _ablation = ablation;
        _pairs = pairs;
        _placeOf = pairs.Index().ToDictionary(pair => pair.Item.Index, pair => pair.Index);
        _prompts = [.. pairs.Select(pair => AblationPrompt.Patched(pair, options.Direction))];
        _references = options.References is null ? null : [.. options.References.Select(AblationPrompt.Reference)];
        if (ablation == Ablation.Mean)
        {
            _places = new MeanPlaces(_references ?? _prompts, _prompts);
        }
        else
        {
            _donors = Donors.Draw(_prompts, _references, options.Seed);
        }
    }

    /// <summary>The plan of a sweep; null where nothing has to be run for what it puts in.</summary>
    /// <param name="pairs">All pairs of the sweep: whose z is in a mean, and who gives to whom, depends on all of them.</param>
    /// <param name="options">The ablation, which run is patched, the references and the seed.</param>
    public static AblationPlan? Of(IReadOnlyList<TokenPair> pairs, PatchOptions options) =>
        options.Ablation is Ablation.Mean or Ablation.Resample ? new AblationPlan(options.Ablation.Value, pairs, options) : null;

    /// <summary>What keeps it from being done: pairs for which there is no other prompt.</summary>
    /// <param name="where">The place of the ablation in a fault: <c>--ablation</c>, <c>ablation</c>.</param>
    public IReadOnlyList<Fault> Faults(string where)
    {
        int[] alone = [.. _pairs.Where((_, place) => IsAlone(place)).Select(pair => pair.Index)];
        if (alone.Length == 0)
        {
            return [];
        }

        string what = _ablation == Ablation.Mean ? "Mean ablation takes the mean of z over" : "Resample ablation takes z from";
        return
        [
            new Fault(
                FaultKinds.InvalidOption,
                where,
                $"{what} other prompts{(_references is null ? "" : " of the reference")}, and there is none that is at least half as long and not the same for {Some(alone)}. "
                + "Use more pairs, or a reference."),
        ];
    }

    /// <summary>What to know before trusting the effects.</summary>
    public IEnumerable<string> Warnings() => _ablation == Ablation.Mean ? MeanWarnings() : DonorWarnings();

    /// <summary>How many sums the means are taken from.</summary>
    public int SumCount => _places?.Count ?? 0;

    /// <summary>The prompts of the reference, as they go into the sums; null where the means are over the pairs' own runs, or there are none.</summary>
    public IReadOnlyList<SummedPrompt>? SummedReferences => _places is null || _references is null ? null : [.. _references.Select(Summed)];

    /// <summary>The means' sums over all prompts, by layer; the caller disposes of them.</summary>
    /// <inheritdoc cref="MeanZ.Over"/>
    /// <exception cref="InvalidOperationException">It is no mean ablation.</exception>
    public IReadOnlyList<MeanZ> Means(Transformer model, MemoryBudget budget, CancellationToken cancellation = default) => _places is null
        ? throw new InvalidOperationException($"{_ablation} ablation takes no means.")
        : MeanZ.Over(model, (_references ?? _prompts).Select(Summed), SumCount, budget, cancellation);

    /// <summary>What some of the pairs are given.</summary>
    /// <param name="pairs">Pairs of the sweep, all of one length.</param>
    public ChunkAblation For(IReadOnlyList<TokenPair> pairs)
    {
        AblationPrompt[] prompts = [.. pairs.Select(pair => _prompts[_placeOf[pair.Index]])];
        return _places is not null
            ? new ChunkAblation([.. prompts.Select(Means)], null)
            : new ChunkAblation(null, [.. pairs.Zip(prompts, (pair, prompt) => Giving((_references ?? _prompts)[_donors![_placeOf[pair.Index]]], prompt))]);

        PromptMeans Means(AblationPrompt prompt)
        {
            IReadOnlyList<MeanPlace> means = _places.Of(prompt);
            return new PromptMeans(
                _places.Same(prompt), [.. means.Select(mean => mean.Sum)], [.. means.Select(mean => mean.Others)], _references is null ? Summed(prompt).Into : []);
        }

        static Donor Giving(AblationPrompt donor, AblationPrompt prompt) => new(donor.Ids, Ablations.Donors.Positions(prompt, donor));
    }

    private SummedPrompt Summed(AblationPrompt prompt) => new(prompt.Ids, [.. _places!.Into(prompt).SelectMany(into => (int[])[into.Position, into.Sum])]);

    private bool IsAlone(int place) => _places is null
        ? _donors![place] < 0
        : _places.Of(_prompts[place]).Any(mean => mean.Others == 0);

    private IEnumerable<string> MeanWarnings()
    {
        string others = _references is null ? "other pairs" : "prompts of the reference";
        var all = _pairs.SelectMany((pair, place) => _places!.Of(_prompts[place]).Select((mean, position) => (Pair: pair, Position: position, Mean: mean))).ToArray();
        var few = all.Where(mean => mean.Mean.Others < MeanPlaces.Few).ToArray();
        if (few.Length > 0)
        {
            var fewest = few.MinBy(mean => mean.Mean.Others);
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"At {few.Length} of {all.Length} positions of the pairs the mean is over fewer than {MeanPlaces.Few} {others}, at the least {fewest.Mean.Others} (pair {fewest.Pair.Index}, position {fewest.Position}).");
        }

        var fromStart = all.Where(mean => mean.Mean.FromStart).GroupBy(mean => mean.Pair.Index).ToArray();
        if (fromStart.Length > 0)
        {
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"None of the {others} is as long as {Some(fromStart.Select(pair => pair.Key))}: {Means(fromStart.Sum(pair => pair.Count()))} aligned from the first token.");
        }

        int templated = _pairs.Count(pair => pair.Template is not null);
        int acrossTemplates = all.Where(mean => mean.Pair.Template is not null && !mean.Mean.OfTemplate).DistinctBy(mean => mean.Pair.Index).Count();
        if (_references is not null && acrossTemplates > 0 && _references.Any(reference => reference.Template is not null))
        {
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"{acrossTemplates} of {templated} pairs have fewer than {MeanPlaces.Few} prompts of the reference of their own template: their means are over all templates, by role and position from the end.");
        }
    }

    private IEnumerable<string> DonorWarnings()
    {
        AblationPrompt[] giving = [.. _donors!.Select(donor => (_references ?? _prompts)[donor])];
        int[] other = [.. _pairs.Where((_, place) => giving[place].Length != _prompts[place].Length).Select(pair => pair.Index)];
        if (other.Length > 0)
        {
            yield return $"There is no other prompt of the length or template of {Some(other)}: the donor is of another length, its z aligned by role where both prompts name it, otherwise from the end.";
        }
    }

    private static string Means(int positions) => positions == 1 ? "the mean at 1 position there is" : $"the means at {positions} positions there are";

    /// <summary>Such as <c>pair 3</c> or <c>pairs 3, 7 and 5 more</c>.</summary>
    private static string Some(IEnumerable<int> pairs)
    {
        int[] all = [.. pairs];
        return $"pair{(all.Length == 1 ? "" : "s")} {string.Join(", ", all.Take(10))}{(all.Length > 10 ? $" and {all.Length - 10} more" : "")}";
    }
}
