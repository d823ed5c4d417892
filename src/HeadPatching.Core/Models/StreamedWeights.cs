using System.Collections;
using System.Collections.Concurrent;
using static TorchSharp.torch;

namespace HeadPatching.Core.Models;

/// <summary>
/// The weights of a model that need not fit into memory. A layer is read from the files when it is asked for; the next one, in the direction that the
/// layers are gone through, is read by a thread of its own while this one computes; and the one before is freed. So two layers are in memory at a time,
/// and the matrix of the unembedding for as long as no layer is asked for. What is computed with each layer should be all that there is to do with it
/// (<see cref="Patching.LayerPass"/>): what is asked for again later is read again.
/// <para>
/// Layers are read and put in place as those of a model that is held are, into memory of their own: so their products are the same to the last digit,
/// whatever a file's alignment, a file that is cut off while it is used is an error and no signal, and whoever keeps a layer's tensor for too long is
/// told that it was disposed of. It takes one copy from the system's cache of the file, a hundredth of the time of the products of a few hundred rows.
/// </para>
/// <para>One computation at a time may use them, on as many threads as it likes, all in the same layer.</para>
/// </summary>
public sealed class StreamedWeights : IReadOnlyList<LayerWeights>, IDisposable
{
    private readonly WeightFiles _files;
    private readonly Func<int, LayerWeights> _read;
    private readonly Func<IReadOnlyList<long>, Tensor> _embeddingRows;
    private readonly Func<IReadOnlyList<long>, Tensor> _unembeddingRows;
    private readonly Func<Tensor> _readUnembedding;
    private readonly BlockingCollection<Action> _toRead = [];
    private readonly Lock _gate = new();
    private readonly Lock _alone = new();
    private (int Layer, LayerWeights Weights)? _used;
    private (int Layer, Task<LayerWeights> Weights)? _next;
    private Tensor? _unembedding;
    private bool _isReading;

    /// <summary>Makes them of open files, which they own from then on. Nothing is read yet.</summary>
    internal StreamedWeights(
        WeightFiles files,
        int layers,
        Func<int, LayerWeights> read,
        Func<IReadOnlyList<long>, Tensor> embeddingRows,
        Func<IReadOnlyList<long>, Tensor> unembeddingRows,
        Func<Tensor> readUnembedding)
    {
        (_files, Count, _read, _embeddingRows, _unembeddingRows, _readUnembedding) = (files, layers, read, embeddingRows, unembeddingRows, readUnembedding);
    }

    /// <inheritdoc/>
    public int Count { get; }

    /// <summary>How many bytes of tensors were read from the files so far.</summary>
    public long BytesRead => _files.BytesRead;

    /// <summary>A layer, for use until another one, or the unembedding, is asked for.</summary>
    /// <param name="layer">The layer.</param>
    /// <exception cref="Faults.InvalidInputException">The files hold a number that is not finite, or have become shorter.</exception>
    public LayerWeights this[int layer]
    {
        get
        {
            lock (_gate)
            {
                if (_used is { } used && used.Layer == layer)
                {
                    return used.Weights;
                }

                int step = _used?.Layer == layer + 1 ? -1 : 1;
                Free(exceptLayer: layer);
                LayerWeights weights = (_next?.Weights ?? OnReader(() => Held(_read(layer)))).GetAwaiter().GetResult();
                _used = (layer, weights);
                int next = layer + step;
                _next = next >= 0 && next < Count ? (next, OnReader(() => Held(_read(next)))) : null;
                return weights;
            }
        }
    }

    /// <summary>The unembedding with a row for each token, [vocabulary, d_model], for use until a layer is asked for.</summary>
    /// <exception cref="Faults.InvalidInputException">As for a layer.</exception>
    public Tensor Unembedding
    {
        get
        {
            lock (_gate)
            {
                if (_unembedding is null)
                {
                    Free(exceptLayer: null);
                    _unembedding = OnReader(() => _readUnembedding().DetachFromDisposeScope()).GetAwaiter().GetResult();
                }

                return _unembedding;
            }
        }
    }

    /// <summary>Rows of the token embedding.</summary>
    /// <param name="ids">[rows] int64</param>
    /// <returns>[rows, d_model]</returns>
    public Tensor EmbeddingRows(Tensor ids) => Rows(_embeddingRows, ids);

    /// <summary>Rows of the unembedding.</summary>
    /// <inheritdoc cref="EmbeddingRows"/>
    public Tensor UnembeddingRows(Tensor ids) => Rows(_unembeddingRows, ids);

    /// <summary>Does work with the weights that nobody else uses meanwhile, who would have another layer brought: it waits until that is so.</summary>
    /// <param name="pieces">How many threads compute patched runs, as nobody else does.</param>
    /// <param name="work">The work.</param>
    public T Alone<T>(int pieces, Func<T> work)
    {
        lock (_alone)
        {
            return Native.ComputeThreads.With(pieces, work);
        }
    }

    /// <inheritdoc/>
    public IEnumerator<LayerWeights> GetEnumerator() => Enumerable.Range(0, Count).Select(layer => this[layer]).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>Frees what is in memory and closes the files.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            Free(exceptLayer: null);
            _toRead.CompleteAdding();
            _files.Dispose();
        }
    }

    /// <summary>Each row is read once.</summary>
    private static Tensor Rows(Func<IReadOnlyList<long>, Tensor> read, Tensor ids)
    {
        using var scope = NewDisposeScope();
        long[] wanted = [.. ids.cpu().data<long>()], distinct = [.. wanted.Distinct().Order()];
        Tensor places = tensor([.. wanted.Select(id => (long)Array.BinarySearch(distinct, id))], device: ids.device);
        return read(distinct).index_select(0, places).MoveToOuterDisposeScope();
    }

    /// <summary>Frees all but a layer that is being read.</summary>
    private void Free(int? exceptLayer)
    {
        Free(_used?.Weights);
        _used = null;
        _unembedding?.Dispose();
        _unembedding = null;
        if (_next is { } next && next.Layer != exceptLayer)
        {
            next.Weights.ContinueWith(
                read => Free(read.Result), CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            _next = null;
        }
    }

    private static void Free(LayerWeights? weights)
    {
        foreach (Tensor tensor in weights?.All() ?? [])
        {
            tensor.Dispose();
        }
    }

    private static LayerWeights Held(LayerWeights weights)
    {
        foreach (Tensor tensor in weights.All())
        {
            tensor.DetachFromDisposeScope();
        }

        return weights;
    }

    private Task<T> OnReader<T>(Func<T> read)
    {
        if (!_isReading)
        {
            Native.ComputeThreads.StartAlone("Weights", Read);
            _isReading = true;
        }

        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        _toRead.Add(() =>
        {
            try
            {
                using var mode = no_grad();
                using var scope = NewDisposeScope();
                done.SetResult(read());
            }
            catch (Exception e)
            {
                done.SetException(e);
            }
        });
        return done.Task;
    }

    private void Read()
    {
        foreach (Action read in _toRead.GetConsumingEnumerable())
        {
            read();
        }
    }
}
