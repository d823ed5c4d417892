using System.Runtime.Intrinsics.X86;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace HeadPatching.Core.Native;

/// <summary>
/// x W + b by the faster of the two libraries that libtorch carries for it. A matrix product is MKL's, which on AMD's processors uses half of
/// their vectors' width; a convolution is oneDNN's, which uses all of it. A product is a convolution of one row of pixels with a kernel of
/// one, and so computed takes half of the time there. On Intel's processors both are as fast, and MKL's is taken as everywhere else.
/// </summary>
internal static class MatrixProduct
{
    /// <summary>Of fewer rows MKL's is as fast.</summary>
    private const long FewestRows = 64;

    /// <summary>Of no more elements libtorch computes a convolution by itself.</summary>
    private const long FewestElements = 20_480;

    /// <summary>A kernel of one has no gaps that could be widened; asked for all the same, they keep libtorch from giving it to MKL where one thread computes.</summary>
    private static readonly long[] Dilated = [2, 2];

    private static readonly bool ConvolutionIsFaster = IsAmdWithWideVectors();

    /// <summary>x W + b.</summary>
    /// <param name="rows">x, [rows, in]</param>
    /// <param name="weight">W, [in, out]; fastest where it lies in memory as [out, in].</param>
    /// <param name="bias">b, [out]</param>
    /// <returns>[rows, out]</returns>
    public static Tensor Of(Tensor rows, Tensor weight, Tensor? bias)
    {
        long count = rows.shape[0], width = rows.shape[1];
        if (ConvolutionIsFaster
            && rows.dtype == ScalarType.Float32 && rows.device_type == TorchSharp.DeviceType.CPU
            && count >= FewestRows && count * width > FewestElements
            && weight.stride(0) == 1)
        {
            // [1, in, 1, rows] and [out, in, 1, 1], with the pixels' channels side by side in memory as they are.
            Tensor pixels = rows.view(1, 1, count, width).permute(0, 3, 1, 2), kernels = weight.t().view(-1, 1, 1, width).permute(0, 3, 1, 2);
            return F.conv2d(pixels, kernels, bias, dilation: Dilated).permute(0, 2, 3, 1).view(count, -1);
        }

        return bias is null ? rows.mm(weight) : bias.addmm(rows, weight);
    }

    private static bool IsAmdWithWideVectors()
    {
        if (!Avx512F.IsSupported)
        {
            return false;
        }

        var (_, b, c, d) = X86Base.CpuId(0, 0);
        return (b, d, c) == (0x68747541, 0x69746E65, 0x444D4163); // "Auth" "enti" "cAMD"
    }
}
