using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace HeadPatching.Sweeps.Storage;

/// <summary>
/// A process, named so that others can tell that it has ended: what it left half done, or holds a lease on, is then anybody's. Its text is
/// one word, fit for a file's name.
/// </summary>
/// <param name="Table">
/// The table that the process id is of: on Linux of this boot of the kernel and this process namespace (a container has its own), elsewhere
/// of the machine.
/// </param>
/// <param name="Id">The process id.</param>
/// <param name="Started">When it started, in a unit of the table's own: an id is given again to later processes.</param>
public sealed record ProcessIdentity(string Table, int Id, long Started)
{
    /// <summary>This process.</summary>
    public static ProcessIdentity Current { get; } = new(TableHere(), Environment.ProcessId, StartOf(Environment.ProcessId) ?? 0);

    /// <summary>Reads what <see cref="ToString"/> wrote; null where it is something else.</summary>
    public static ProcessIdentity? Parse(string? text)
    {
        string[] parts = text?.Split('-') ?? [];
        return parts.Length == 3
            && int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int id)
            && long.TryParse(parts[2], NumberStyles.None, CultureInfo.InvariantCulture, out long started)
            ? new ProcessIdentity(parts[0], id, started)
            : null;
    }

    /// <summary>Whether it is sure to have ended: of a process of another machine or container nobody here can say that.</summary>
    public bool HasEnded() => Table == Current.Table && StartOf(Id) != Started;

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Table}-{Id}-{Started}");

    private static string TableHere()
    {
        string table = Environment.MachineName;
        if (OperatingSystem.IsLinux())
        {
            try
            {
                table = File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim() + File.ResolveLinkTarget("/proc/self/ns/pid", returnFinalTarget: false)?.Name;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // A machine that hides these: its name must do.
            }
        }

        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(table)))[..12];
    }

    /// <summary>When a process of this table started; null where there is none, or only its exit code is left.</summary>
    private static long? StartOf(int id)
    {
        try
        {
            if (OperatingSystem.IsLinux())
            {
                // proc(5): the name of the program stands in brackets and may hold anything; the state comes next, and the start 19 fields on.
                string stat = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{id}/stat"));
                string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
                return fields[0] is "Z" or "X" ? null : long.Parse(fields[19], CultureInfo.InvariantCulture);
            }

            using Process process = Process.GetProcessById(id);
            return process.StartTime.ToUniversalTime().Ticks / TimeSpan.TicksPerSecond;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or InvalidOperationException or Win32Exception)
        {
            return null;
        }
    }
}
