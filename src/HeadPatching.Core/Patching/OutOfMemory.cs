using System.Runtime.InteropServices;

namespace HeadPatching.Core.Patching;

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
}
