using System.Text.Json;
using System.Text.Json.Nodes;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Requests;

namespace HeadPatching.Http.Answers;

/// <summary>A sweep's request as it can be posted again: what it says, without what is the default.</summary>
internal static class RequestAnswer
{
    private static readonly SweepRequest Defaults = new();

    /// <summary>The body.</summary>
    public static JsonObject Of(SweepRequest request)
    {
        var body = new JsonObject();
        foreach (SweepOption option in SweepOptions.All)
        {
            object? value = option.Get(request);
            if (option.Name == "model")
            {
                body[option.Name] = NameOf(request.Model);
            }
            else if (value is not null && !value.Equals(option.Get(Defaults)))
            {
                body[option.Name] = JsonSerializer.SerializeToNode(value, value.GetType(), ResultJson.Compact);
            }
        }

        return body;
    }

    /// <summary>Sweeps of the command line name folders of its machine, which are nobody else's to know: of those, the last part.</summary>
    private static string NameOf(string model) => model.Split('/', '\\').LastOrDefault(part => part.Trim().Length > 0) ?? model;
}
