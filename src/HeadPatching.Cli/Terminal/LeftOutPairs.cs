using HeadPatching.Core.Prompts;

namespace HeadPatching.Cli.Terminal;

/// <summary>Says on standard error which pairs <c>--skip-invalid</c> left out, each with its place and what is wrong with it.</summary>
internal static class LeftOutPairs
{
    private const int MostLines = 20;

    /// <summary>Says it; nothing where none was left out.</summary>
    /// <param name="count">How many there were.</param>
    /// <param name="first">The first of them.</param>
    public static async Task SayAsync(int count, IReadOnlyList<LeftOutPair> first)
    {
        LeftOutPair[] said = [.. first.Take(MostLines)];
        foreach (LeftOutPair pair in said)
        {
            await Console.Error.WriteLineAsync($"Left out: {pair.Fault}");
        }

        if (count > said.Length)
        {
            await Console.Error.WriteLineAsync($"Left out: {count - said.Length} more.");
        }
    }
}
