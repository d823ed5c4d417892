using System.Buffers.Binary;
using System.Text;

namespace HeadPatching.Core.Tests.Models;

/// <summary>Safetensors files made by hand, sound ones and ones that lie.</summary>
internal static class SafetensorsBytes
{
    /// <summary>The length of the header, the header, and so many bytes of data.</summary>
    public static byte[] Make(string header, int dataBytes) => Make(Encoding.UTF8.GetBytes(header), dataBytes);

    public static byte[] Make(byte[] header, int dataBytes) => WithLength((ulong)header.Length, header, dataBytes);

    /// <summary>A file that says of its header that it has <paramref name="saidLength"/> bytes.</summary>
    public static byte[] WithLength(ulong saidLength, byte[] header, int dataBytes)
    {
        var bytes = new byte[sizeof(ulong) + header.Length + dataBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, saidLength);
        header.CopyTo(bytes, sizeof(ulong));
        for (var i = 0; i < dataBytes; i++)
        {
            bytes[sizeof(ulong) + header.Length + i] = (byte)i;
        }

        return bytes;
    }

    /// <summary>The header's text for one tensor.</summary>
    public static string Entry(string name, string dtype, string shape, string offsets) =>
        $"\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":{offsets}}}";

    /// <summary>A file whose tensors are float32 vectors of zeros.</summary>
    public static byte[] Vectors(params (string Name, int Length)[] vectors)
    {
        var begin = 0;
        var entries = new List<string>();
        foreach (var (name, length) in vectors)
        {
            entries.Add(Entry(name, "F32", $"[{length}]", $"[{begin},{begin + (4 * length)}]"));
            begin += 4 * length;
        }

        return Make("{" + string.Join(",", entries) + "}", begin);
    }
}
