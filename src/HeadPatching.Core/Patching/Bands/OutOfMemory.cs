using System.Runtime.InteropServices;
using HeadPatching.Core.Circuits;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Bands;

/// <summary>Tells running out of memory from other failures of libtorch, which all come as one type of exception.</summary>
internal static class OutOfMemory
{
    // libtorch's own words: the GPU's allocator ("CUDA out of memory"), the CPU's two ("not enough memory", "can't allocate memory"),
    // and the libraries that allocate their own workspace.
    private static readonly string[] Phrases =
        ["out of memory", "not enough memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED"];

    /// <summary>Whether it says that memory ran out, the GPU's or the machine's.</summary>
    public static bool Is(Exception exception) =>
        exception is OutOfMemoryException
        || (exception is ExternalException && Phrases.Any(phrase => exception.Message.Contains(phrase, StringComparison.OrdinalIgnoreCase)));

    /// <summary>What to throw where not even one head's run over a chunk fits.</summary>
    public static InsufficientMemoryException OfOneHead(int layer, int pairs, int length, Device device, Exception cause) =>
        OfOne($"Layer {layer}: not even one head", pairs, length, device, cause);

    /// <summary>What to throw where not even one edge's run over a chunk fits.</summary>
    public static InsufficientMemoryException OfOneEdge(Edge edge, int pairs, int length, Device device, Exception cause) =>
        OfOne($"{edge}: not even one edge", pairs, length, device, cause);

    private static InsufficientMemoryException OfOne(string what, int pairs, int length, Device device, Exception cause) => new(
        $"{what} over {pairs} pairs of {length} tokens fits into the memory of the device ({device}). "
        + "A smaller memory budget puts fewer pairs into a chunk; bfloat16 weights leave more room than float32's.",
        cause);
}
