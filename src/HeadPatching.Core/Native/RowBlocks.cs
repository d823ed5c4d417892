using TorchSharp;
using static TorchSharp.torch;

namespace HeadPatching.Core.Native;

/// <summary>
/// Rows of large tensors, as many at a time as stay in a core's own cache from one operation to the next. Several operations on each number
/// then read it from memory once and write it once, where each by itself would do so again, which weighs beside products in bfloat16.
/// </summary>
internal static class RowBlocks
{
    // Of numbers of the widest type that are worked on at once; the second cache of a core has 512 KiB or more.
    private const long Bytes = 256L << 10;

    /// <summary>Does something with all rows of some tensors, block after block; on a GPU at once, whose operations are few and large.</summary>
    /// <param name="tensors">[rows, width] each</param>
    /// <param name="work">Given a block of each, [some rows, width], views of it, or it itself where one is enough; what is made of a view is freed.</param>
    public static void Each(IReadOnlyList<Tensor> tensors, Action<Tensor[]> work)
    {
        long rows = tensors[0].shape[0], width = tensors[0].shape[1];
        long most = tensors[0].device_type == DeviceType.CPU ? Math.Max(1, Bytes / (width * sizeof(float))) : rows;
        if (rows <= most)
        {
            work([.. tensors]);
            return;
        }

        for (long first = 0; first < rows; first += most)
        {
            using var scope = NewDisposeScope();
            work([.. tensors.Select(tensor => tensor.narrow(0, first, Math.Min(most, rows - first)))]);
        }
    }
}
