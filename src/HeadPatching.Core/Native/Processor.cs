using System.Runtime.Intrinsics.X86;

namespace HeadPatching.Core.Native;

/// <summary>What the processor is good at, by what it says of itself: the same on every machine of a kind, where a measurement would fall this way or that.</summary>
internal static class Processor
{
    /// <summary>
    /// Whether it multiplies matrices of bfloat16 faster than those of float32. With AMX it does, and with AVX512-BF16 on AMD's processors and on Intel's first
    /// with it; on Intel's with AVX512-FP16, made for AMX, that a virtual machine can hide, <c>vdpbf16ps</c> has a quarter of the issue rate of float32's fused
    /// multiply-add and does twice its work: half as fast. Without either, products of bfloat16 are put together of slower instructions. What is not x86 is left to libtorch.
    /// </summary>
    public static bool MultipliesBfloat16Faster { get; } = !X86Base.IsSupported || AsksX86();

    // Intel 64 and IA-32 Architectures Software Developer's Manual, CPUID, leaf 7; AMD64 Architecture Programmer's Manual, volume 3, appendix E.
    private static bool AsksX86()
    {
        const int Features = 7;
        const int GenuineIntel = 0x756e6547; // the first four letters, as EBX has them
        var (last, vendor, _, _) = X86Base.CpuId(0, 0);
        if (last < Features)
        {
            return false;
        }

        var (sections, _, _, first) = X86Base.CpuId(Features, 0);
        bool amx = Has(first, 22), halves = Has(first, 23);
        bool bfloat16 = sections >= 1 && Has(X86Base.CpuId(Features, 1).Eax, 5);
        return amx || (bfloat16 && !(vendor == GenuineIntel && halves));

        static bool Has(int register, int bit) => (register >> bit & 1) == 1;
    }
}
