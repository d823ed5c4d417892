using System.Text;
using System.Text.Json;
using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts.PairsFiles;

/// <summary>
/// The JSON format of auto-circuit: <c>{"prompts": [{"clean", "corrupt", "answers": [...], "wrong_answers": [...]}]}</c>, prompts as text or
/// token ids. Whatever else the file has (<c>seq_labels</c>, <c>word_idxs</c>) serves its own drawings and circuits and is passed over.
/// </summary>
internal static class AutoCircuitReader
{
    /// <summary>Reads the pairs; what is wrong is added to the faults.</summary>
    public static IReadOnlyList<PlacedPair> Read(BoundedText text, string path, List<Fault> faults)
    {
        byte[] utf8 = Encoding.UTF8.GetBytes(text.ReadDocument());
        try
        {
            using JsonDocument document = JsonDocument.Parse(utf8, PairElement.NoDuplicates);
            if (document.RootElement.ValueKind != JsonValueKind.Object
                || !document.RootElement.TryGetProperty("prompts", out JsonElement prompts)
                || prompts.ValueKind != JsonValueKind.Array)
            {
                faults.Add(new Fault(
                    FaultKinds.Malformed, path, "A .json file is an auto-circuit dataset, an object with an array \"prompts\". JSON Lines end in .jsonl."));
                return [];
            }

            return [.. prompts.EnumerateArray().Select((prompt, index) => ReadPair(prompt, $"{path}: prompts[{index}]", faults)).OfType<PlacedPair>()];
        }
        catch (JsonException e)
        {
            // A file of JSON Lines with the wrong name is JSON up to the end of its first line.
            string reason = e.Message.Split(" LineNumber:")[0];
            string where = e.LineNumber is long line ? $"{path}:{line + 1}" : path;
            faults.Add(new Fault(FaultKinds.Malformed, where, $"The file is not one JSON object; JSON Lines end in .jsonl. {reason}"));
            return [];
        }
        catch (InvalidOperationException) when (!StrictJson.IsText(utf8))
        {
            faults.Add(new Fault(FaultKinds.Malformed, path, "The name of a property holds half of a surrogate pair, which is not text."));
            return [];
        }
    }

    /// <summary>A pair, or null where it has faults, which are added.</summary>
    private static PlacedPair? ReadPair(JsonElement prompt, string where, List<Fault> faults)
    {
        if (prompt.ValueKind != JsonValueKind.Object)
        {
            faults.Add(new Fault(FaultKinds.Malformed, where, "A prompt is an object with clean, corrupt, answers, wrong_answers."));
            return null;
        }

        int before = faults.Count;
        var pair = new PromptPair(
            PairElement.Prompt(prompt, "clean", where, Where("clean"), faults),
            PairElement.Prompt(prompt, "corrupt", where, Where("corrupted"), faults),
            PairElement.Answers(prompt, "answers", where, Where("correct"), faults),
            PairElement.Answers(prompt, "wrong_answers", where, Where("incorrect"), faults));
        return faults.Count == before ? new PlacedPair(pair, Where) : null;

        string Where(string? property) => property switch
        {
            null => where,
            "corrupted" => $"{where}.corrupt",
            "correct" => $"{where}.answers",
            "incorrect" => $"{where}.wrong_answers",
            _ => $"{where}.{property}",
        };
    }
}
