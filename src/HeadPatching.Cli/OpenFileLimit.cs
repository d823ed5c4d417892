using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace HeadPatching.Cli;

/// <summary>How many files this process may have open, where that is known.</summary>
internal static class OpenFileLimit
{
    /// <summary>With fewer the program cannot even load its own parts, and says so in ways that nobody understands.</summary>
    private const int Least = 128;

    /// <summary>What to say where there are too few; null where there are not.</summary>
    public static string? Fault()
    {
        const string Limits = "/proc/self/limits"; // Linux
        string? line = File.Exists(Limits) ? File.ReadLines(Limits).FirstOrDefault(line => line.StartsWith("Max open files", StringComparison.Ordinal)) : null;
        return line?.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, _, _, var soft, ..]
            && int.TryParse(soft, NumberStyles.None, CultureInfo.InvariantCulture, out int most) && most < Least
            ? $"This process may have {most} files open, and needs {Least} at least; a model in shards needs one more for each. Raise the limit: ulimit -n 1024."
            : null;
    }

    /// <summary>Writes it to standard error as that is open already: the console would open files of its own first.</summary>
    public static void Say(string fault)
    {
        using var handle = new SafeFileHandle(2, ownsHandle: false);
        using var error = new FileStream(handle, FileAccess.Write, bufferSize: 0);
        error.Write(Encoding.UTF8.GetBytes(fault + "\n"));
    }
}
