using System.CommandLine;

namespace HeadPatching.Cli.Commands;

/// <summary>Options of how a command speaks, the same for each that has them.</summary>
internal static class OutputOptions
{
    /// <summary>Results on standard output as one JSON document.</summary>
    public static Option<bool> Json { get; } = new("--json") { Description = "Write one JSON document to standard output in place of text" };

    /// <summary>No notes: progress, what was left out, how to go on.</summary>
    public static Option<bool> Quiet { get; } = new("--quiet") { Description = "Write nothing to standard error but faults" };
}
