using System.Globalization;
using HeadPatching.Core.Faults;
using static TorchSharp.torch;

namespace HeadPatching.Core.Models.Families;

/// <summary>A model's tensors in its weights files, under the names that its family gives them.</summary>
internal sealed class FamilyWeights
{
    private readonly WeightFiles _files;
    private readonly ModelConfig _config;
    private readonly ModelFamily _family;
    private readonly Dictionary<string, long[]> _shapes;
    private readonly string _prefix;

    public FamilyWeights(WeightFiles files, ModelConfig config)
    {
        _files = files;
        _config = config;
        _family = ModelFamily.All[config.Family];
        _shapes = _family.Shapes(config);
        _prefix = _family.Names.Prefixes.FirstOrDefault(prefix => files.Names.Any(name => name.StartsWith(prefix, StringComparison.Ordinal))) ?? "";
    }

    /// <summary>
    /// Says what is missing, of another shape than config.json makes it, or in a layer though the family has nothing there: a bias that
    /// config.json does not mention is sooner a wrong config.json than a tensor to pass over.
    /// </summary>
    public IReadOnlyList<Fault> Check()
    {
        IEnumerable<Fault> wrong = _shapes.Select(tensor => _files.Check(FileName(tensor.Key), IsBytes(tensor.Key), tensor.Value)).OfType<Fault>();
        string[] unknown = [.. _files.Names.Where(IsUnknown).Order(StringComparer.Ordinal)];
        return unknown.Length == 0
            ? [.. wrong]
            :
            [
                .. wrong,
                new Fault(
                    FaultKinds.InvalidWeights,
                    _files.Folder,
                    $"By config.json ({_config.Family}) the layers have no such tensors, but the weights do: {Untrusted.ShowSome(unknown)}."),
            ];
    }

    /// <summary>
    /// Reads every tensor, in <paramref name="dtype"/> on <paramref name="device"/>, into the caller's dispose scope; what is no matrix of a product in the
    /// stream's type.
    /// </summary>
    /// <exception cref="InvalidInputException">
    /// A tensor is missing, has another shape than config.json says, or holds a number that is not finite.
    /// </exception>
    public TransformerWeights Read(ScalarType dtype, Device device)
    {
        var faults = new List<Fault>();
        TransformerWeights weights = _family.Read(_config, name => ReadOne(name, dtype, device, faults), ReadAll);
        return faults.Count == 0 ? weights : throw new InvalidInputException(faults);

        IReadOnlyList<LayerWeights> ReadAll(Func<int, LayerWeights> read) => [.. Enumerable.Range(0, _config.Layers).Select(read)];
    }

    /// <summary>
    /// Weights that are read when they are used: the layers, and the matrices with a row for each token, which are here by their shape alone. What is
    /// beside them is read now. They own the files from then on, and read them as <see cref="Read"/> does, so that the numbers are the same.
    /// </summary>
    /// <inheritdoc cref="Read"/>
    public TransformerWeights Stream(ScalarType dtype, Device device)
    {
        var faults = new List<Fault>();
        var sound = new HashSet<string>(StringComparer.Ordinal);              // looked through when it was read first
        StreamedWeights? streamed = null;
        string unembedding = _config.TiedUnembedding ? _family.Names.Embedding : _family.Names.UnembeddingMatrix;
        TransformerWeights weights = Sound(_family.Read(_config, ReadHeld, layers => streamed = new StreamedWeights(
            _files,
            _config.Layers,
            layer => Sound(layers(layer)),
            ids => Rows(_family.Names.Embedding, ids),
            ids => Rows(unembedding, ids),
            () => Sound(ReadOne(unembedding, dtype, device, faults, sound)))));
        return weights with { Streamed = streamed };

        // Where embeddings are narrower than the stream, what is used is a product, and is held.
        Tensor ReadHeld(string name) => _config.EmbeddingWidth is null && (name == _family.Names.Embedding || name == unembedding)
            ? empty(_shapes[name], dtype: dtype, device: META)
            : ReadOne(name, dtype, device, faults, sound);

        T Sound<T>(T read)
        {
            Fault[] found = [.. faults];
            faults.Clear();
            return found.Length == 0 ? read : throw new InvalidInputException(found);
        }

        Tensor Rows(string name, IReadOnlyList<long> ids)
        {
            Tensor rows = _files.ReadRows(FileName(name), _shapes[name], ids, dtype, device);
            return _files.CheckValues(FileName(name), rows) is Fault fault ? throw new InvalidInputException([fault]) : rows;
        }
    }

    private Tensor ReadOne(string name, ScalarType dtype, Device device, List<Fault> faults, HashSet<string>? sound = null)
    {
        if (IsBytes(name))
        {
            return _files.ReadBytes(FileName(name), _shapes[name], device);
        }

        Tensor tensor = _files.Read(FileName(name), _shapes[name], _family.TypeOf(name, _shapes[name], dtype), device);
        if (sound?.Contains(name) == true)
        {
            return tensor;
        }

        if (_files.CheckValues(FileName(name), tensor) is Fault fault)
        {
            faults.Add(fault);
        }
        else
        {
            sound?.Add(name);
        }

        return tensor;
    }

    private string FileName(string name) => name.StartsWith(_family.Names.Unembedding, StringComparison.Ordinal) ? name : _prefix + name;

    private bool IsBytes(string name) => _family.Names.Bytes.Any(end => name.EndsWith(end, StringComparison.Ordinal));

    /// <summary>Whether it belongs to a layer that is run, and neither to what the family reads there nor to its buffers.</summary>
    private bool IsUnknown(string fileName)
    {
        string layers = _prefix + _family.Names.Layer;
        return fileName.StartsWith(layers, StringComparison.Ordinal)
            && int.TryParse(fileName[layers.Length..].Split('.')[0], NumberStyles.None, CultureInfo.InvariantCulture, out int layer)
            && layer < _config.Layers
            && !_shapes.ContainsKey(fileName[_prefix.Length..])
            && !_family.Names.Buffers.Any(buffer => fileName.EndsWith(buffer, StringComparison.Ordinal));
    }
}
