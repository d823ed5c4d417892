using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Bands;

/// <summary>
/// What patching a band of layers over a chunk of pairs starts from: what the chunk's own runs gave, or those runs still to make. A band is some layers in
/// a row: one, all, or anything between.
/// </summary>
public sealed record BandInputs
{
    /// <summary>The band's first layer.</summary>
    public required int First { get; init; }

    /// <summary>The band's last layer.</summary>
    public required int Last { get; init; }

    /// <summary>
    /// The chunk's own runs, made in the same pass over the layers as what is patched with them: then they give what the next three are, which need not
    /// be there. Null: they are there.
    /// </summary>
    public ChunkCaching? Caching { get; init; }

    /// <summary>The chunk's pairs, all of one length, and what a metric may need of them.</summary>
    public MeasuredPairs Measured { get => Caching?.Measured ?? field ?? throw Missing(); init; }

    /// <summary>The pairs' unpatched metrics: the result where a patch cannot change anything.</summary>
    public IReadOnlyList<Baseline> Baselines { get => Caching?.Baselines ?? field ?? throw Missing(); init; }

    /// <summary>The chunk's activations, as far as they are needed: <see cref="NeededTensors"/>.</summary>
    public ChunkActivations Activations { get => Caching?.Activations ?? field ?? throw Missing(); init; }

    /// <summary>
    /// With mean and resample ablation the z that is put in (<see cref="Ablations.AblationPlan"/>), by layer, [pairs, heads, position, d_head] of the positions from
    /// <see cref="ChunkActivations.Start"/> on.
    /// </summary>
    public IReadOnlyDictionary<int, Tensor>? AblatedZ { get; init; }

    /// <summary>The heads to patch, by layer; null: all. The others' metric stays the unpatched one; a layer that is not named has no result.</summary>
    public IReadOnlyDictionary<int, IReadOnlyList<int>>? OnlyHeads { get; init; }

    /// <summary>The chunk's pairs.</summary>
    internal IReadOnlyList<TokenPair> Pairs => Caching?.Pairs ?? Measured.Pairs;

    /// <summary>The same of some of the chunk's pairs. Its tensors belong to the caller's dispose scope; nothing of it is to be disposed of.</summary>
    /// <param name="pairs">The pairs, by their places in the chunk.</param>
    public BandInputs Of(IReadOnlyList<int> pairs)
    {
        using Tensor places = tensor(pairs.Select(pair => (long)pair).ToArray(), device: Measured.CleanFinal.device);
        return this with
        {
            Caching = null,
            Measured = new MeasuredPairs([.. pairs.Select(pair => Measured.Pairs[pair])], Chosen(Measured.CleanFinal)!),
            Baselines = [.. pairs.Select(pair => Baselines[pair])],
            Activations = new ChunkActivations(Activations.Start, Activations.Layers.ToDictionary(layer => layer.Key, layer => new LayerActivations(
                Run(layer.Value.Clean),
                Run(layer.Value.Corrupted),
                layer.Value.Prefix is KeysValues prefix ? new KeysValues(Chosen(prefix.K)!, Chosen(prefix.V)!) : null))),
            AblatedZ = AblatedZ?.ToDictionary(layer => layer.Key, layer => Chosen(layer.Value)!),
        };

        RunActivations Run(RunActivations run) => new(Chosen(run.ResidPre), Chosen(run.Z));

        Tensor? Chosen(Tensor? of) => of?.index_select(0, places);            // [pairs, ...]
    }

    /// <summary>The layers that are to be run.</summary>
    internal IEnumerable<int> Layers => Enumerable.Range(First, Last - First + 1).Where(layer => OnlyHeads is null || OnlyHeads.ContainsKey(layer));

    private static InvalidOperationException Missing() => new("A band starts from a chunk's pairs, baselines and activations, or from its runs still to make.");
}
