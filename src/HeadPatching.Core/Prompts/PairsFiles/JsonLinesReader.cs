using System.Text;
using System.Text.Json;
using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts.PairsFiles;

/// <summary>Our own format, JSON Lines: one pair a line. Blank lines are skipped.</summary>
internal static class JsonLinesReader
{
    private const string Needed = "clean, corrupted, correct, incorrect";
    private const string Optional = "roles, template";
    private static readonly string[] Properties = [.. Needed.Split(", "), .. Optional.Split(", ")];

    /// <summary>Reads the pairs; what is wrong is added to the faults.</summary>
    public static IEnumerable<PlacedPair> Read(BoundedText text, string path, List<Fault> faults)
    {
        for (int number = 1; text.ReadLine(number) is string line; number++)
        {
            string where = $"{path}:{number}";
            if (!string.IsNullOrWhiteSpace(line) && ReadPair(line, where, faults) is PromptPair pair)
            {
                yield return new PlacedPair(pair, property => property is null ? where : $"{where}: {property}");
            }
        }
    }

    /// <summary>The pair of a line, or null where it has faults, which are added.</summary>
    private static PromptPair? ReadPair(string line, string where, List<Fault> faults)
    {
        int before = faults.Count;
        byte[] utf8 = Encoding.UTF8.GetBytes(line);
        try
        {
            using JsonDocument document = JsonDocument.Parse(utf8, PairElement.NoDuplicates);
            JsonElement root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
            {
                faults.Add(new Fault(FaultKinds.Malformed, where, $"A pair is a JSON object with {Needed}."));
                return null;
            }

            foreach (JsonProperty property in root.EnumerateObject().Where(property => !Properties.Contains(property.Name)))
            {
                faults.Add(new Fault(
                    FaultKinds.UnknownProperty,
                    where,
                    $"\"{property.Name}\" is not a property of a pair; these are: {Needed}; and where wanted {Optional}."));
            }

            // All are read before the faults are counted, so that one reading names all that is wrong with the line.
            var pair = new PromptPair(
                PairElement.Prompt(root, "clean", where, $"{where}: clean", faults),
                PairElement.Prompt(root, "corrupted", where, $"{where}: corrupted", faults),
                PairElement.Answers(root, "correct", where, $"{where}: correct", faults),
                PairElement.Answers(root, "incorrect", where, $"{where}: incorrect", faults))
            {
                Roles = PairElement.Roles(root, $"{where}: roles", faults),
                Template = PairElement.Template(root, $"{where}: template", faults),
            };
            return faults.Count == before ? pair : null;
        }
        catch (JsonException e)
        {
            // The library's message ends in a line number of its own, which is always that of the one line given to it.
            string reason = e.Message.Split(" LineNumber:")[0];
            faults.Add(new Fault(FaultKinds.Malformed, where, $"The line is not one JSON object (at byte {e.BytePositionInLine + 1}): {reason}"));
        }
        catch (InvalidOperationException) when (!StrictJson.IsText(utf8))
        {
            faults.Add(new Fault(FaultKinds.Malformed, where, "The line holds half of a surrogate pair, which is not text."));
        }

        return null;
    }
}
