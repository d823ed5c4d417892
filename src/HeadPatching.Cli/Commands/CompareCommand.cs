using System.CommandLine;
using System.Text.Json;
using HeadPatching.Cli.Terminal;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.Comparing;
using HeadPatching.Reports.Comparing;
using HeadPatching.Sweeps.Requests;
using Spectre.Console;

namespace HeadPatching.Cli.Commands;

/// <summary><c>headpatch compare</c>: two finished sweeps side by side; as a test, whether a head moved by more than it may.</summary>
internal static class CompareCommand
{
    private const string FailOver = "--fail-over";

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        const string What = "A sweep: the folder of its files (headpatch-out), its results.json, or its id in the store";
        var a = new Argument<string>("A") { Description = $"{What}; what is compared with" };
        var b = new Argument<string>("B") { Description = $"{What}; a difference is its effect less A's" };
        var store = StoreOption.WithDefault("Where ids are looked up", "store");
        var output = new Option<string?>("--out") { Description = "A folder for comparison.json, .csv, .html, .png and .svg", HelpName = "FOLDER" };
        var json = new Option<bool>("--json") { Description = "Print comparison.json, and nothing else" };
        Option<double?> failOver = RequestOptions.NumberIfSaid(
            FailOver, $"Exit with {ExitCode.Moved} where a head moved by more than this: where its interval, of all heads together 95 %, lies wholly beyond it");
        Option<int> draws = RequestOptions.Whole(
            "--draws", "How often pairs are drawn again, for what all heads are together", SweepComparer.DefaultDraws, new OptionType.Whole(SweepComparer.LeastDraws, SweepComparer.MostDraws));
        Option<int> seed = RequestOptions.Whole("--seed", "Of the draws", 0);
        Option<int> top = RequestOptions.Whole("--top", "Rows of the table", 20, new OptionType.Whole(1));
        var command = new Command("compare", "Hold two finished sweeps against each other: which heads moved, by how much, how sure") { a, b, store, output, json, failOver, draws, seed, top };
        command.SetAction(async (parsed, cancellation) =>
        {
            OutFolder? folder = parsed.GetValue(output) is string named ? OutFolder.Open(named) : null;
            var (one, other) = await ComparedSource.ReadAsync(parsed.GetRequiredValue(a), parsed.GetRequiredValue(b), parsed.GetRequiredValue(store), cancellation);
            SweepComparison comparison = await SweepComparer.CompareAsync(one, other, parsed.GetValue(draws), parsed.GetValue(seed), cancellation);
            IReadOnlyList<string> files = folder?.Write(ComparisonFiles.All.Select(file => (file.Name, (Action<Stream>)(stream => file.Write(comparison, stream))))) ?? [];
            if (parsed.GetValue(json))
            {
                Console.WriteLine(JsonSerializer.Serialize(comparison, ResultJson.Indented));
            }
            else
            {
                Show(comparison, parsed.GetValue(top), files);
            }

            return parsed.GetValue(failOver) is double limit ? await JudgeAsync(comparison, limit) : ExitCode.Done;
        });
        return command;
    }

    private static void Show(SweepComparison comparison, int top, IReadOnlyList<string> files)
    {
        AnsiConsole.WriteLine($"A: {comparison.A.Label}, {comparison.A.SweepId}");
        AnsiConsole.WriteLine($"B: {comparison.B.Label}, {comparison.B.SweepId}");
        AnsiConsole.Write(DifferencesTable.Of(comparison, top));
        foreach (string note in comparison.Notes)
        {
            AnsiConsole.MarkupLineInterpolated($"[yellow]Note: {note}[/]");
        }

        AnsiConsole.WriteLine(comparison.Summary);
        foreach (string file in files)
        {
            // Paths are not wrapped: they are for copying.
            Console.WriteLine(Path.GetRelativePath(Environment.CurrentDirectory, file));
        }
    }

    /// <summary>What a test of a model says; on standard error, so that --json stays JSON.</summary>
    private static async Task<int> JudgeAsync(SweepComparison comparison, double limit)
    {
        if (comparison.JointMiss is null)
        {
            throw new InvalidInputException(
                FaultKinds.Missing, FailOver, "There are no intervals, so whether a head moved cannot be said. Compare sweeps of five pairs or more, the same in both.");
        }

        HeadDifference[] beyond = [.. comparison.MovedBeyond(limit)];
        if (beyond.Length == 0)
        {
            return ExitCode.Done;
        }

        await Console.Error.WriteLineAsync(FormattableString.Invariant(
            $"{FailOver} {limit}: {beyond.Length} moved by more: {string.Join(", ", beyond.Select(head => head.Label))}."));
        return ExitCode.Moved;
    }
}
