using System.Buffers.Binary;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Native;
using static TorchSharp.torch;

namespace HeadPatching.Core.Models.Safetensors;

/// <summary>
/// A safetensors file, open for reading: 8 bytes with the length of a JSON header (little-endian), the header, then the tensors' bytes.
/// Everything in the header is checked when the file is opened; nothing in it is trusted.
/// </summary>
/// <remarks>The format: https://huggingface.co/docs/safetensors.</remarks>
public sealed class SafetensorsFile : IDisposable
{
    /// <summary>Tensors are read in pieces of this many bytes: a span holds at most 2 GB, a tensor may be larger.</summary>
    internal const int PieceBytes = 4 << 20;

    private const int LengthBytes = 8;

    private readonly Stream _stream;
    private readonly Lock _reading = new();                                   // the stream has one position
    private long _bytesRead;

    private SafetensorsFile(Stream stream, string name, SafetensorsHeader header, long dataStart)
    {
        _stream = stream;
        DataStart = dataStart;
        Name = name;
        Tensors = header.Tensors;
        Metadata = header.Metadata;
    }

    /// <summary>The file's path, or what the stream was called; faults name it.</summary>
    public string Name { get; }

    /// <summary>Where the tensors' bytes begin in the file: <see cref="SafetensorsEntry.Begin"/> counts from here.</summary>
    public long DataStart { get; }

    /// <summary>The file's bytes.</summary>
    public long Length => _stream.Length;

    /// <summary>How many bytes of tensors were read since it was opened.</summary>
    public long BytesRead => Interlocked.Read(ref _bytesRead);

    /// <summary>The tensors by name.</summary>
    public IReadOnlyDictionary<string, SafetensorsEntry> Tensors { get; }

    /// <summary>The texts in <c>__metadata__</c>; empty where there are none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Opens a file and checks its header.</summary>
    /// <exception cref="InvalidInputException">The file cannot be opened, or it is not a sound safetensors file.</exception>
    public static SafetensorsFile Open(string path)
    {
        FileStream stream;
        try
        {
            // No buffer: reads go straight into the tensors' memory.
            stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            var reason = e is FileNotFoundException or DirectoryNotFoundException ? "It does not exist." : e.Message;
            throw new InvalidInputException(FaultKinds.NotFound, path, $"The weights file cannot be opened: {reason}");
        }

        return Open(stream, path);
    }

