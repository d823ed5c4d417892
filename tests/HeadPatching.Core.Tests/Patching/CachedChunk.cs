using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Prompts;

namespace HeadPatching.Core.Tests.Patching;

/// <summary>Both runs over some pairs of one length as one chunk, whatever a budget says.</summary>
internal sealed class CachedChunk : IDisposable
{
    private readonly FinalResiduals _final;

    public CachedChunk(Transformer model, IReadOnlyList<TokenPair> pairs, IMetric? metric = null, int? start = null)
    {
        Pairs = pairs;
        using var run = new CachingRun(model, pairs, start ?? CachingRun.StartOf(pairs));
        Activations = run.AllLayers();
        _final = run.Final();
        Baselines = _final.Baselines(model, metric ?? new LogitDifference(), pairs);
    }

    public IReadOnlyList<TokenPair> Pairs { get; }

    public ChunkActivations Activations { get; }

    public IReadOnlyList<Baseline> Baselines { get; }

    public MeasuredPairs Measured => new(Pairs, _final.Clean);

    /// <summary>A band of layers, from these activations or from others in their place.</summary>
    public BandInputs Band(int first, int last, ChunkActivations? activations = null) => new()
    {
        First = first,
        Last = last,
        Measured = Measured,
        Baselines = Baselines,
        Activations = activations ?? Activations,
    };

    /// <summary>As much of the activations as is read for something.</summary>
    public ChunkActivations Only(IReadOnlyList<CachedTensor> needed) =>
        ChunkActivations.Read(Activations.Start, needed, tensor => Activations.Layers[tensor.Layer].Tensors().Single(one => one.Part == tensor.Part).Tensor);

    /// <summary>Both runs are the one that is patched: what is put in is what was there.</summary>
    public ChunkActivations SourceIsBase(Direction direction) => new(
        Activations.Start,
        Activations.Layers.ToDictionary(layer => layer.Key, layer => layer.Value with { Clean = layer.Value.Base(direction), Corrupted = layer.Value.Base(direction) }));

    public void Dispose()
    {
        _final.Dispose();
        Activations.Dispose();
    }
}
