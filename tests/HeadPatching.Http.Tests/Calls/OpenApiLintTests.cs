using System.Diagnostics;
using HeadPatching.Testing;

namespace HeadPatching.Http.Tests.Calls;

/// <summary>The OpenAPI document under the default rules of Redocly's linter, where Node.js and the package can be had.</summary>
public sealed class OpenApiLintTests
{
    [Fact]
    public async Task The_OpenAPI_document_is_clean()
    {
        CancellationToken stop = TestContext.Current.CancellationToken;
        string folder;
        try
        {
            folder = await NodePackages.EnsureAsync(stop);
        }
        catch (NodeUnavailableException e)
        {
            Assert.Skip(e.Message);
            return;
        }

        using var own = new TemporaryFolder(); // in which no configuration changes the rules
        await using (Stream document = OpenApi.OpenApiDocumentFile.OpenRead(), file = File.Create(own["openapi.json"]))
        {
            await document.CopyToAsync(file, stop);
        }

        var start = new ProcessStartInfo("node", [Path.Combine(folder, "node_modules", "@redocly", "cli", "bin", "cli.js"), "lint", "openapi.json", "--format=json"])
        {
            WorkingDirectory = own.Path,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["REDOCLY_TELEMETRY"] = "off";
        start.Environment["REDOCLY_SUPPRESS_UPDATE_NOTICE"] = "true";
        using Process lint = Process.Start(start)!;
        Task<string> output = lint.StandardOutput.ReadToEndAsync(stop), errors = lint.StandardError.ReadToEndAsync(stop);
        await lint.WaitForExitAsync(stop);
        string said = await output + await errors;
        Assert.True(lint.ExitCode == 0, said);
        Assert.Contains("\"errors\": 0", said, StringComparison.Ordinal);
        Assert.Contains("\"warnings\": 0", said, StringComparison.Ordinal);
    }
}
