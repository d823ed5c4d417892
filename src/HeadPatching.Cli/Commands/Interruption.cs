using System.Runtime.InteropServices;
using HeadPatching.Cli.Terminal;

namespace HeadPatching.Cli.Commands;

/// <summary>
/// What Ctrl-C does, or a request to end from outside: the first asks a command to stop, which it does where what it is at has an end; the second
/// ends the process as if nobody had heard the first. The store is whole after either.
/// </summary>
internal sealed class Interruption : IDisposable
{
    private static readonly string[] Secrets = ["AccountKey=", "SharedAccessSignature=", "sig="];

    private readonly CancellationTokenSource _stop = new();
    private readonly PosixSignalRegistration[] _signals;
    private int _heard;

    /// <summary>Listens from now on.</summary>
    public Interruption()
    {
        _signals = [.. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM }.Select(signal => PosixSignalRegistration.Create(signal, Hear))];
    }

    /// <summary>Cancelled by the first.</summary>
    public CancellationToken Token => _stop.Token;

    /// <summary>How to give a command again, for the shell; null where there is a key or a signature in it, which is for nobody to see.</summary>
    /// <param name="arguments">The command's arguments.</param>
    public static string? CommandAgain(IReadOnlyList<string> arguments) =>
        arguments.Any(argument => Secrets.Any(mark => argument.Contains(mark, StringComparison.OrdinalIgnoreCase)))
            ? null
            : $"headpatch {string.Join(' ', arguments.Select(Quoted))}";

    /// <inheritdoc/>
    public void Dispose()
    {
        Array.ForEach(_signals, signal => signal.Dispose());
        _stop.Dispose();
    }

    private void Hear(PosixSignalContext signal)
    {
        if (Interlocked.Increment(ref _heard) > 1)
        {
            Notes.LeaveTerminal();
            return; // and the signal does what it does to any process
        }

        signal.Cancel = true;
        Notes.Say("Stopping as soon as what is at work has an end. What is finished is kept. Ctrl-C again ends at once.");
        _stop.Cancel();
    }

    private static string Quoted(string argument) => argument.Length > 0 && argument.All(c => char.IsAsciiLetterOrDigit(c) || "-_./,:=@+%".Contains(c, StringComparison.Ordinal))
        ? argument
        : $"'{argument.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
