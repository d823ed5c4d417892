using System.Text;
using System.Text.Json;
using HeadPatching.Core.Results;

namespace HeadPatching.Cli.Terminal;

/// <summary>What <c>--json</c> puts on standard output: one JSON document and nothing else.</summary>
internal static class JsonOutput
{
    /// <summary>Writes a document, with members named as in results and over HTTP.</summary>
    public static async Task WriteAsync<T>(T document, CancellationToken cancellationToken)
    {
        using var json = new MemoryStream();
        await JsonSerializer.SerializeAsync(json, document, ResultJson.Indented, cancellationToken);
        json.Write("\n"u8);
        json.Position = 0;
        await CopyAsync(json, cancellationToken);
    }

    /// <summary>Copies a document byte for byte; on a terminal without the characters that one acts on.</summary>
    public static async Task CopyAsync(Stream json, CancellationToken cancellationToken)
    {
        if (Console.IsOutputRedirected)
        {
            await using Stream output = Console.OpenStandardOutput();
            await json.CopyToAsync(output, cancellationToken);
        }
        else
        {
            using var text = new StreamReader(json, Encoding.UTF8);
            await Console.Out.WriteLineAsync((await text.ReadToEndAsync(cancellationToken)).TrimEnd());
        }
    }
}
