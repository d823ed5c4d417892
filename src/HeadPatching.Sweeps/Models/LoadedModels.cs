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
    private readonly int _cores;
    private readonly Lock _gate = new();
    private readonly List<Entry> _entries = []; // the one used last stands last

    /// <summary>Makes an empty set.</summary>
    /// <param name="catalog">Where the models are.</param>
    /// <param name="threads">How many of libtorch's threads one activity computes with. Sums in float32 depend on it.</param>
    /// <param name="kept">How many models are kept in memory though idle.</param>
    /// <param name="cores">How many threads patch with a streamed model, which serves one activity at a time; null: those of the machine.</param>
    public LoadedModels(IModelCatalog catalog, int threads, int kept = 2, int? cores = null)
    {
        _cores = Math.Max(threads, cores ?? Environment.ProcessorCount);
        _catalog = catalog;
        _threads = threads;
        _kept = kept;
    }

    /// <summary>How often a model was read from disk.</summary>
    public int Loads { get; private set; }

    /// <summary>Lends a model; dispose the lease to give it back. The models that are here are lent while another one is being loaded.</summary>
    /// <exception cref="InvalidInputException">There is no such model any more, it has changed, or it cannot be loaded.</exception>
    public async Task<Lease> LendAsync(ModelSource source, CancellationToken cancellationToken = default)
    {
        Entry entry = Taken(source) ?? TakenOrLoading(source, await _catalog.LocateAsync(source.Model, "model", cancellationToken));
        try
        {
            return new Lease(this, entry, await entry.Model.WaitAsync(cancellationToken));
        }
        catch
        {
            GiveBack(entry);
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
        {
            _entries.ForEach(entry => entry.Free());
            _entries.Clear();
        }
    }

    /// <summary>The model, taken for one more use; null where it is neither here nor being loaded.</summary>
    private Entry? Taken(ModelSource source)
    {
        lock (_gate)
        {
            return Take(source);
        }
    }

    /// <summary>The model, taken for one more use; where it is not here yet, its loading begins. The folder is held until it is loaded.</summary>
    private Entry TakenOrLoading(ModelSource source, LocatedModel located)
    {
        lock (_gate)
        {
            if (Take(source) is Entry entry)
            {
                located.Dispose();
                return entry;
            }

            while (_entries.Count >= _kept && _entries.Find(entry => entry.IsIdle) is Entry idle)
            {
                _entries.Remove(idle);
                idle.Free();
            }

            Loads++;
            var added = new Entry(source, LoadAsync(source, located));
            _entries.Add(added);
            return added;
        }
    }

    private Entry? Take(ModelSource source)
    {
        _entries.RemoveAll(entry => entry.Model.IsFaulted); // the next attempt may find it mended
        if (_entries.Find(entry => entry.Source == source) is not Entry found)
        {
            return null;
        }

        _entries.Remove(found);
        _entries.Add(found);
        found.Lent++;
        return found;
    }

    /// <summary>
    /// Loads on a thread of its own: it may take minutes, which no thread of the pool is to wait for. Those who wait for the model go on each on
    /// their own, not one after the other on this thread.
    /// </summary>
    private static Task<Transformer> LoadAsync(ModelSource source, LocatedModel located) => Task.Factory.StartNew(
        () =>
        {
            using (located)
            {
                return located.Use(folder => located.Fingerprint() == source.Fingerprint
                    ? ModelFolder.Load(folder, Dtypes.Parse(source.Dtype), torch.device(source.Device), located.Weights, source.Streamed)
                    : throw new InvalidInputException(
                        FaultKinds.InvalidWeights, "model", $"The model '{source.Model}' is not the one that the sweep was planned with: its files have changed since. Start the sweep again."));
            }
        },
        CancellationToken.None,
        TaskCreationOptions.LongRunning | TaskCreationOptions.RunContinuationsAsynchronously,
        TaskScheduler.Default);

    private void GiveBack(Entry entry)
    {
        lock (_gate)
        {
            entry.Lent--;
        }
    }

    /// <summary>A model lent out.</summary>
    public sealed class Lease : IDisposable
    {
        private readonly LoadedModels _owner;
        private readonly Entry _entry;
        private readonly Transformer _model;

        internal Lease(LoadedModels owner, Entry entry, Transformer model)
        {
            _owner = owner;
            _entry = entry;
            _model = model;
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
            T result = _model.Weights.Streamed is { } streamed ? streamed.Alone(_owner._cores, () => work(_model)) : work(_model);
            return outside == MadeOutsideScopes
                ? result
                : throw new InvalidOperationException("A tensor was made outside every dispose scope: the garbage collector may free it while libtorch reads it.");
        }

        /// <inheritdoc/>
        public void Dispose() => _owner.GiveBack(_entry);

        private static long MadeOutsideScopes => DisposeScopeManager.Statistics.TensorStatistics.CreatedOutsideScopeCount;
    }

    internal sealed class Entry(ModelSource source, Task<Transformer> model)
    {
        public ModelSource Source { get; } = source;

        public Task<Transformer> Model { get; } = model;

        public int Lent { get; set; } = 1;

        public bool IsIdle => Lent == 0 && Model.IsCompletedSuccessfully;

        /// <summary>Frees the model, where it is being loaded as soon as that is done.</summary>
        public void Free() => Model.ContinueWith(
            loaded => loaded.Result.Dispose(),
            CancellationToken.None,
            TaskContinuationOptions.OnlyOnRanToCompletion | TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default);
    }
}
