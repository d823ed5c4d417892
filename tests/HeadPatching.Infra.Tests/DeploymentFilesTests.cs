using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace HeadPatching.Infra.Tests;

/// <summary>What deploys and runs the app besides the templates: azure.yaml, its hook, the workflow, the compose file. They are read as text.</summary>
public partial class DeploymentFilesTests
{
    private static readonly string AzureYaml = RepositoryFolder.Read("azure.yaml");

    [Fact]
    public void Every_path_of_azure_yaml_exists()
    {
        string[] paths = [.. PathLine().Matches(AzureYaml).Select(match => match.Groups[1].Value)];
        Assert.Contains("infra/Dockerfile", paths);
        Assert.Contains("infra/hooks/smoke.sh", paths);
        Assert.All(paths, path => Assert.True(Path.Exists(Path.Combine(RepositoryFolder.Root, path)), path));
    }

    [Fact]
    public void Azd_deploys_the_app_by_the_parameters_of_everything_else_once_there_is_an_image()
    {
        // Both the infrastructure's module and the service's: infra/main.bicepparam.
        Assert.Equal(2, Module().Count(AzureYaml));
        Assert.Contains("readEnvironmentVariable('SERVICE_APP_IMAGE_NAME', '')", RepositoryFolder.Read("infra/main.bicepparam"), StringComparison.Ordinal);
        Assert.Contains("\n  app:\n", AzureYaml, StringComparison.Ordinal); // the service whose image that is
        Assert.Contains("output AZURE_CONTAINER_REGISTRY_ENDPOINT", RepositoryFolder.Read("infra/main.bicep"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_parameters_of_azd_have_the_image_that_it_pushed_or_none()
    {
        CommandResult built = await BicepCli.RunAsync("build-params", "main.bicepparam", "--stdout");
        Assert.Equal("", built.Errors);
        JsonNode parameters = JsonNode.Parse((string)JsonNode.Parse(built.Output)!["parametersJson"]!)!["parameters"]!;
        Assert.Equal(Environment.GetEnvironmentVariable("SERVICE_APP_IMAGE_NAME")?.Split('/', 2)[1] ?? "", (string?)parameters["image"]!["value"]);
    }

    [Theory]
    [InlineData("smoke.sh", "keyCommand", "sweepUrl")]
    [InlineData("scale.sh", "scaleApp", "scalePatch")]
    public async Task A_hook_is_a_script_that_parses_and_takes_outputs_that_there_are(string script, params string[] taken)
    {
        Assert.SkipUnless(File.Exists("/bin/sh"), "There is no /bin/sh.");
        string hook = Path.Combine(RepositoryFolder.Infra, "hooks", script);
        CommandResult parsed = await Command.RunAsync("/bin/sh", ["-n", hook], RepositoryFolder.Root);
        Assert.Equal("", parsed.Output + parsed.Errors);
        Assert.Equal(0, parsed.ExitCode);

        string template = RepositoryFolder.Read("infra/main.bicep");
        string[] outputs = [.. OutputUsed().Matches(await File.ReadAllTextAsync(hook, TestContext.Current.CancellationToken)).Select(match => match.Groups[1].Value)];
        Assert.Equal(taken, outputs.Distinct().Order(StringComparer.Ordinal));
        Assert.All(outputs, output => Assert.Contains($"\noutput {output} ", template, StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_scale_rules_are_patched_in_and_waited_for_and_seen_to_be_in_force()
    {
        Assert.SkipUnless(File.Exists("/bin/sh"), "There is no /bin/sh.");
        string folder = Directory.CreateTempSubdirectory("headpatching-hook-").FullName;
        try
        {
            // An az that writes down what it is asked, and is as far as the file "state" says.
            string az = Path.Combine(folder, "az");
            await File.WriteAllTextAsync(
                az,
                """
                #!/bin/sh
                here=$(dirname "$0")
                echo "$*" >>"$here/asked"
                case "$*" in
                  *provisioningState*) cat "$here/state"; echo Succeeded >"$here/state" ;;
                  *allowScalingRuleOverride\ *) cat "$here/override" ;;
                esac
                """,
                TestContext.Current.CancellationToken);
            await Command.RunAsync("/bin/chmod", ["+x", az], folder);
            await File.WriteAllTextAsync(Path.Combine(folder, "override"), "true", TestContext.Current.CancellationToken);
            await File.WriteAllTextAsync(Path.Combine(folder, "state"), "Succeeded", TestContext.Current.CancellationToken);
            CommandResult set = await ScaleAsync("/subscriptions/s/app", """{"properties":{}}""");
            Assert.Equal(("As many replicas as the longest queue has messages.\n", 0), (set.Output, set.ExitCode));
            string asked = await File.ReadAllTextAsync(Path.Combine(folder, "asked"), TestContext.Current.CancellationToken);
            Assert.StartsWith("""rest --method patch --url https://management.azure.com/subscriptions/s/app?api-version=2026-03-02-preview --body {"properties":{}}""", asked, StringComparison.Ordinal);

            await File.WriteAllTextAsync(Path.Combine(folder, "state"), "Failed", TestContext.Current.CancellationToken);
            Assert.Equal(1, (await ScaleAsync("/subscriptions/s/app", "{}")).ExitCode);
            await File.WriteAllTextAsync(Path.Combine(folder, "override"), "", TestContext.Current.CancellationToken);
            Assert.Equal(("The platform's own rules are still in force.\n", 1), await ErrorsAsync(ScaleAsync("/subscriptions/s/app", "{}")));
            Assert.Equal(0, (await ScaleAsync("", "")).ExitCode); // the platform's own are meant to be
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        Task<CommandResult> ScaleAsync(string app, string patch) => Command.RunAsync(
            "/usr/bin/env", [$"PATH={folder}:/usr/bin:/bin", "sh", Path.Combine(RepositoryFolder.Infra, "hooks", "scale.sh"), app, patch], RepositoryFolder.Root);

        static async Task<(string, int)> ErrorsAsync(Task<CommandResult> ran) => ((await ran).Errors, (await ran).ExitCode);
    }

    [Fact]
    public void The_key_of_an_app_on_Container_Apps_is_the_value_within_the_answers_value()
    {
        // az containerapp function keys show answers { "value": { "name": ..., "value": ... } }.
        Assert.Contains("az containerapp function keys show", RepositoryFolder.Read("infra/main.bicep"), StringComparison.Ordinal);
        Assert.Contains("--query value.value --output tsv", RepositoryFolder.Read("infra/main.bicep"), StringComparison.Ordinal);
    }

    [Fact]
    public void The_workflow_runs_by_hand_alone_and_has_no_secret()
    {
        string workflow = RepositoryFolder.Read(".github/workflows/deploy.yml");
        Assert.Contains("\non:\n  workflow_dispatch:\n", workflow, StringComparison.Ordinal);
        Assert.DoesNotMatch(@"(?m)^  (push|pull_request|schedule)", workflow);
        Assert.Contains("id-token: write", workflow, StringComparison.Ordinal);
        Assert.DoesNotContain("secrets.", workflow, StringComparison.Ordinal);
    }

    [Fact]
    public void Nothing_that_is_committed_here_holds_a_key()
    {
        string[] files =
        [
            "azure.yaml", ".github/workflows/deploy.yml",
            .. Directory.GetFiles(RepositoryFolder.Infra, "*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(RepositoryFolder.Root, file)),
        ];
        Assert.All(files, file => Assert.DoesNotMatch(Secret(), RepositoryFolder.Read(file)));
    }

    [Fact]
    public void The_compose_file_builds_the_image_that_is_deployed()
    {
        string compose = RepositoryFolder.Read("infra/compose.yaml");
        Assert.Contains("context: ..\n      dockerfile: infra/Dockerfile", compose, StringComparison.Ordinal);
        Assert.Contains("127.0.0.1:7079:8080", compose, StringComparison.Ordinal);
        Assert.DoesNotMatch(@"""?0\.0\.0\.0:|- ""?\d+:\d+", compose); // to this machine alone
    }

    [GeneratedRegex(@"(?m)^\s+(?:path|run|project|context): (\S+)$")]
    private static partial Regex PathLine();

    [GeneratedRegex(@"(?m)^\s+module: main$")]
    private static partial Regex Module();

    [GeneratedRegex(@"\$\{([a-z]\w*[A-Z]\w*)")]
    private static partial Regex OutputUsed();

    // A storage account's key is 64 bytes, a function's key 56 characters.
    [GeneratedRegex(@"AccountKey=|SharedAccessSignature=|[A-Za-z0-9+/]{86}==|[A-Za-z0-9_-]{53}AzFu[A-Za-z0-9_-]+==|BEGIN [A-Z ]*PRIVATE KEY")]
    private static partial Regex Secret();
}
