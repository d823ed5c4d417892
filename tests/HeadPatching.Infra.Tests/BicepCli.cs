using System.Reflection;
using System.Text.Json.Nodes;

namespace HeadPatching.Infra.Tests;

/// <summary>The Bicep CLI of the NuGet package that the build restored.</summary>
internal static class BicepCli
{
    private static readonly string? Program =
        typeof(BicepCli).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().FirstOrDefault(data => data.Key == "BicepCli")?.Value;

    /// <summary>Runs it in infra/; skips the test where there is none.</summary>
    public static async Task<CommandResult> RunAsync(params string[] arguments)
    {
        if (!File.Exists(Program))
        {
            Assert.Skip("The Bicep CLI's package is for Linux x64, and this is another machine.");
        }

        return await Command.RunAsync(Program!, arguments, RepositoryFolder.Infra);
    }

    /// <summary>Builds a template that must have no error and no warning.</summary>
    /// <returns>The ARM template, modules included.</returns>
    public static async Task<JsonNode> BuildAsync(string template)
    {
        CommandResult built = await RunAsync("build", template, "--stdout");
        Assert.Equal("", built.Errors);
        Assert.Equal(0, built.ExitCode);
        return JsonNode.Parse(built.Output)!;
    }
}
