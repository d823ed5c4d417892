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

    /// <summary>Positions by role, where the pair names some: an object of whole numbers. Whether they are within the prompts is seen when these are tokens.</summary>
    /// <inheritdoc cref="Prompt"/>
    public static IReadOnlyDictionary<string, int>? Roles(JsonElement pair, string whereProperty, List<Fault> faults)
    {
        if (!pair.TryGetProperty("roles", out JsonElement value) || value.ValueKind == JsonValueKind.Null)
        {
            return null;
        }

        if (value.ValueKind != JsonValueKind.Object || !value.EnumerateObject().Any())
        {
            faults.Add(new Fault(FaultKinds.Malformed, whereProperty, "Roles are an object of token positions, such as {\"S2\": 10, \"END\": -1}."));
            return null;
        }

        var roles = new Dictionary<string, int>();
        foreach (JsonProperty role in value.EnumerateObject())
        {
            if (!Prompts.Roles.IsName(role.Name))
            {
                faults.Add(new Fault(FaultKinds.Malformed, whereProperty, $"\"{role.Name}\" is no role's name. {Prompts.Roles.NameForm}"));
            }
            else if (role.Value.ValueKind != JsonValueKind.Number || !role.Value.TryGetInt32(out int position))
            {
                faults.Add(new Fault(FaultKinds.Malformed, $"{whereProperty}.{role.Name}", "A role's position is a whole number: a token of the prompt from 0, BOS counted, or from the end where negative."));
            }
            else if (!roles.TryAdd(role.Name, position))
            {
                faults.Add(new Fault(FaultKinds.Malformed, $"{whereProperty}.{role.Name}", "The role is named twice."));
            }
        }

        if (roles.Count > Prompts.Roles.MostRoles)
        {
            faults.Add(new Fault(FaultKinds.TooLarge, whereProperty, $"There are {roles.Count} roles; a pair names {Prompts.Roles.MostRoles} at the most."));
        }

        return roles;
    }

    /// <summary>What the pair was made from, where it says so: a text.</summary>
    /// <inheritdoc cref="Prompt"/>
    public static string? Template(JsonElement pair, string whereProperty, List<Fault> faults)
    {
        if (!pair.TryGetProperty("template", out JsonElement value) || value.ValueKind == JsonValueKind.Null)
        {
            return null;
        }

        if (value.ValueKind != JsonValueKind.String || value.GetString() is not { Length: > 0 } template)
        {
            faults.Add(new Fault(FaultKinds.Malformed, whereProperty, "A template is a text, the same one in all pairs that were made from it."));
            return null;
        }

        return template;
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
