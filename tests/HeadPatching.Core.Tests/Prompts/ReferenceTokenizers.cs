using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using HeadPatching.Testing;

namespace HeadPatching.Core.Tests.Prompts;

/// <summary>Hugging Face's tokenizers, from npm. Tests are skipped where they are not to be had.</summary>
internal static class ReferenceTokenizers
{
    /// <summary>The token ids that a tokenizer.json makes of texts, without special tokens around them.</summary>
    public static async Task<int[][]> EncodeAsync(JsonObject tokenizer, IReadOnlyList<string> texts)
    {
        using var folder = new TemporaryFolder();
        string input = JsonSerializer.Serialize(new { file = folder.Write("tokenizer.json", tokenizer.ToJsonString()), texts });
        var start = new ProcessStartInfo("node", ["tokenizers.mjs"])
        {
            WorkingDirectory = await PackagesAsync(),
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process node = Process.Start(start)!;
        Task<string> output = node.StandardOutput.ReadToEndAsync(), error = node.StandardError.ReadToEndAsync();
        await node.StandardInput.WriteAsync(input);
        node.StandardInput.Close();
        await node.WaitForExitAsync();
        Assert.True(node.ExitCode == 0, await error);
        return JsonSerializer.Deserialize<int[][]>(await output)!;
    }

    private static async Task<string> PackagesAsync()
    {
        try
        {
            return await NodePackages.EnsureAsync(TestContext.Current.CancellationToken);
        }
        catch (NodeUnavailableException exception)
        {
            Assert.Skip($"Hugging Face's tokenizers, from npm, cannot be had on this machine: {exception.Message}");
            throw;
        }
    }
}
