using System.Diagnostics;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Attribution;
using HeadPatching.Core.Prompts;

namespace HeadPatching.Core.Patching.Caching;

/// <summary>
/// The clean and the corrupted run over a chunk of pairs and what follows from them alone: activations, baselines, and what each part of the model adds
/// directly. They are made by themselves, or in the pass over the layers of the patched runs that use them (<see cref="Bands.BandInputs.Caching"/>).
/// </summary>
public sealed class ChunkCaching : IDisposable
{
    private readonly Transformer _model;
    private readonly IMetric _metric;
    private readonly CachingRun _run;
    private readonly Dictionary<int, LayerActivations> _layers = [];
    private readonly DirectAttribution? _attribution;
    private readonly Action? _layerDone;
    private bool _isTaken;
    private FinalResiduals? _final;
    private IReadOnlyList<Baseline>? _baselines;

    /// <summary>Starts the runs.</summary>
    /// <param name="model">The model.</param>
    /// <param name="pairs">The pairs, all of one length.</param>
    /// <param name="start">As for <see cref="CachingRun"/>.</param>
    /// <param name="metric">What is measured.</param>
    /// <param name="attribute">Whether to attribute the metric to the parts of the model, if it is linear.</param>
    /// <param name="layerDone">Told after each layer.</param>
    public ChunkCaching(Transformer model, IReadOnlyList<TokenPair> pairs, int start, IMetric metric, bool attribute, Action? layerDone = null)
    {
        (_model, Pairs, _metric, _layerDone) = (model, pairs, metric, layerDone);
        _run = new CachingRun(model, pairs, start);
        Activations = new ChunkActivations(start, _layers);
        _attribution = attribute && metric.IsLinear ? new DirectAttribution(model, metric, pairs) : null;
    }

    /// <summary>The pairs.</summary>
    public IReadOnlyList<TokenPair> Pairs { get; }

    /// <summary>The activations, as far as they are made.</summary>
    public ChunkActivations Activations { get; }

    /// <summary>Where both runs end.</summary>
    /// <exception cref="InvalidOperationException">Layers are left to run; so of what follows.</exception>
    public FinalResiduals Final => _final ?? throw LayersAreLeft();

    /// <summary>The pairs, and what a metric may need of them.</summary>
    public MeasuredPairs Measured => new(Pairs, Final.Clean);

    /// <summary>The unpatched metrics.</summary>
    public IReadOnlyList<Baseline> Baselines => _baselines ?? throw LayersAreLeft();

    /// <summary>What each part of the model adds directly, the sum over the pairs; null where it was not asked for, or the metric has no such form.</summary>
    public LogitAttribution? Attribution { get; private set; }

    /// <summary>Seconds that it took, of whatever pass.</summary>
    public double Seconds { get; private set; }

    /// <summary>Runs every layer that is left.</summary>
    /// <param name="cancellation">Looked at before each layer.</param>
    /// <exception cref="Faults.InvalidInputException">A baseline is not finite.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public void Run(CancellationToken cancellation = default) => LayerPass.Run([Steps(cancellation)]);

    /// <summary>Runs every layer that is left, in a pass over the layers that others may share.</summary>
    internal IEnumerable<int> Steps(CancellationToken cancellation)
    {
        while (_run.LayersDone < _model.Config.Layers)
        {
            int layer = _run.LayersDone;
            yield return layer;
            cancellation.ThrowIfCancellationRequested();
            Timed(() =>
            {
                _layers[layer] = _run.NextLayer();
                if (DirectAttribution.Ascends(_model))
                {
                    _attribution?.Layer(layer, _layers[layer].Clean);
                }
            });
            _layerDone?.Invoke();
        }

        if (_final is not null)
        {
            yield break;
        }

        yield return _model.Config.Layers;
        Timed(() =>
        {
            _final = _run.Final();
            _baselines = _final.Baselines(_model, _metric, Pairs);
            IReadOnlyList<LogitAttribution>? attribution = _attribution is null ? null
                : DirectAttribution.Ascends(_model) ? _attribution.End(_final.Clean)
                : DirectAttribution.Of(_model, _metric, Measured, Activations);
            Attribution = attribution?.Aggregate((sum, pair) => sum.Plus(pair));
        });
    }

    /// <summary>Gives the activations and ends to the caller, who disposes of them from now on.</summary>
    public (ChunkActivations Activations, FinalResiduals Final) Take()
    {
        (ChunkActivations, FinalResiduals) taken = (Activations, Final);
        _isTaken = true;
        return taken;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _run.Dispose();
        _attribution?.Dispose();
        if (!_isTaken)
        {
            Activations.Dispose();
            _final?.Dispose();
        }
    }

    private void Timed(Action step)
    {
        long started = Stopwatch.GetTimestamp();
        step();
        Seconds += Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private static InvalidOperationException LayersAreLeft() => new("Layers are left to run.");
}
