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

    /// <summary>Of a weight that is widened no more bytes are held at a time.</summary>
    private const long WidenedBytes = 16L << 20;

    /// <summary>
    /// x W + b. Where W is of a type with fewer digits, x and the product are rounded to it, and b is added to what that is in x's type; the sums of
    /// the product itself are in float32.
    /// </summary>
    /// <param name="rows">x, [rows, in]</param>
    /// <param name="weight">W, [in, out]; fastest where it lies in memory as [out, in].</param>
    /// <param name="bias">b, [out], of x's type</param>
    /// <returns>[rows, out], of x's type</returns>
    public static Tensor Of(Tensor rows, Tensor weight, Tensor? bias)
    {
        if (weight.dtype != rows.dtype)
        {
            Tensor product = rows.to(weight.dtype).mm(weight).to(rows.dtype);
            return bias is null ? product : product.AddInPlace(bias);
        }

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

    /// <summary>Products of several x with a W each, rounded as <see cref="Of"/> does.</summary>
    /// <param name="rows">[several, rows, in]</param>
    /// <param name="weights">[several, in, out]</param>
    /// <returns>[several, rows, out], of x's type</returns>
    public static Tensor OfEach(Tensor rows, Tensor weights) => rows.to(weights.dtype).bmm(weights).to(rows.dtype);

    /// <summary>x W, where nothing is rounded to W's type: W is widened instead, some columns at a time.</summary>
    /// <param name="x">[.., in]</param>
    /// <param name="weight">W, [in, out]</param>
    /// <returns>[.., out], of x's type</returns>
    public static Tensor Wide(Tensor x, Tensor weight)
    {
        if (weight.dtype == x.dtype)
        {
            return x.matmul(weight);
        }

        long columns = Math.Max(1, WidenedBytes / (weight.shape[0] * x.element_size()));
        return cat([.. weight.split(columns, dim: 1).Select(some => x.matmul(some.to(x.dtype)))], -1);
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
