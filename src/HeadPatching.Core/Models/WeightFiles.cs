using System.Text.Json;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models.Safetensors;
using static TorchSharp.torch;

namespace HeadPatching.Core.Models;

/// <summary>
/// The weights of a model folder, open for reading: <c>model.safetensors</c>, or the shards that <c>model.safetensors.index.json</c>
/// names.
/// </summary>
public sealed class WeightFiles : IDisposable
{
    private const string SingleName = "model.safetensors";
    private const string IndexName = "model.safetensors.index.json";
    private const int LongestFileName = 255; // of every common file system

    private readonly string _folder;
    private readonly IReadOnlyList<SafetensorsFile> _files;
    private readonly IReadOnlyDictionary<string, SafetensorsFile> _fileOf;

    private WeightFiles(
        string folder,
        IReadOnlyList<string> fileNames,
        IReadOnlyList<SafetensorsFile> files,
        IReadOnlyDictionary<string, SafetensorsFile> fileOf)
    {
        _folder = folder;
        _files = files;
        _fileOf = fileOf;
        FileNames = fileNames;
    }

    /// <summary>The names of the files in the folder that the weights are in, the index among them.</summary>
    public IReadOnlyList<string> FileNames { get; }

    /// <summary>The folder.</summary>
    public string Folder => _folder;

    /// <summary>The names of all tensors.</summary>
    public IEnumerable<string> Names => _fileOf.Keys;

    /// <summary>The number of floating-point elements stored, buffers that are no parameters included.</summary>
    public long ParameterCount => Names.Select(Entry).Where(entry => entry.Dtype.IsFloat()).Sum(entry => entry.ElementCount);

    /// <summary>How many bytes of tensors were read since they were opened.</summary>
    public long BytesRead => _files.Sum(file => file.BytesRead);

    /// <summary>Opens the weights of a model folder. Reads and checks the headers, not yet the tensors.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="elsewhere">Opens a weight file that is not in the folder, by its name; gives null for what there is none of. Null: all are in the folder.</param>
    /// <exception cref="InvalidInputException">
    /// The folder has no safetensors weights, or they are not sound; carries every fault.
    /// </exception>
    public static WeightFiles Open(string folder, Func<string, Stream?>? elsewhere = null)
    {
        ModelFolder.CheckExists(folder);
        if (OpenOne(folder, SingleName, elsewhere) is SafetensorsFile file)
        {
            var fileOf = file.Tensors.Keys.ToDictionary(name => name, _ => file, StringComparer.Ordinal);
            return new WeightFiles(folder, [SingleName], [file], fileOf);
        }

        if (File.Exists(Path.Combine(folder, IndexName)))
        {
            return OpenSharded(folder, elsewhere);
        }

        if (Directory.EnumerateFiles(folder, "pytorch_model*.bin").Any())
        {
            throw new InvalidInputException(
                FaultKinds.NotFound,
                Path.Combine(folder, SingleName),
                "The folder's weights are only in pytorch_model.bin, which can run code and is not read. "
                + "Convert them with Python's transformers: "
                + "AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder, safe_serialization=True).");
        }

        throw new InvalidInputException(
            FaultKinds.NotFound,
            Path.Combine(folder, SingleName),
            $"The model folder has no weights: neither {SingleName} nor {IndexName}.");
    }

    /// <summary>Whether there is a tensor of this name.</summary>
    public bool Has(string name) => _fileOf.ContainsKey(name);

    /// <summary>What the header says of a tensor.</summary>
    /// <exception cref="InvalidInputException">There is none of this name.</exception>
    public SafetensorsEntry Entry(string name) => _fileOf.TryGetValue(name, out var file)
        ? file.Tensors[name]
        : throw new InvalidInputException(FaultKinds.InvalidWeights, _folder, $"The weights lack the tensor {Untrusted.Show(name)}.");

    /// <summary>What is wrong with a tensor that shall be a floating-point weight; null where nothing is.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="expectedShape">The shape it must have.</param>
    public Fault? Check(string name, params ReadOnlySpan<long> expectedShape) => Check(name, bytes: false, expectedShape);

