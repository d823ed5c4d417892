using HeadPatching.Core.Prompts;

namespace HeadPatching.Cli.Terminal;

/// <summary>Says as a note which pairs <c>--skip-invalid</c> left out, each with its place and what is wrong with it.</summary>
internal static class LeftOutPairs
{
    private const int MostLines = 20;

    /// <summary>Says it; nothing where none was left out.</summary>
    /// <param name="count">How many there were.</param>
    /// <param name="first">The first of them.</param>
    public static void Say(int count, IReadOnlyList<LeftOutPair> first)
    {
        LeftOutPair[] said = [.. first.Take(MostLines)];
        foreach (LeftOutPair pair in said)
        {
            Notes.Say($"Left out: {pair.Fault}");
        }

        if (count > said.Length)
        {
            Notes.Say($"Left out: {count - said.Length} more.");
        }
    }
}
