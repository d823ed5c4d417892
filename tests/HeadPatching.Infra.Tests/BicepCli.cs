using System.Collections.Concurrent;
using System.Reflection;
using System.Text.Json.Nodes;
using HeadPatching.Testing;

namespace HeadPatching.Infra.Tests;

/// <summary>The Bicep CLI of the NuGet package that the build restored.</summary>
internal static class BicepCli
{
    // Names that the snapshots contain; no subscription is asked.
    private static readonly string[] SnapshotScope =
        ["--subscription-id", "00000000-0000-0000-0000-000000000000", "--resource-group", "headpatching", "--location", "swedencentral"];

    private static readonly string? Program =
        typeof(BicepCli).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().FirstOrDefault(data => data.Key == "BicepCli")?.Value;

    // Each template once: the program takes seconds to start.
    private static readonly ConcurrentDictionary<string, Lazy<Task<CommandResult>>> Built = [];

    /// <summary>Runs it in infra/; skips the test where there is none.</summary>
    public static Task<CommandResult> RunAsync(params string[] arguments) => RunInAsync(RepositoryFolder.Infra, arguments);

    /// <summary>Runs it in a folder; skips the test where there is none.</summary>
    public static async Task<CommandResult> RunInAsync(string folder, params string[] arguments)
    {
        if (!File.Exists(Program))
        {
            Assert.Skip("The Bicep CLI's package is for Linux x64, and this is another machine.");
        }

        return await Command.RunAsync(Program!, arguments, folder);
    }

    /// <summary>Builds a template that must have no error and no warning.</summary>
    /// <returns>The ARM template, modules included.</returns>
    public static async Task<JsonNode> BuildAsync(string template)
    {
        CommandResult built = await Built.GetOrAdd(template, name => new Lazy<Task<CommandResult>>(() => RunAsync("build", name, "--stdout"))).Value;
        Assert.Equal("", built.Errors);
        Assert.Equal(0, built.ExitCode);
        return JsonNode.Parse(built.Output)!;
    }

    /// <summary>Works out what a parameter file deploys.</summary>
    /// <param name="parameters">The file.</param>
    /// <param name="mode"><c>validate</c> against its snapshot, or <c>overwrite</c> that.</param>
    public static Task<CommandResult> SnapshotAsync(string parameters, string mode) => RunAsync(["snapshot", parameters, "--mode", mode, .. SnapshotScope]);

    /// <summary>The resources that these parameters of main.bicep deploy.</summary>
    /// <param name="parameters">Lines of a parameter file, such as <c>param hosting = 'elasticPremium'</c>.</param>
    /// <returns>None, and what is wrong, where they are refused.</returns>
    public static async Task<(JsonNode[] Resources, string Errors)> DeployedByAsync(params string[] parameters)
    {
        using var folder = new TemporaryFolder();
        string template = Path.GetRelativePath(folder.Path, Path.Combine(RepositoryFolder.Infra, "main.bicep")).Replace('\\', '/');
        string file = Path.Combine(folder.Path, "case.bicepparam");
        await File.WriteAllLinesAsync(file, [$"using '{template}'", "param image = 'headpatching:test'", .. parameters]);
        CommandResult result = await SnapshotAsync(file, "overwrite");
        return result.ExitCode == 0
            ? (ArmResources.Predicted(await File.ReadAllTextAsync(Path.ChangeExtension(file, "snapshot.json"))), "")
            : ([], result.Output + result.Errors);
    }
}
