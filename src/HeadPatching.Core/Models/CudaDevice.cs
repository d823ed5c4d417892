using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace HeadPatching.Core.Models;

/// <summary>What a CUDA device is told and asked, where TorchSharp does not do it already. Never used where there is none.</summary>
internal static class CudaDevice
{
    // TorchSharp has no query for memory. The driver's library, unlike the runtime's, has the same name in every installation.
    private const string Driver = "libcuda.so.1";

    /// <summary>
    /// Turns TF32 off: it rounds the factors of float32 products to 10 bits, which patching effects would show. And float16's products add up in
    /// float32, not in parts that are rounded.
    /// </summary>
    public static void ComputeInFullFloat32()
    {
        backends.cuda.matmul.allow_tf32 = false;
        backends.cudnn.allow_tf32 = false;
        backends.cuda.matmul.allow_fp16_reduced_precision_reduction = false;
    }

    /// <summary>The device's free memory in bytes; null where the driver does not say.</summary>
    public static long? FreeBytes(Device device) => Bytes(device)?.Free;

    /// <summary>The device's free memory and all of it, in bytes; null where the driver does not say.</summary>
    public static (long Free, long Total)? Bytes(Device device)
    {
        try
        {
            int number = Math.Max(0, device.index);                           // plain "cuda" is the first device
            if (Init(0) != 0 || DeviceGet(out int handle, number) != 0 || PrimaryContextRetain(out nint context, handle) != 0)
            {
                return null;
            }

            // The primary context is the one that libtorch works in. It is current only while the question is asked.
            bool known = ContextPush(context) == 0;
            nuint free = 0, total = 0;
            if (known)
            {
                known = MemoryInfo(out free, out total) == 0;
                _ = ContextPop(out _);
            }

            _ = PrimaryContextRelease(handle);
            return known ? ((long)free, (long)total) : null;
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            return null;
        }
    }

    // The CUDA driver API. Every function returns 0 (CUDA_SUCCESS) or an error's number.
    [DllImport(Driver, EntryPoint = "cuInit")]
    private static extern int Init(uint flags);

    [DllImport(Driver, EntryPoint = "cuDeviceGet")]
    private static extern int DeviceGet(out int device, int number);

    [DllImport(Driver, EntryPoint = "cuDevicePrimaryCtxRetain")]
    private static extern int PrimaryContextRetain(out nint context, int device);

    [DllImport(Driver, EntryPoint = "cuDevicePrimaryCtxRelease_v2")]
    private static extern int PrimaryContextRelease(int device);

    [DllImport(Driver, EntryPoint = "cuCtxPushCurrent_v2")]
    private static extern int ContextPush(nint context);

    [DllImport(Driver, EntryPoint = "cuCtxPopCurrent_v2")]
    private static extern int ContextPop(out nint context);

    [DllImport(Driver, EntryPoint = "cuMemGetInfo_v2")]
    private static extern int MemoryInfo(out nuint free, out nuint total);
}

/// <summary>The memory of the first GPU, for whoever watches it.</summary>
public static class GpuMemory
{
    /// <summary>All of it, in bytes, where there is a GPU that libtorch can use and its driver says so.</summary>
    public static long? TotalBytes => cuda.is_available() ? CudaDevice.Bytes(CUDA)?.Total : null;

    /// <summary>What is free of it, in bytes, where there is a GPU that libtorch can use and its driver says so. libtorch keeps what it has had, so little free is no want yet.</summary>
    public static long? FreeBytes => cuda.is_available() ? CudaDevice.FreeBytes(CUDA) : null;
}
