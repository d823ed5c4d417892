using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using TorchSharp;

namespace HeadPatching.Sweeps.Models;

/// <summary>
/// The models in memory: each is loaded once and kept for the next activity. When another one is needed and there are too many, the one
/// that was idle longest goes; a model in use never does.
/// </summary>
public sealed class LoadedModels : IDisposable
{
    private readonly IModelCatalog _catalog;
    private readonly int _kept;
    private readonly int _threads;
    private readonly SemaphoreSlim _gate = new(1);
    private readonly List<Entry> _entries = []; // the one used last stands last

    /// <summary>Makes an empty set.</summary>
    /// <param name="catalog">Where the models are.</param>
    /// <param name="threads">How many of libtorch's threads one activity computes with. Sums in float32 depend on it.</param>
    /// <param name="kept">How many models are kept in memory though idle.</param>
    public LoadedModels(IModelCatalog catalog, int threads, int kept = 2)
    {
        _catalog = catalog;
        _threads = threads;
        _kept = kept;
    }

    /// <summary>How often a model was read from disk.</summary>
    public int Loads { get; private set; }

    /// <summary>Lends a model; dispose the lease to give it back.</summary>
    /// <exception cref="InvalidInputException">There is no such model any more, it has changed, or it cannot be loaded.</exception>
    public async Task<Lease> LendAsync(ModelSource source, CancellationToken cancellationToken = default)
    {
        await _gate.WaitAsync(cancellationToken);
        try
        {
            if (Find(source) is Entry loaded)
            {
                return Lend(loaded);
            }
        }
        finally
        {
            _gate.Release();
        }

        // Not under the gate: it may be downloaded now, and the models that are here can be lent meanwhile.
        using LocatedModel located = await _catalog.LocateAsync(source.Model, "model", cancellationToken);
        await _gate.WaitAsync(cancellationToken);
        try
        {
            return Lend(Find(source) ?? Load(source, located.Folder));
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _entries.ForEach(entry => entry.Model.Dispose());
        _entries.Clear();
        _gate.Dispose();
    }

    private Entry? Find(ModelSource source) => _entries.Find(entry => entry.Source == source);

    private Lease Lend(Entry entry)
    {
        _entries.Remove(entry);
        _entries.Add(entry);
        entry.Lent++;
        return new Lease(this, entry);
    }

    private Entry Load(ModelSource source, string folder)
    {
        if (ModelFingerprint.Compute(folder) != source.Fingerprint)
        {
            throw new InvalidInputException(
                FaultKinds.InvalidWeights, "model", $"The model '{source.Model}' is not the one that the sweep was planned with: its files have changed since. Start the sweep again.");
        }

        while (_entries.Count >= _kept && _entries.Find(entry => entry.Lent == 0) is Entry idle)
        {
            _entries.Remove(idle);
            idle.Model.Dispose();
        }

        Loads++;
        return new Entry(source, ModelFolder.Load(folder, Dtypes.Parse(source.Dtype), torch.device(source.Device)));
    }

    private void GiveBack(Entry entry)
    {
        _gate.Wait();
        entry.Lent--;
        _gate.Release();
    }

    /// <summary>A model lent out.</summary>
    public sealed class Lease : IDisposable
    {
        private readonly LoadedModels _owner;
        private readonly Entry _entry;

        internal Lease(LoadedModels owner, Entry entry)
        {
            _owner = owner;
            _entry = entry;
        }

        /// <summary>
        /// Does synchronous work with the model (no tensor work crosses an await), with this host's number of threads. libtorch keeps that
        /// number for each thread of the process, and a thread of the pool may come from other work with another one; asking for it first
        /// makes a thread that has none yet take the process's.
        /// </summary>
        /// <exception cref="InvalidOperationException">
        /// The work made a tensor outside every dispose scope, which the garbage collector may free while libtorch reads it: its result is not given.
        /// </exception>
        public T Use<T>(Func<Transformer, T> work)
        {
            if (torch.get_num_threads() != _owner._threads)
            {
                torch.set_num_threads(_owner._threads);
            }

            long outside = MadeOutsideScopes;
            T result = work(_entry.Model);
            return outside == MadeOutsideScopes
                ? result
                : throw new InvalidOperationException("A tensor was made outside every dispose scope: the garbage collector may free it while libtorch reads it.");
        }

        /// <inheritdoc/>
        public void Dispose() => _owner.GiveBack(_entry);

        private static long MadeOutsideScopes => DisposeScopeManager.Statistics.TensorStatistics.CreatedOutsideScopeCount;
    }

    internal sealed class Entry(ModelSource source, Transformer model)
    {
        public ModelSource Source { get; } = source;

        public Transformer Model { get; } = model;

        public int Lent { get; set; }
    }
}
