using HeadPatching.Cli.Terminal;
using HeadPatching.Testing;

namespace HeadPatching.Cli.Tests;

/// <summary>
/// The program within the tests' process: no start of .NET and no compilation for every command. Where the process is the point, because of signals, limits,
/// variables, other processes, a terminal or the bytes on standard output, which <c>--json</c> writes past the console, there is <see cref="HeadpatchProcess"/>.
/// </summary>
internal static class Headpatch
{
    private static readonly Func<string[], int> Start = typeof(TerminalHeatmap).Assembly.EntryPoint!.CreateDelegate<Func<string[], int>>();
    private static readonly SemaphoreSlim Turn = new(1); // there is one console and one current directory

    /// <summary>Runs it to its end.</summary>
    public static async Task<(int ExitCode, string Output, string Error)> RunAsync(string folder, params string[] arguments)
    {
        if (!Console.IsOutputRedirected || !Console.IsErrorRedirected)
        {
            return await HeadpatchProcess.RunAsync(folder, arguments); // here it would take the terminal of the tests for its own, and draw bars
        }

        await Turn.WaitAsync();
        TextWriter outputBefore = Console.Out, errorBefore = Console.Error;
        string folderBefore = Environment.CurrentDirectory;
        using StringWriter output = new(), error = new();
        try
        {
            Console.SetOut(output);
            Console.SetError(error);
            Environment.CurrentDirectory = folder;
            int exitCode = await Task.Factory.StartNew(() => Start(arguments), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
            return (exitCode, output.ToString(), error.ToString());
        }
        finally
        {
            Environment.CurrentDirectory = folderBefore;
            Console.SetError(errorBefore);
            Console.SetOut(outputBefore);
            Turn.Release();
        }
    }
}
