using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace HeadPatching.Core.Native;

/// <summary>
/// Large tensors that are read in pages of 2 MiB, where the system has them (Linux: <c>transparent_hugepage</c> is <c>madvise</c> or <c>always</c>). The C library maps what is larger than
/// <see cref="FreedMemory"/> keeps anew each time, and the kernel then gives it page by page: of reading a streamed layer, a third of the time.
/// </summary>
internal static class LargePages
{
    private const long Least = 32L << 20;
    private const int PageBytes = 4096, HugePage = 14; // MADV_HUGEPAGE of mman.h

    /// <summary>A tensor on the CPU to be filled, in such pages where it is large.</summary>
    /// <param name="shape">Its shape.</param>
    /// <param name="type">Its type.</param>
    public static Tensor Empty(long[] shape, ScalarType type)
    {
        Tensor tensor = empty(shape, dtype: type, device: CPU);
        long bytes = tensor.NumberOfElements * tensor.ElementSize;
        if (OperatingSystem.IsLinux() && bytes >= Least)
        {
            Ask(tensor, bytes);
        }

        return tensor;
    }

    private static void Ask(Tensor tensor, long bytes)
    {
        using Tensor first = tensor.view(-1).narrow(0, 0, PageBytes / tensor.ElementSize);
        ref byte start = ref MemoryMarshal.GetReference(first.bytes);
        long past = Unsafe.ByteOffset(ref Unsafe.NullRef<byte>(), ref start) % PageBytes;
        nint skipped = (nint)(past == 0 ? 0 : PageBytes - past);
        _ = Advise(ref Unsafe.AddByteOffset(ref start, skipped), (nuint)(bytes - skipped), HugePage); // a kernel without them says no, and nothing is lost
    }

    [DllImport("libc", EntryPoint = "madvise", ExactSpelling = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int Advise(ref byte start, nuint bytes, int advice);
}