    /// <summary>What is wrong with a tensor that shall be a floating-point weight, or bytes; null where nothing is.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="bytes">Whether it shall be bytes: a packed weight.</param>
    /// <param name="expectedShape">The shape it must have.</param>
    internal Fault? Check(string name, bool bytes, ReadOnlySpan<long> expectedShape)
    {
        if (!_fileOf.TryGetValue(name, out var file))
        {
            return new Fault(FaultKinds.InvalidWeights, _folder, $"The weights lack the tensor {Untrusted.Show(name)}.");
        }

        var entry = file.Tensors[name];
        if (!entry.Shape.AsSpan().SequenceEqual(expectedShape))
        {
            return new Fault(
                FaultKinds.InvalidWeights,
                file.Name,
                $"The tensor {Untrusted.Show(name)} has the shape {Untrusted.Show(entry.Shape)}; "
                + $"by config.json it must have {Untrusted.Show(expectedShape.ToArray())}.");
        }

        if (bytes)
        {
            return entry.Dtype == SafetensorsDtype.U8
                ? null
                : new Fault(FaultKinds.InvalidWeights, file.Name, $"The tensor {Untrusted.Show(name)} is stored as {entry.Dtype}; packed weights must be U8.");
        }

        return entry.Dtype.IsFloat()
            ? null
            : new Fault(
                FaultKinds.InvalidWeights,
                file.Name,
                $"The tensor {Untrusted.Show(name)} is stored as {entry.Dtype}; weights must be F64, F32, F16 or BF16, not quantized.");
    }

    /// <summary>Reads a floating-point weight.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="expectedShape">The shape it must have.</param>
    /// <param name="dtype">The type of the result.</param>
    /// <param name="device">Where the result shall be.</param>
    /// <returns>The tensor. The caller, or the dispose scope it runs in, disposes it.</returns>
    /// <exception cref="InvalidInputException"><see cref="Check(string, ReadOnlySpan{long})"/> finds a fault, or the file has become shorter.</exception>
    public Tensor Read(string name, ReadOnlySpan<long> expectedShape, ScalarType dtype, Device device) =>
        Check(name, expectedShape) is { } fault ? throw new InvalidInputException([fault]) : _fileOf[name].Read(name, dtype, device);

    /// <summary>Reads some rows of a floating-point matrix.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="expectedShape">The shape it must have.</param>
    /// <param name="rows">The rows, ascending.</param>
    /// <param name="dtype">The type of the result.</param>
    /// <param name="device">Where the result shall be.</param>
    /// <returns>[rows, columns]. The caller, or the dispose scope it runs in, disposes it.</returns>
    /// <exception cref="InvalidInputException">As for <see cref="Read"/>.</exception>
    internal Tensor ReadRows(string name, ReadOnlySpan<long> expectedShape, IReadOnlyList<long> rows, ScalarType dtype, Device device) =>
        Check(name, expectedShape) is { } fault ? throw new InvalidInputException([fault]) : _fileOf[name].ReadRows(name, rows, dtype, device);

    /// <summary>Reads a packed weight as it is stored.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="expectedShape">The shape it must have.</param>
    /// <param name="device">Where the result shall be.</param>
    /// <returns>A tensor of bytes. The caller, or the dispose scope it runs in, disposes it.</returns>
    /// <exception cref="InvalidInputException"><see cref="Check(string, bool, ReadOnlySpan{long})"/> finds a fault, or the file has become shorter.</exception>
    internal Tensor ReadBytes(string name, ReadOnlySpan<long> expectedShape, Device device) =>
        Check(name, bytes: true, expectedShape) is { } fault ? throw new InvalidInputException([fault]) : _fileOf[name].Read(name, ScalarType.Byte, device);

    /// <summary>What is wrong with the values of a weight that was read; null where all are finite. One pass over them.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="weight">What <see cref="Read"/> gave.</param>
    public Fault? CheckValues(string name, Tensor weight)
    {
        if (IsFinite(weight))
        {
            return null;
        }

        SafetensorsFile file = _fileOf[name];
        using var scope = NewDisposeScope();
        string what = IsFinite(file.Read(name, file.Tensors[name].Dtype.ToScalarType()!.Value, CPU))
            ? $"holds numbers that are too large for {weight.dtype.Name()}; load it in float64"
            : "holds a NaN or an infinite number; the file is damaged, or its training failed";
        return new Fault(FaultKinds.InvalidWeights, file.Name, $"The tensor {Untrusted.Show(name)} {what}.");
    }

    /// <summary>Closes the files.</summary>
    public void Dispose()
    {
        foreach (var file in _files)
        {
            file.Dispose();
        }
    }

