using System.Text.Json;
using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts.PairsFiles;

/// <summary>Reads the parts of a pair from a JSON object, and names every fault by its place.</summary>
internal static class PairElement
{
    /// <summary>For whole documents: a property that is there twice is a mistake.</summary>
    public static readonly JsonDocumentOptions NoDuplicates = new() { AllowDuplicateProperties = false };

    /// <summary>A prompt: text or token ids.</summary>
    /// <param name="pair">The pair's object.</param>
    /// <param name="name">The property.</param>
    /// <param name="where">The pair's place.</param>
    /// <param name="whereProperty">The property's place.</param>
    /// <param name="faults">Where a fault goes.</param>
    public static Prompt Prompt(JsonElement pair, string name, string where, string whereProperty, List<Fault> faults) =>
        Property(pair, name, where, faults) is JsonElement value ? Value<Prompt>(value, whereProperty, faults) : default;

    /// <summary>The right answers or the wrong ones: one, or an array.</summary>
    /// <inheritdoc cref="Prompt"/>
    public static AnswerSet Answers(JsonElement pair, string name, string where, string whereProperty, List<Fault> faults)
    {
        if (Property(pair, name, where, faults) is not JsonElement value)
        {
            return default;
        }

        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() == 0)
        {
            return Value<AnswerSet>(value, whereProperty, faults);
        }

        return AnswerSet.Of([.. value.EnumerateArray().Select((answer, i) => Value<Answer>(answer, $"{whereProperty}[{i}]", faults))]);
    }

    private static JsonElement? Property(JsonElement pair, string name, string where, List<Fault> faults)
    {
        if (pair.TryGetProperty(name, out JsonElement value))
        {
            return value;
        }

        faults.Add(new Fault(FaultKinds.Missing, where, $"The pair has no \"{name}\"."));
        return null;
    }

    private static T Value<T>(JsonElement value, string where, List<Fault> faults)
        where T : struct
    {
        try
        {
            return value.Deserialize<T>();
        }
        catch (JsonException e)
        {
            faults.Add(new Fault(FaultKinds.Malformed, where, e.Message));
            return default;
        }
    }
}
