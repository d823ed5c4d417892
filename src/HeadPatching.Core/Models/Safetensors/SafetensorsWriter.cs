using System.Buffers;
using System.Buffers.Binary;
using System.Text.Json;
using static TorchSharp.torch;

namespace HeadPatching.Core.Models.Safetensors;

/// <summary>Writes safetensors files. The same tensors and metadata give the same bytes, in whatever order they come.</summary>
public static class SafetensorsWriter
{
    /// <summary>The header is padded with spaces to this, so that the data after it are aligned.</summary>
    private const int HeaderAlignment = 8;

    /// <summary>Writes a file.</summary>
    /// <param name="stream">Writable; need not be seekable; stays open.</param>
    /// <param name="tensors">Of float64, float32, float16, bfloat16, an integer type or bool; any device; need not be contiguous.</param>
    /// <param name="metadata">Texts for <c>__metadata__</c>.</param>
    /// <exception cref="ArgumentException">A name is there twice or is reserved, or the format has no such type.</exception>
    public static void Write(
        Stream stream,
        IReadOnlyList<(string Name, Tensor Tensor)> tensors,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        // The widest elements first, so that each tensor begins at a multiple of its element's size: readers that map the file need that.
        var laidOut = tensors
            .Select(item => (item.Name, item.Tensor, Dtype: DtypeOf(item.Name, item.Tensor)))
            .OrderByDescending(item => item.Dtype.Size())
            .ThenBy(item => item.Name, StringComparer.Ordinal)
            .ToList();

        var names = new HashSet<string>(StringComparer.Ordinal) { SafetensorsHeader.MetadataName };
        foreach (var (name, _, _) in laidOut)
        {
            if (!names.Add(name))
            {
                throw new ArgumentException($"The name '{name}' is there twice or is reserved.", nameof(tensors));
            }
        }

        var header = Header(laidOut, metadata);
        var padding = (HeaderAlignment - (header.Length % HeaderAlignment)) % HeaderAlignment;
        Span<byte> lengthField = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(lengthField, (ulong)(header.Length + padding));
        stream.Write(lengthField);
        stream.Write(header);
        stream.Write("       "u8[..padding]);
        foreach (var (_, tensor, dtype) in laidOut)
        {
            WriteBytes(stream, tensor, dtype);
        }
    }

    private static SafetensorsDtype DtypeOf(string name, Tensor tensor) => SafetensorsDtypes.FromScalarType(tensor.dtype)
        ?? throw new ArgumentException($"The tensor '{name}' has the type {tensor.dtype}, which cannot be stored.", nameof(tensor));

    private static ReadOnlySpan<byte> Header(
        IEnumerable<(string Name, Tensor Tensor, SafetensorsDtype Dtype)> laidOut,
        IReadOnlyDictionary<string, string>? metadata)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(buffer);
        json.WriteStartObject();
        if (metadata is { Count: > 0 })
        {
            json.WriteStartObject(SafetensorsHeader.MetadataName);
            foreach (var (key, value) in metadata.OrderBy(item => item.Key, StringComparer.Ordinal))
            {
                json.WriteString(key, value);
            }

            json.WriteEndObject();
        }

        var begin = 0L;
        foreach (var (name, tensor, dtype) in laidOut)
        {
            var end = begin + (tensor.NumberOfElements * dtype.Size());
            json.WriteStartObject(name);
            json.WriteString("dtype", dtype.ToString());
            WriteIntegers(json, "shape", tensor.shape);
            WriteIntegers(json, "data_offsets", [begin, end]);
            json.WriteEndObject();
            begin = end;
        }

        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenSpan;
    }

    private static void WriteIntegers(Utf8JsonWriter json, string name, long[] values)
    {
        json.WriteStartArray(name);
        foreach (var value in values)
        {
            json.WriteNumberValue(value);
        }

        json.WriteEndArray();
    }

    private static void WriteBytes(Stream stream, Tensor tensor, SafetensorsDtype dtype)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var flat = tensor.detach().cpu().contiguous().reshape(-1); // [elements]
        var elements = flat.NumberOfElements;
        var pieceElements = SafetensorsFile.PieceBytes / dtype.Size();
        for (var start = 0L; start < elements; start += pieceElements)
        {
            using var piece = flat.narrow(0, start, Math.Min(pieceElements, elements - start));
            stream.Write(piece.bytes);
        }
    }
}