    /// <summary>Opens a stream as a safetensors file, from its start, and checks the header.</summary>
    /// <param name="stream">Readable and seekable. It is the file's from here on: disposed with it, and at once if this fails.</param>
    /// <param name="name">What faults call it.</param>
    /// <exception cref="InvalidInputException">The stream is not a sound safetensors file.</exception>
    public static SafetensorsFile Open(Stream stream, string name)
    {
        try
        {
            var json = ReadHeader(stream, name);
            var dataStart = LengthBytes + json.LongLength;
            return new SafetensorsFile(stream, name, SafetensorsHeader.Parse(json, stream.Length - dataStart, name), dataStart);
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Reads one tensor, then converts it.</summary>
    /// <param name="name">A name in <see cref="Tensors"/>.</param>
    /// <param name="dtype">The type of the result.</param>
    /// <param name="device">Where the result shall be.</param>
    /// <returns>A tensor of the stored shape. The caller, or the dispose scope it runs in, disposes it.</returns>
    /// <exception cref="InvalidInputException">
    /// The file lacks the tensor, stores it in a dtype that cannot be read, or has become shorter.
    /// </exception>
    public Tensor Read(string name, ScalarType dtype, Device device)
    {
        var (entry, stored) = Readable(name);
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();

        // A byte that is neither 0 nor 1 is no bool in libtorch's memory: such tensors are read as bytes and converted.
        var isBool = stored == ScalarType.Bool;
        var tensor = LargePages.Empty(entry.Shape, isBool ? ScalarType.Byte : stored);
        Fill(tensor, entry, first: 0);
        if (isBool)
        {
            tensor = tensor.to(ScalarType.Bool);
        }

        return tensor.to(dtype, device).MoveToOuterDisposeScope();
    }

    /// <summary>Reads some rows of a matrix, then converts them.</summary>
    /// <param name="name">A name in <see cref="Tensors"/>, of a matrix of floating-point numbers.</param>
    /// <param name="rows">The rows, ascending.</param>
    /// <param name="dtype">The type of the result.</param>
    /// <param name="device">Where the result shall be.</param>
    /// <returns>[rows, columns]. The caller, or the dispose scope it runs in, disposes it.</returns>
    /// <exception cref="InvalidInputException">As for <see cref="Read(string, ScalarType, Device)"/>.</exception>
    public Tensor ReadRows(string name, IReadOnlyList<long> rows, ScalarType dtype, Device device)
    {
        var (entry, stored) = Readable(name);
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        var columns = entry.Shape[1];
        var read = LargePages.Empty([rows.Count, columns], stored);           // [rows, columns]
        for (int first = 0, count; first < rows.Count; first += count)
        {
            // Rows that follow one another in the file are read in one go.
            for (count = 1; first + count < rows.Count && rows[first + count] == rows[first] + count; count++)
            {
            }

            using var piece = read.narrow(0, first, count);
            Fill(piece, entry, rows[first] * columns);
        }

        return read.to(dtype, device).MoveToOuterDisposeScope();
    }

    /// <summary>Reads one tensor in the type that it is stored in.</summary>
    /// <param name="name">A name in <see cref="Tensors"/>.</param>
    /// <returns>A tensor on the CPU. The caller, or the dispose scope it runs in, disposes it.</returns>
    /// <exception cref="InvalidInputException">
    /// The file lacks the tensor, stores it in a dtype that cannot be read, or has become shorter.
    /// </exception>
    public Tensor Read(string name) =>
        Read(name, Tensors.TryGetValue(name, out SafetensorsEntry? entry) ? entry.Dtype.ToScalarType() ?? ScalarType.Float32 : ScalarType.Float32, CPU);

    /// <summary>A tensor as the file stores one, its bytes still to come (<see cref="Put"/>): for who reads them in pieces of his own.</summary>
    /// <param name="entry">One of <see cref="Tensors"/>, of floating-point numbers.</param>
    /// <returns>A tensor on the CPU. The caller, or the dispose scope it runs in, disposes it.</returns>
    /// <exception cref="ArgumentException">It is not of floating-point numbers.</exception>
    public static Tensor Empty(SafetensorsEntry entry) => entry.Dtype.IsFloat()
        ? LargePages.Empty(entry.Shape, entry.Dtype.ToScalarType()!.Value)
        : throw new ArgumentException($"{entry.Name} is stored as {entry.Dtype}.", nameof(entry));

    /// <summary>Puts some of a tensor's bytes in their place.</summary>
    /// <param name="tensor">A contiguous tensor on the CPU.</param>
    /// <param name="from">Their first one's place in the tensor; a whole number of elements.</param>
    /// <param name="bytes">The bytes.</param>
    public static void Put(Tensor tensor, long from, ReadOnlySpan<byte> bytes)
    {
        using var scope = NewDisposeScope();
        bytes.CopyTo(tensor.reshape(-1).narrow(0, from / tensor.ElementSize, bytes.Length / tensor.ElementSize).bytes);
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => _stream.Dispose();

    private static byte[] ReadHeader(Stream stream, string name)
    {
        var fileBytes = stream.Length;
        if (fileBytes < LengthBytes)
        {
            throw Malformed(name, $"The file has {fileBytes} bytes, too few for a safetensors file.");
        }

        Span<byte> lengthField = stackalloc byte[LengthBytes];
        stream.Position = 0;
        ReadExactly(stream, lengthField, name);
        var headerBytes = BinaryPrimitives.ReadUInt64LittleEndian(lengthField);
        if (headerBytes > SafetensorsHeader.MaxBytes)
        {
            RefusePointer(stream, name);
            throw Malformed(name, $"The header is said to have {headerBytes} bytes; the format allows {SafetensorsHeader.MaxBytes}. "
                + "This is not a safetensors file, or it is damaged.");
        }

        if ((long)headerBytes > fileBytes - LengthBytes)
        {
            throw Malformed(name, $"The header is said to have {headerBytes} bytes, but the file has only {fileBytes}. "
                + "The file may be cut off; get it again.");
        }

        var json = new byte[headerBytes];
        ReadExactly(stream, json, name);
        return json;
    }

    private static void RefusePointer(Stream stream, string name)
    {
        byte[] begin = new byte[GitLfs.Begin.Length];
        stream.Position = 0;
        GitLfs.RefusePointer(begin.AsSpan(0, stream.ReadAtLeast(begin, begin.Length, throwOnEndOfStream: false)), name);
    }

    private (SafetensorsEntry Entry, ScalarType Stored) Readable(string name)
    {
        if (!Tensors.TryGetValue(name, out var entry))
        {
            throw new InvalidInputException(FaultKinds.InvalidWeights, Name, $"The tensor {Untrusted.Show(name)} is missing.");
        }

        return entry.Dtype.ToScalarType() is { } stored
            ? (entry, stored)
            : throw new InvalidInputException(
                FaultKinds.InvalidWeights, Name, $"The tensor {Untrusted.Show(name)} is stored as {entry.Dtype}, which cannot be read.");
    }

    /// <summary>Reads an entry's elements from one on straight into the memory of a fresh CPU tensor, as many as that has.</summary>
    private void Fill(Tensor tensor, SafetensorsEntry entry, long first)
    {
        using var flat = tensor.reshape(-1); // [elements]
        long elements = flat.NumberOfElements, pieceElements = PieceBytes / entry.Dtype.Size();
        lock (_reading)
        {
            _stream.Position = DataStart + entry.Begin + (first * entry.Dtype.Size());
            for (var start = 0L; start < elements; start += pieceElements)
            {
                using var piece = flat.narrow(0, start, Math.Min(pieceElements, elements - start));
                ReadExactly(_stream, piece.bytes, Name);
            }
        }

        Interlocked.Add(ref _bytesRead, elements * entry.Dtype.Size());
    }

    private static void ReadExactly(Stream stream, Span<byte> bytes, string name)
    {
        try
        {
            stream.ReadExactly(bytes);
        }
        catch (EndOfStreamException)
        {
            throw Malformed(name, "The file ended while it was read; was it changed meanwhile?");
        }
    }

    private static InvalidInputException Malformed(string name, string message) => new(FaultKinds.Malformed, name, message);
}
