using System.Text;
using System.Text.Json;
using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts;

/// <summary>
/// A pairs file: JSON Lines, one pair a line,
/// <c>{"clean": "text" | [ids], "corrupted": "text" | [ids], "correct": " Mary" | id, "incorrect": " John" | id}</c>. Blank lines are skipped.
/// </summary>
public sealed class PairsFile
{
    private const int MaximumFaults = 20;

    private static readonly JsonDocumentOptions NoDuplicates = new() { AllowDuplicateProperties = false };
    private static readonly string[] Properties = ["clean", "corrupted", "correct", "incorrect"];

    private readonly string _path;
    private readonly List<int> _lines;

    private PairsFile(string path, List<PromptPair> pairs, List<int> lines)
    {
        _path = path;
        Pairs = pairs;
        _lines = lines;
    }

    /// <summary>The pairs, at least one, in the order of the file.</summary>
    public IReadOnlyList<PromptPair> Pairs { get; }

    /// <summary>The line, from 1, that a pair stands on.</summary>
    /// <param name="index">The pair's index in <see cref="Pairs"/>.</param>
    public int LineOf(int index) => _lines[index];

    /// <summary>A fault's place for <see cref="PairTokenizer"/>: <c>pairs.jsonl:4</c>, or <c>pairs.jsonl:4: clean</c> for one property.</summary>
    /// <param name="index">The pair's index in <see cref="Pairs"/>.</param>
    /// <param name="property">The property, or null for the pair as a whole.</param>
    public string Where(int index, string? property)
    {
        string line = $"{_path}:{_lines[index]}";
        return property is null ? line : $"{line}: {property}";
    }

    /// <summary>Reads a pairs file, line by line.</summary>
    /// <param name="path">The file, in UTF-8; faults name it as it is given here.</param>
    /// <exception cref="InvalidInputException">
    /// The file is missing, cannot be read, holds no pair, or has malformed lines. The first 20 faults are named, the rest counted.
    /// </exception>
    public static PairsFile Read(string path)
    {
        var pairs = new List<PromptPair>();
        var lines = new List<int>();
        var faults = new List<Fault>();
        int number = 0;
        try
        {
            // Stops at bytes that are not UTF-8, where the default would put a replacement character into a prompt.
            var strictUtf8 = new UTF8Encoding(encoderShouldEmitUTF8Identifier: true, throwOnInvalidBytes: true);
            using var reader = new StreamReader(path, strictUtf8);
            while (reader.ReadLine() is string line)
            {
                number++;
                if (string.IsNullOrWhiteSpace(line))
                {
                    continue;
                }

                if (ReadPair(line, $"{path}:{number}", faults) is PromptPair pair)
                {
                    pairs.Add(pair);
                    lines.Add(number);
                }
            }
        }
        catch (DecoderFallbackException)
        {
            faults.Add(new Fault(FaultKinds.Malformed, path, $"The file is not UTF-8 text (after line {number}, or within the next 4 KiB)."));
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InvalidInputException(FaultKinds.NotFound, path, "There is no such file.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw new InvalidInputException(FaultKinds.NotFound, path, $"The file cannot be read: {e.Message}");
        }

        if (faults.Count > MaximumFaults)
        {
            int more = faults.Count - MaximumFaults;
            faults.RemoveRange(MaximumFaults, more);
            faults.Add(new Fault(FaultKinds.Malformed, path, $"and {more} more."));
        }

        if (faults.Count == 0 && pairs.Count == 0)
        {
            faults.Add(new Fault(FaultKinds.Missing, path, "The file holds no pair; a pair is one JSON object on a line."));
        }

        return faults.Count == 0 ? new PairsFile(path, pairs, lines) : throw new InvalidInputException(faults);
    }

    /// <summary>The pair of a line, or null where it has faults, which are added.</summary>
    private static PromptPair? ReadPair(string line, string where, List<Fault> faults)
    {
        int before = faults.Count;
        try
        {
            using JsonDocument document = JsonDocument.Parse(line, NoDuplicates);
            JsonElement root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
            {
                faults.Add(new Fault(FaultKinds.Malformed, where, $"A pair is a JSON object with {string.Join(", ", Properties)}."));
                return null;
            }

            foreach (JsonProperty property in root.EnumerateObject().Where(property => !Properties.Contains(property.Name)))
            {
                faults.Add(new Fault(
                    FaultKinds.UnknownProperty,
                    where,
                    $"\"{property.Name}\" is not a property of a pair; these are: {string.Join(", ", Properties)}."));
            }

            // All four are read before the faults are counted, so that one reading names all that is wrong with the line.
            var pair = new PromptPair(
                ReadProperty<Prompt>(root, "clean", where, faults),
                ReadProperty<Prompt>(root, "corrupted", where, faults),
                ReadProperty<AnswerSet>(root, "correct", where, faults),
                ReadProperty<AnswerSet>(root, "incorrect", where, faults));
            return faults.Count == before ? pair : null;
        }
        catch (JsonException e)
        {
            // The library's message ends in a line number of its own, which is always that of the one line given to it.
            string reason = e.Message.Split(" LineNumber:")[0];
            faults.Add(new Fault(FaultKinds.Malformed, where, $"The line is not one JSON object (at byte {e.BytePositionInLine + 1}): {reason}"));
        }
        catch (InvalidOperationException)
        {
            // Half of a character written as an escape, "\ud83d" alone, in a property's name.
            faults.Add(new Fault(FaultKinds.Malformed, where, "The line holds half of a surrogate pair, which is not text."));
        }

        return null;
    }

    private static T ReadProperty<T>(JsonElement root, string name, string where, List<Fault> faults)
        where T : struct
    {
        if (!root.TryGetProperty(name, out JsonElement value))
        {
            faults.Add(new Fault(FaultKinds.Missing, where, $"The pair has no \"{name}\"."));
            return default;
        }

        try
        {
            return value.Deserialize<T>();
        }
        catch (JsonException e)
        {
            faults.Add(new Fault(FaultKinds.Malformed, $"{where}: {name}", e.Message));
            return default;
        }
    }
}