    /// <summary>Whether no number is NaN or infinite: a NaN is what the least and the greatest of a tensor with one are.</summary>
    private static bool IsFinite(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        var (least, greatest) = tensor.aminmax();
        return stack([least, greatest]).isfinite().all().item<bool>();
    }

    private static WeightFiles OpenSharded(string folder, Func<string, Stream?>? elsewhere)
    {
        var indexPath = Path.Combine(folder, IndexName);
        var shardOf = StrictJson.ReadFile(indexPath, root => ReadWeightMap(root, indexPath));
        var files = new List<SafetensorsFile>();
        var fileOf = new Dictionary<string, SafetensorsFile>(StringComparer.Ordinal);
        var faults = new List<Fault>();
        foreach (var shard in shardOf.GroupBy(item => item.Value, item => item.Key, StringComparer.Ordinal))
        {
            try
            {
                var file = OpenShard(folder, shard.Key, indexPath, elsewhere);
                files.Add(file);
                var missing = shard.Where(name => !file.Tensors.ContainsKey(name)).ToList();
                if (missing.Count > 0)
                {
                    throw new InvalidInputException(
                        FaultKinds.InvalidWeights,
                        file.Name,
                        $"The shard lacks what {IndexName} says is in it: {Untrusted.ShowSome(missing)}.");
                }

                foreach (var name in shard)
                {
                    fileOf.Add(name, file);
                }
            }
            catch (InvalidInputException e)
            {
                faults.AddRange(e.Faults);
            }
        }

        var fileNames = shardOf.Values.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).Prepend(IndexName).ToList();
        var weights = new WeightFiles(folder, fileNames, files, fileOf);
        if (faults.Count > 0)
        {
            weights.Dispose();
            throw new InvalidInputException(faults);
        }

        return weights;
    }

    /// <summary>The index's weight_map: tensor name to shard name.</summary>
    private static Dictionary<string, string> ReadWeightMap(JsonElement root, string indexPath)
    {
        if (!root.TryGetProperty("weight_map", out var map) || map.ValueKind != JsonValueKind.Object)
        {
            throw new InvalidInputException(
                FaultKinds.Malformed, indexPath, "weight_map, the object that names each tensor's shard, is missing.");
        }

        var shardOf = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var property in map.EnumerateObject())
        {
            if (property.Value.ValueKind != JsonValueKind.String)
            {
                throw new InvalidInputException(
                    FaultKinds.Malformed, indexPath, $"weight_map does not name a file for the tensor {Untrusted.Show(property.Name)}.");
            }

            shardOf.Add(property.Name, property.Value.GetString()!);
        }

        return shardOf.Count > 0
            ? shardOf
            : throw new InvalidInputException(FaultKinds.Malformed, indexPath, "weight_map names no tensor.");
    }

    /// <summary>A weight file; null where there is none of this name.</summary>
    private static SafetensorsFile? OpenOne(string folder, string name, Func<string, Stream?>? elsewhere)
    {
        string path = Path.Combine(folder, name);
        return File.Exists(path) ? SafetensorsFile.Open(path) : elsewhere?.Invoke(name) is Stream stream ? SafetensorsFile.Open(stream, path) : null;
    }

    private static SafetensorsFile OpenShard(string folder, string shard, string indexPath, Func<string, Stream?>? elsewhere)
    {
        // The index may come from anywhere: it must not make us read outside the folder.
        if (!shard.EndsWith(".safetensors", StringComparison.Ordinal) || shard.AsSpan().ContainsAny("/\\:\0"))
        {
            throw new InvalidInputException(
                FaultKinds.Malformed,
                indexPath,
                $"weight_map names the shard {Untrusted.Show(shard)}; "
                + "a shard must be a .safetensors file in the same folder, named without a path.");
        }

        if (shard.Length > LongestFileName)
        {
            throw new InvalidInputException(
                FaultKinds.Malformed,
                indexPath,
                $"weight_map names a shard with a name of {shard.Length} characters, which no file can have: {Untrusted.Show(shard)}.");
        }

        return OpenOne(folder, shard, elsewhere)
            ?? throw new InvalidInputException(
                FaultKinds.NotFound, Path.Combine(folder, shard), $"The shard that {IndexName} names is missing; download it into the folder.");
    }
}
