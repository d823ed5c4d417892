using System.Globalization;

namespace HeadPatching.Sweeps.Plans;

/// <summary>How much memory this host's work may have: what a control group allows, or what the machine has. It does not change while others come and go, so that a sweep is planned the same way again.</summary>
public static class HostMemory
{
    /// <summary>The variable that says another number, in MiB.</summary>
    public const string Variable = "HEADPATCHING_HOST_MEMORY_MIB";

    /// <summary>In bytes.</summary>
    public static long Bytes()
    {
        if (long.TryParse(Environment.GetEnvironmentVariable(Variable), NumberStyles.None, CultureInfo.InvariantCulture, out long said) && said > 0)
        {
            return said << 20;
        }

        // Not the garbage collector's own number: in a container that is three quarters of the limit.
        long[] limits = [.. OfMachine().Concat(OfControlGroups())];
        return limits.Length > 0 ? limits.Min() : GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
    }

    private static IEnumerable<long> OfMachine() =>
        Lines("/proc/meminfo").Where(line => line.StartsWith("MemTotal:", StringComparison.Ordinal)).SelectMany(line => Number(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1])).Select(kib => kib * 1024);

    // "0::/path" of version 2, "4:memory:/path" of version 1; within a container the path may be one of the host, and the group is at the root.
    private static IEnumerable<long> OfControlGroups()
    {
        foreach (string[] group in Lines("/proc/self/cgroup").Select(line => line.Split(':', 3)).Where(group => group.Length == 3))
        {
            string? file = group[1].Length == 0 ? "/sys/fs/cgroup{0}/memory.max" : group[1].Split(',').Contains("memory") ? "/sys/fs/cgroup/memory{0}/memory.limit_in_bytes" : null;
            foreach (string path in file is null ? [] : new[] { group[2].TrimEnd('/'), "" })
            {
                foreach (long limit in Lines(string.Format(CultureInfo.InvariantCulture, file!, path)).SelectMany(Number))
                {
                    yield return limit;
                }
            }
        }
    }

    private static IEnumerable<long> Number(string text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long number) ? [number] : [];

    private static string[] Lines(string file)
    {
        try
        {
            return File.Exists(file) ? File.ReadAllLines(file) : [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
