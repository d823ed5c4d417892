using System.Text.Json;
using HeadPatching.Core.Faults;

namespace HeadPatching.Http.Requests;

/// <summary>The body of POST /api/sweeps/delete.</summary>
/// <param name="Ids">The sweeps, 1 to 100.</param>
public sealed record SweepIdList(IReadOnlyList<string> Ids)
{
    /// <summary>The most of one call.</summary>
    public const int MostIds = 100;

    /// <summary>The most bytes of the body.</summary>
    internal const int MostBytes = 16 << 10;

    private const string Form = """The body is an object such as {"ids": ["n0123456789abcdef01234567"]}.""";

    /// <summary>Reads the body. An id that names no sweep is no fault: its outcome says so.</summary>
    /// <exception cref="RefusedRequestException">It is another body.</exception>
    internal static SweepIdList Read(ReadOnlyMemory<byte> utf8)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(utf8, new JsonDocumentOptions { MaxDepth = 4 });
            JsonElement root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty("ids", out JsonElement ids) || ids.ValueKind != JsonValueKind.Array)
            {
                throw Refusal(FaultKinds.Malformed, "$", Form);
            }

            if (root.EnumerateObject().FirstOrDefault(property => property.Name != "ids") is { Value.ValueKind: not JsonValueKind.Undefined } unknown)
            {
                throw Refusal(FaultKinds.UnknownProperty, unknown.Name, "There is no such property. Known: ids.");
            }

            return ids.GetArrayLength() is < 1 or > MostIds
                ? throw Refusal(FaultKinds.TooLarge, "ids", $"There are {ids.GetArrayLength()} ids; 1 to {MostIds} are allowed.")
                : new SweepIdList([.. ids.EnumerateArray().Select((id, index) =>
                    id.ValueKind == JsonValueKind.String ? id.GetString()! : throw Refusal(FaultKinds.Malformed, $"ids[{index}]", "An id is a string."))]);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw Refusal(FaultKinds.Malformed, "$", $"The body is not valid JSON. {Form}");
        }
    }

    private static RefusedRequestException Refusal(string kind, string path, string message) => new([new Fault(kind, path, message)], 1);
}
