using HeadPatching.Core.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace HeadPatching.Core.Native;

/// <summary>
/// x W + b, also where W is of a type with fewer digits than x. libtorch carries a second library for products, oneDNN, which asked for a convolution of width 1 is twice as fast on
/// AMD's processors with AVX-512; but its convolutions (of libtorch 2.10) are wrong there by whole numbers for a third of all shapes, and end the process with others.
/// </summary>
internal static class MatrixProduct
{
    /// <summary>Of a weight that is widened no more bytes are held at a time.</summary>
    private const long WidenedBytes = 16L << 20;

    /// <summary>Of the rows that are multiplied with it as many, beside which it costs little.</summary>
    private const long WidenedRows = 1024;

    /// <summary>
    /// x W + b. Where W is of a type with fewer digits, x and the product are rounded to it, and b is added to what that is in x's type; the sums of
    /// the product itself are in float32.
    /// </summary>
    /// <param name="rows">x, [rows, in]</param>
    /// <param name="weight">W, [in, out]</param>
    /// <param name="bias">b, [out], of the type that is returned</param>
    /// <param name="type">The type that is returned, where x is rounded already; null: x's.</param>
    /// <returns>[rows, out]</returns>
    public static Tensor Of(Tensor rows, Tensor weight, Tensor? bias, ScalarType? type = null)
    {
        if (weight.dtype != (type ?? rows.dtype))
        {
            return Widened(Rounded(rows, weight), bias, type ?? rows.dtype);
        }

        return bias is null ? rows.mm(weight) : bias.addmm(rows, weight);
    }

    /// <summary>x W, of W's type, to which x is rounded.</summary>
    /// <inheritdoc cref="Of"/>
    public static Tensor Rounded(Tensor rows, Tensor weight)
    {
        Tensor rounded = rows.to(weight.dtype);
        bool inFloat32 = weight.dtype == ScalarType.BFloat16 && weight.device_type == DeviceType.CPU && !Processor.MultipliesBfloat16Faster;
        bool gradients = is_grad_enabled() && (rows.requires_grad || weight.requires_grad); // which would keep every W widened
        return inFloat32 && !gradients ? InFloat32(rounded, weight) : rounded.mm(weight);
    }

    /// <summary>A product in a type with more digits, and b added to that.</summary>
    /// <param name="product">[rows, out]</param>
    /// <param name="bias">b, [out], of that type</param>
    /// <param name="type">The type.</param>
    /// <returns>[rows, out]</returns>
    public static Tensor Widened(Tensor product, Tensor? bias, ScalarType type)
    {
        if (bias is null)
        {
            return product.to(type);
        }

        if (!is_inference_mode_enabled())
        {
            return product.to(type).AddInPlace(bias);
        }

        Tensor wide = empty_like(product, dtype: type);
        RowBlocks.Each([product, wide], block => block[1].copy_(block[0]).AddInPlace(bias));
        return wide;
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

        return cat([.. InColumns(weight, x.dtype).Select(some => x.matmul(some.Wide))], -1);
    }

    /// <summary>x W of x and W of one type with fewer digits, the product rounded to it, for a processor that multiplies float32 faster: some columns and some rows at a time.</summary>
    /// <inheritdoc cref="Of"/>
    private static Tensor InFloat32(Tensor rows, Tensor weight)
    {
        Tensor product = empty(rows.shape[0], weight.shape[1], dtype: weight.dtype, device: weight.device);
        foreach (var (wide, first) in InColumns(weight, ScalarType.Float32))
        {
            for (long row = 0; row < rows.shape[0]; row += WidenedRows)
            {
                using var scope = NewDisposeScope();
                long count = Math.Min(WidenedRows, rows.shape[0] - row);
                product.narrow(0, row, count).narrow(1, first, wide.shape[1]).copy_(rows.narrow(0, row, count).to(ScalarType.Float32).mm(wide));
            }
        }

        return product;
    }

    /// <summary>W widened, some columns at a time, which are freed before the next; and which is the first of them.</summary>
    private static IEnumerable<(Tensor Wide, long First)> InColumns(Tensor weight, ScalarType type)
    {
        long columns = Math.Max(1, WidenedBytes / (weight.shape[0] * type.Bytes()));
        for (long first = 0; first < weight.shape[1]; first += columns)
        {
            using Tensor some = weight.narrow(1, first, Math.Min(columns, weight.shape[1] - first)), wide = some.to(type);
            yield return (wide, first);
        }
    }
}
