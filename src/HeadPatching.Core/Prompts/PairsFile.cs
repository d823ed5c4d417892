using System.Text;
using System.Text.Json;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Prompts.PairsFiles;
using HeadPatching.Core.Results;

namespace HeadPatching.Core.Prompts;

/// <summary>
/// A pairs file. Its name's ending says its format: <c>.json</c> is auto-circuit's, <c>.csv</c> EAP-IG's, and any other our own, JSON Lines, one
/// pair a line: <c>{"clean": "text" | [ids], "corrupted": "text" | [ids], "correct": " Mary" | id | [answers], "incorrect": ...}</c>.
/// </summary>
public sealed class PairsFile
{
    /// <summary>The most pairs of a file, and of a sweep.</summary>
    public const int MostPairs = 1_000_000;

    private const int MaximumFaults = 20;

    private readonly List<PlacedPair> _pairs;

    private PairsFile(List<PlacedPair> pairs)
    {
        _pairs = pairs;
        Pairs = [.. pairs.Select(placed => placed.Pair)];
    }

    /// <summary>The pairs, at least one, in the order of the file.</summary>
    public IReadOnlyList<PromptPair> Pairs { get; }

    /// <summary>
    /// A fault's place for <see cref="PairTokenizer"/>: <c>pairs.jsonl:4</c> or <c>pairs.jsonl:4: clean</c>, <c>prompts.json: prompts[3].answers</c>,
    /// <c>data.csv:4: correct_idx</c>.
    /// </summary>
    /// <param name="index">The pair's index in <see cref="Pairs"/>.</param>
    /// <param name="property">The property, or null for the pair as a whole.</param>
    public string Where(int index, string? property) => _pairs[index].Where(property);

    /// <summary>Reads a pairs file.</summary>
    /// <param name="path">The file, in UTF-8; faults name it as it is given here.</param>
    /// <exception cref="InvalidInputException">
    /// The file is missing, cannot be read, holds no pair or more than <see cref="MostPairs"/>, has a line too long to be one (64 Mi characters), or is
    /// malformed. The first 20 faults are named, the rest counted.
    /// </exception>
    public static PairsFile Read(string path)
    {
        try
        {
            using FileStream file = File.OpenRead(path);
            return Read(file, path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InvalidInputException(FaultKinds.NotFound, path, "There is no such file.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new InvalidInputException(FaultKinds.NotFound, path, $"The file cannot be read: {e.Message}");
        }
    }

    /// <summary>Reads a pairs file that is open.</summary>
    /// <param name="from">Its bytes.</param>
    /// <param name="path">Its name, whose ending says its format; faults name it so.</param>
    /// <exception cref="InvalidInputException">As of <see cref="Read(string)"/>.</exception>
    public static PairsFile Read(Stream from, string path)
    {
        var pairs = new List<PlacedPair>();
        var faults = new List<Fault>();
        try
        {
            // Stops at bytes that are not UTF-8, where the default would put a replacement character into a prompt.
            var strictUtf8 = new UTF8Encoding(encoderShouldEmitUTF8Identifier: true, throwOnInvalidBytes: true);
            using var reader = new StreamReader(from, strictUtf8, detectEncodingFromByteOrderMarks: true, bufferSize: -1, leaveOpen: true);
            var text = new BoundedText(reader, path);
            IEnumerable<PlacedPair> all = Path.GetExtension(path).ToLowerInvariant() switch
            {
                ".json" => AutoCircuitReader.Read(text, path, faults),
                ".csv" => EapIgReader.Read(text, path, faults),
                _ => JsonLinesReader.Read(text, path, faults),
            };
            pairs.AddRange(all.Take(MostPairs + 1));
        }
        catch (DecoderFallbackException)
        {
            faults.Add(new Fault(FaultKinds.Malformed, path, "The file is not UTF-8 text."));
        }

        if (pairs.Count > MostPairs)
        {
            faults.Insert(0, new Fault(FaultKinds.OutOfRange, path, $"The file holds more than {MostPairs} pairs, the most of a sweep."));
        }

        if (faults.Count > MaximumFaults)
        {
            int more = faults.Count - MaximumFaults;
            faults.RemoveRange(MaximumFaults, more);
            faults.Add(new Fault(FaultKinds.Malformed, path, $"and {more} more."));
        }

        if (faults.Count == 0 && pairs.Count == 0)
        {
            faults.Add(new Fault(FaultKinds.Missing, path, "The file holds no pair."));
        }

        return faults.Count == 0 ? new PairsFile(pairs) : throw new InvalidInputException(faults);
    }

    /// <summary>Writes pairs as JSON Lines, to be edited and read again.</summary>
    /// <param name="path">The file; one that is there is replaced.</param>
    /// <param name="pairs">The pairs.</param>
    /// <exception cref="InvalidInputException">The file cannot be written.</exception>
    public static void Write(string path, IEnumerable<PromptPair> pairs)
    {
        try
        {
            File.WriteAllLines(path, Lines(pairs));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new InvalidInputException(FaultKinds.CannotWrite, path, $"The file cannot be written: {e.Message}");
        }
    }

    /// <summary>Pairs as lines of a pairs file.</summary>
    public static IEnumerable<string> Lines(IEnumerable<PromptPair> pairs) => pairs.Select(pair => JsonSerializer.Serialize(pair, ResultJson.Compact));
}
