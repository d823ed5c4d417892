using System.Text.Json;
using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Models.Safetensors;

/// <summary>
/// The JSON header of a safetensors file, checked so that nothing after it need be: every tensor lies within the data, its bytes are
/// those of its shape, no two overlap, and together they cover the data.
/// </summary>
internal sealed class SafetensorsHeader
{
    /// <summary>The bound that the format itself sets to a header.</summary>
    public const long MaxBytes = 100_000_000;

    /// <summary>The name in the header that is no tensor but a map of texts.</summary>
    public const string MetadataName = "__metadata__";

    /// <summary>libtorch's own bound on the dimensions of a tensor.</summary>
    private const int MaxDimensions = 64;

    private SafetensorsHeader(IReadOnlyDictionary<string, SafetensorsEntry> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        Tensors = tensors;
        Metadata = metadata;
    }

    public IReadOnlyDictionary<string, SafetensorsEntry> Tensors { get; }

    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Reads and checks a header.</summary>
    /// <param name="json">The header's bytes.</param>
    /// <param name="dataBytes">How many bytes the file has after the header.</param>
    /// <param name="file">The file, for faults.</param>
    /// <exception cref="InvalidInputException">The header breaks the format or does not fit the file.</exception>
    public static SafetensorsHeader Parse(ReadOnlyMemory<byte> json, long dataBytes, string file) =>
        StrictJson.Read(json, _ => file, "The header", root => new Reader(dataBytes, file).Read(root));

    private sealed class Reader(long dataBytes, string file)
    {
        public SafetensorsHeader Read(JsonElement root)
        {
            var tensors = new Dictionary<string, SafetensorsEntry>(StringComparer.Ordinal);
            var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
            foreach (var property in root.EnumerateObject())
            {
                if (property.Name == MetadataName)
                {
                    ReadMetadata(property.Value, metadata);
                }
                else
                {
                    tensors.Add(property.Name, ReadEntry(property.Name, property.Value));
                }
            }

            CheckCovered(tensors.Values);
            return new SafetensorsHeader(tensors, metadata);
        }

        private void ReadMetadata(JsonElement element, Dictionary<string, string> metadata)
        {
            if (element.ValueKind != JsonValueKind.Object)
            {
                throw Malformed($"{MetadataName} in the header is not an object.");
            }

            foreach (var property in element.EnumerateObject())
            {
                if (property.Value.ValueKind != JsonValueKind.String)
                {
                    throw Malformed($"{MetadataName} in the header has the value {Untrusted.Show(property.Name)} that is not a string.");
                }

                metadata.Add(property.Name, property.Value.GetString()!);
            }
        }

        private SafetensorsEntry ReadEntry(string name, JsonElement element)
        {
            if (element.ValueKind != JsonValueKind.Object
                || !element.TryGetProperty("dtype", out var dtypeElement)
                || !element.TryGetProperty("shape", out var shapeElement)
                || !element.TryGetProperty("data_offsets", out var offsetsElement))
            {
                throw Malformed(name, "is not described by dtype, shape and data_offsets.");
            }

            var dtype = ReadDtype(name, dtypeElement);
            var shape = ReadIntegers(name, "shape", shapeElement);
            var offsets = ReadIntegers(name, "data_offsets", offsetsElement);
            if (shape.Length > MaxDimensions)
            {
                throw Malformed(name, $"has {shape.Length} dimensions; at most {MaxDimensions} are possible.");
            }

            if (offsets.Length != 2)
            {
                throw Malformed(name, $"has {offsets.Length} data_offsets; there must be two, begin and end.");
            }

            var (begin, end) = (offsets[0], offsets[1]);
            if (begin > end)
            {
                throw Malformed(name, $"begins at byte {begin} after its end at byte {end}.");
            }

            if (end > dataBytes)
            {
                throw Malformed(name, $"ends at byte {end}, but the file has only {dataBytes} bytes of data. "
                    + "The file may be cut off; get it again.");
            }

            var expectedBytes = ByteCount(name, shape, dtype);
            if (end - begin != expectedBytes)
            {
                throw Malformed(name, $"has {end - begin} bytes, but {dtype} of shape {Untrusted.Show(shape)} takes {expectedBytes}.");
            }

            return new SafetensorsEntry(name, dtype, shape, begin, expectedBytes);
        }

        private SafetensorsDtype ReadDtype(string name, JsonElement element)
        {
            var text = element.ValueKind == JsonValueKind.String ? element.GetString()! : element.GetRawText();

            // Names only: Enum.TryParse alone would take "3" and "F32, F16" as well.
            var known = Enum.GetNames<SafetensorsDtype>();
            if (!known.Contains(text, StringComparer.Ordinal))
            {
                throw Malformed(name, $"has the unknown dtype {Untrusted.Show(text)}; known are {string.Join(", ", known)}.");
            }

            return Enum.Parse<SafetensorsDtype>(text);
        }

        private long[] ReadIntegers(string name, string property, JsonElement element)
        {
            if (element.ValueKind != JsonValueKind.Array)
            {
                throw Malformed(name, $"has {property} that is not a list of integers.");
            }

            var values = new long[element.GetArrayLength()];
            var count = 0;
            foreach (var item in element.EnumerateArray())
            {
                if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt64(out var value) || value < 0)
                {
                    throw Malformed(name, $"has {Untrusted.Show(item.GetRawText())} in {property}; "
                        + $"only integers from 0 to {long.MaxValue} may be there.");
                }

                values[count++] = value;
            }

            return values;
        }

        private long ByteCount(string name, long[] shape, SafetensorsDtype dtype)
        {
            try
            {
                // libtorch's strides of an empty tensor take an extent of 0 as 1: they too must not overflow.
                _ = shape.Aggregate((long)dtype.Size(), (product, extent) => checked(product * Math.Max(extent, 1)));
                return shape.Aggregate((long)dtype.Size(), (product, extent) => product * extent);
            }
            catch (OverflowException)
            {
                throw Malformed(name, $"has the shape {Untrusted.Show(shape)}, more than any file can hold.");
            }
        }

        private void CheckCovered(IEnumerable<SafetensorsEntry> entries)
        {
            var covered = 0L;
            foreach (var entry in entries.OrderBy(entry => entry.Begin).ThenBy(entry => entry.ByteCount))
            {
                if (entry.Begin < covered)
                {
                    throw Malformed(entry.Name, $"begins at byte {entry.Begin}, "
                        + $"inside the tensor before it, which ends at byte {covered}.");
                }

                if (entry.Begin > covered)
                {
                    throw Malformed(entry.Name, $"begins at byte {entry.Begin}, but the tensor before it ends at byte {covered}: "
                        + "the format allows no holes.");
                }

                covered += entry.ByteCount;
            }

            if (covered != dataBytes)
            {
                throw Malformed($"The file has {dataBytes} bytes of data, but its tensors end at byte {covered}.");
            }
        }

        private InvalidInputException Malformed(string name, string message) => Malformed($"The tensor {Untrusted.Show(name)} {message}");

        private InvalidInputException Malformed(string message) => new(FaultKinds.Malformed, file, message);
    }
}
