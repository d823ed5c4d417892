using HeadPatching.Core.Circuits;
using HeadPatching.Core.Circuits.Exchange;
using HeadPatching.Core.Faults;
using HeadPatching.Sweeps.Requests;

namespace HeadPatching.Cli.Commands.Circuits;

/// <summary>
/// Sets of nodes as the command line is given them: in the option, with semicolons between them, or in a file, with one a line, or with the circuit of
/// another program (EAP-IG's graph, .json).
/// </summary>
internal static class NodeSetsFile
{
    private const long LargestFile = 256L << 20;

    /// <summary>Reads them; what each must be is seen to with the rest of the request.</summary>
    /// <param name="given">The sets, or a file.</param>
    /// <param name="where">The option, for faults.</param>
    /// <exception cref="InvalidInputException">The file cannot be read, or is none of sets.</exception>
    public static IReadOnlyList<string> Read(string given, string where)
    {
        if (!IsFile(given, where))
        {
            return [.. given.Split(';', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)];
        }

        if (IsGraph(given))
        {
            return [ReadGraph(given, where)];
        }

        try
        {
            if (new FileInfo(given).Length > LargestFile)
            {
                throw new InvalidInputException(FaultKinds.TooLarge, where, $"'{given}' is too large for a file of sets, which has up to {OptionType.NodeSets.Most} lines.");
            }

            return [.. File.ReadLines(given).Select(line => line.Trim()).Where(line => line.Length > 0).Take(OptionType.NodeSets.Most + 1)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InvalidInputException(FaultKinds.NotFound, where, $"'{given}' cannot be read: {e.Message}");
        }
    }

    /// <summary>Reads one set: as it is written, or the circuit of a file.</summary>
    /// <inheritdoc cref="Read"/>
    public static string ReadOne(string given, string where) => IsFile(given, where)
        ? IsGraph(given) ? ReadGraph(given, where) : string.Join(',', Read(given, where))
        : given;

    private static bool IsGraph(string file) => Path.GetExtension(file) == ".json";

    private static bool IsFile(string given, string where) => File.Exists(given)
        || (Path.GetExtension(given) is ".txt" or ".json" || given.Contains(Path.DirectorySeparatorChar)
            ? throw new InvalidInputException(FaultKinds.NotFound, where, $"There is no file '{given}'.")
            : false);

    /// <summary>The heads and MLPs of another program's circuit; the embedding is always as it is.</summary>
    private static string ReadGraph(string file, string where)
    {
        try
        {
            using FileStream from = File.OpenRead(file);
            CircuitGraph graph = EapIgFile.Read(from, file);
            return PatchSet.Of(graph.Circuit.Where(node => node.Kind != NodeKind.Embedding)).ToString();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InvalidInputException(FaultKinds.NotFound, where, $"'{file}' cannot be read: {e.Message}");
        }
    }
}
