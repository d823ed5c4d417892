namespace HeadPatching.Core.Models.Safetensors;

/// <summary>One tensor of a safetensors file, as its header describes it.</summary>
/// <param name="Name">The tensor's name.</param>
/// <param name="Dtype">How its numbers are stored.</param>
/// <param name="Shape">Its shape; empty for a scalar.</param>
/// <param name="Begin">Its first byte, counted from the start of the file's data (after the header).</param>
/// <param name="ByteCount">Its bytes: elements times the size of one.</param>
public sealed record SafetensorsEntry(string Name, SafetensorsDtype Dtype, long[] Shape, long Begin, long ByteCount)
{
    /// <summary>The number of elements.</summary>
    public long ElementCount => ByteCount / Dtype.Size();
}
