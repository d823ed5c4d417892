using System.Text.RegularExpressions;
using HeadPatching.Testing;

namespace HeadPatching.Infra.Tests;

/// <summary>
/// The published Functions app: the folder that HEADPATCHING_FUNCTIONS_PUBLISH names, or else made once as the Dockerfile's build stage makes
/// it, from a folder that holds what the Dockerfile copies and nothing else.
/// </summary>
public sealed partial class PublishedApp : IDisposable
{
    private readonly TemporaryFolder _source = new();
    private readonly Lazy<Task<string>> _folder;

    public PublishedApp()
    {
        _folder = new Lazy<Task<string>>(PublishAsync);
    }

    /// <summary>The folder; skips the test that asks, saying why, where the app cannot be built.</summary>
    public async Task<string> FolderAsync() =>
        Environment.GetEnvironmentVariable("HEADPATCHING_FUNCTIONS_PUBLISH") is { Length: > 0 } given ? given : await _folder.Value;

    /// <inheritdoc/>
    public void Dispose() => _source.Dispose();

    private async Task<string> PublishAsync()
    {
        DockerfileText dockerfile = DockerfileText.Functions;
        string published = Path.Combine(_source.Path, "published");
        CopyFromRepository(dockerfile.RestoreSources);
        CommandResult restored = await Command.RunAsync("dotnet", Arguments(dockerfile.RestoreArguments, published), _source.Path);
        if (restored.ExitCode != 0 && PackageMissing().Match(restored.Output) is { Success: true } missing)
        {
            Assert.Skip($"The Azure Functions packages cannot be restored here: {missing.Value}");
        }

        Assert.True(restored.ExitCode == 0, restored.Output + restored.Errors);
        CopyFromRepository(dockerfile.CopySources);
        CommandResult result = await Command.RunAsync("dotnet", [.. Arguments(dockerfile.PublishArguments, published), "-nologo", "-v", "quiet"], _source.Path);
        Assert.True(result.ExitCode == 0, result.Output + result.Errors);
        return published;
    }

    private static IEnumerable<string> Arguments(string[] written, string published) => written.Select(argument => argument switch
    {
        "-p:TorchRuntime=$TORCH" => "-p:TorchRuntime=cpu",
        "-p:DurableTaskScheduler=$DURABLE_TASK_SCHEDULER" => "-p:DurableTaskScheduler=false",
        "/published" => published,
        _ => argument,
    });

    private void CopyFromRepository(string[] sources)
    {
        foreach (string source in sources)
        {
            Copy(Path.Combine(RepositoryFolder.Root, source), Path.Combine(_source.Path, source));
        }
    }

    private static void Copy(string from, string to)
    {
        if (File.Exists(from))
        {
            Directory.CreateDirectory(Path.GetDirectoryName(to)!);
            File.Copy(from, to, overwrite: true);
            return;
        }

        Directory.CreateDirectory(to);
        foreach (string entry in Directory.EnumerateFileSystemEntries(from).Where(entry => Path.GetFileName(entry) is not ("bin" or "obj")))
        {
            Copy(entry, Path.Combine(to, Path.GetFileName(entry)));
        }
    }

    // No such package, no such version, no registry.
    [GeneratedRegex(@"NU1(10[123]|301|603): [^\r\n]+")]
    private static partial Regex PackageMissing();
}
