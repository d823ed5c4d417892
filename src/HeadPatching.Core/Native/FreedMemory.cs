using System.Runtime.InteropServices;

namespace HeadPatching.Core.Native;

/// <summary>
/// Keeps the process from handing freed memory back to the system at every step, only to ask for it again. What a tile of patched runs makes is a few
/// megabytes, allocated and freed thousands of times a second; glibc's malloc maps such blocks anew, or trims its heap between them, and the kernel clears each
/// page again: of the time that edges take, up to a tenth. Its thresholds move up by themselves, but to what was freed last; here they begin where they may end
/// (<c>DEFAULT_MMAP_THRESHOLD_MAX</c>, and twice that), so that no more is kept than it might keep anyway. Other C libraries have no such thresholds.
/// </summary>
internal static class FreedMemory
{
    private const int TrimThreshold = -1, MapThreshold = -3; // M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h

    // Whoever runs the process may have said it.
    private static readonly string[] Variables = ["MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"];

    /// <summary>From here on, where the C library is glibc. A second call changes nothing.</summary>
    public static void Keep()
    {
        if (!OperatingSystem.IsLinux() || Array.Exists(Variables, name => !string.IsNullOrEmpty(Environment.GetEnvironmentVariable(name))))
        {
            return;
        }

        try
        {
            _ = SetOption(MapThreshold, 32 << 20);
            _ = SetOption(TrimThreshold, 64 << 20);
        }
        catch (Exception e) when (e is EntryPointNotFoundException or DllNotFoundException)
        {
            // Not glibc.
        }
    }

    [DllImport("libc", EntryPoint = "mallopt", ExactSpelling = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SetOption(int option, int value);
}
