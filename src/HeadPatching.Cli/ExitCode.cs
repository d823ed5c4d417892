namespace HeadPatching.Cli;

/// <summary>What the program's exit code says.</summary>
internal static class ExitCode
{
    /// <summary>Done.</summary>
    public const int Done = 0;

    /// <summary>Something else went wrong than the input.</summary>
    public const int Failed = 1;

    /// <summary>The input was bad; each fault is on standard error.</summary>
    public const int BadInput = 2;

    /// <summary><c>compare --fail-over</c>: a head moved by more than it may.</summary>
    public const int Moved = 3;

    /// <summary>Interrupted; the same command again goes on.</summary>
    public const int Interrupted = 130;
}
