using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace HeadPatching.Testing;

/// <summary>The program as users start it: a process of its own, from the build's output.</summary>
internal sealed class HeadpatchProcess : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _error = new();

    private HeadpatchProcess(string folder, string[] arguments, IReadOnlyDictionary<string, string>? environment)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        start.ArgumentList.Add(System.IO.Path.Combine(AppContext.BaseDirectory, "headpatch.dll"));
        foreach (string argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => Append(_output, line.Data);
        _process.ErrorDataReceived += (_, line) => Append(_error, line.Data);
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        _process.StandardInput.Close();
    }

    /// <summary>Standard output so far.</summary>
    public string Output => Read(_output);

    /// <summary>Standard error so far.</summary>
    public string Error => Read(_error);

    /// <summary>Whether it has ended.</summary>
    public bool HasExited => _process.HasExited;

    /// <summary>The most memory that it has had so far, in MiB (Linux: VmHWM).</summary>
    public long PeakMemoryMiB => long.Parse(StatusOf("VmHWM"), CultureInfo.InvariantCulture) >> 10;

    // What a shell puts into the background it starts deaf to Ctrl-C, and with the tests every process of theirs. Linux: a bit for each signal, SIGINT's the second.
    private bool IsDeafToInterrupts => OperatingSystem.IsLinux() && (ulong.Parse(StatusOf("SigIgn"), NumberStyles.HexNumber, CultureInfo.InvariantCulture) & 2) != 0;

    /// <summary>Starts it.</summary>
    public static HeadpatchProcess Start(string folder, params string[] arguments) => new(folder, arguments, environment: null);

    /// <summary>Starts it with some environment variables of its own.</summary>
    public static HeadpatchProcess Start(string folder, IReadOnlyDictionary<string, string> environment, params string[] arguments) =>
        new(folder, arguments, environment);

    /// <summary>Runs it to its end.</summary>
    public static async Task<(int ExitCode, string Output, string Error)> RunAsync(string folder, params string[] arguments)
    {
        using HeadpatchProcess process = Start(folder, arguments);
        return (await process.ExitAsync(), process.Output, process.Error);
    }

    /// <inheritdoc cref="RunAsync(string, string[])"/>
    public static async Task<(int ExitCode, string Output, string Error)> RunAsync(
        string folder, IReadOnlyDictionary<string, string> environment, params string[] arguments)
    {
        using HeadpatchProcess process = Start(folder, environment, arguments);
        return (await process.ExitAsync(), process.Output, process.Error);
    }

    /// <summary>Waits for its end.</summary>
    public async Task<int> ExitAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(5));
        await _process.WaitForExitAsync(patience.Token);
        return _process.ExitCode;
    }

    /// <summary>What Ctrl-C does; a request to end from outside, which the program hears alike, where it was started deaf to Ctrl-C.</summary>
    public void Interrupt() => Signal(IsDeafToInterrupts ? "TERM" : "INT");

    /// <summary>Sends a signal, such as STOP: the process stands still, as one whose machine is overloaded or asleep, until CONT.</summary>
    public void Signal(string name)
    {
        using var kill = Process.Start("sh", ["-c", $"kill -{name} {_process.Id}"]);
        kill.WaitForExit();
    }

    /// <summary>SIGKILL: no handler runs, nothing is flushed.</summary>
    public void Kill()
    {
        _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            Kill();
        }

        _process.Dispose();
    }

    /// <summary>What the kernel says of it (Linux): the first word after a name.</summary>
    private string StatusOf(string name)
    {
        string line = File.ReadLines($"/proc/{_process.Id}/status").First(line => line.StartsWith(name + ":", StringComparison.Ordinal));
        return line.Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1];
    }

    private static void Append(StringBuilder text, string? line)
    {
        lock (text)
        {
            text.AppendLine(line);
        }
    }

    private static string Read(StringBuilder text)
    {
        lock (text)
        {
            return text.ToString();
        }
    }
}
