using System.Net;
using System.Text.Json;

namespace HeadPatching.Http.Tests;

/// <summary>Reads problem+json answers.</summary>
internal static class Problems
{
    /// <summary>The answer must be a problem of this status and type.</summary>
    public static async Task<JsonElement> ReadProblemAsync(this HttpResponseMessage response, HttpStatusCode status, string type)
    {
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.StatusCode == status, $"{(int)response.StatusCode}: {text}");
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        JsonElement problem = JsonDocument.Parse(text).RootElement;
        Assert.Equal("urn:headpatching:problem:" + type, problem.GetProperty("type").GetString());
        Assert.Equal((int)status, problem.GetProperty("status").GetInt32());
        Assert.NotEmpty(problem.GetProperty("title").GetString()!);
        Assert.NotEmpty(problem.GetProperty("detail").GetString()!);
        return problem;
    }

    /// <summary>The faults of a problem, as <c>path kind</c>.</summary>
    public static string[] Faults(this JsonElement problem) =>
        [.. problem.GetProperty("errors").EnumerateArray().Select(fault => $"{fault.GetProperty("path").GetString()} {fault.GetProperty("kind").GetString()}")];
}
