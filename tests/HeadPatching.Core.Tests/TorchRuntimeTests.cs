using System.Diagnostics;
using System.Text.Json;

namespace HeadPatching.Core.Tests;

/// <summary>What <c>-p:TorchRuntime</c> makes a program's restore fetch: asked of the build itself, nothing is fetched.</summary>
public class TorchRuntimeTests
{
    private const string Program = "HeadPatching.Cli";

    [Theory]
    [InlineData(null)]
    [InlineData("cpu")]
    public async Task By_default_only_the_CPU_libtorch_is_asked_for(string? runtime)
    {
        string[] packages = await TorchPackagesAsync(runtime);
        Assert.StartsWith("libtorch-cpu-", Assert.Single(packages), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_GPU_build_asks_for_the_CUDA_libtorch_alone() =>
        Assert.Equal(["TorchSharp-cuda-linux"], await TorchPackagesAsync("cuda"));

    [Fact]
    public async Task A_build_without_libtorch_asks_for_none() => Assert.Empty(await TorchPackagesAsync("none"));

    [Theory]
    [InlineData(null)]
    [InlineData("cuda")]
    public async Task A_library_asks_for_none_so_that_its_package_leaves_the_choice_to_the_program(string? runtime) =>
        Assert.Equal(["TorchSharp"], await TorchPackagesAsync(runtime, "HeadPatching.Core"));

    [Theory]
    [InlineData("gpu")]
    [InlineData("")] // a build argument that was left empty
    public async Task An_unknown_runtime_stops_the_build_and_the_known_ones_are_named(string runtime)
    {
        var (exitCode, output) = await MsBuildAsync(Program, "-t:CheckTorchRuntime", $"-p:TorchRuntime={runtime}");
        Assert.NotEqual(0, exitCode);
        Assert.Contains($"There is no TorchRuntime '{runtime}'. Known: cpu (the default), cuda, none.", output, StringComparison.Ordinal);
    }

    private static async Task<string[]> TorchPackagesAsync(string? runtime, string name = Program)
    {
        var (exitCode, output) = await MsBuildAsync(name, ["-getItem:PackageReference", .. runtime is null ? (string[])[] : [$"-p:TorchRuntime={runtime}"]]);
        Assert.True(exitCode == 0, output);
        using JsonDocument items = JsonDocument.Parse(output);
        return
        [
            .. items.RootElement.GetProperty("Items").GetProperty("PackageReference").EnumerateArray()
                .Select(item => item.GetProperty("Identity").GetString()!)
                .Where(name => name.Contains("torch", StringComparison.OrdinalIgnoreCase))
                .Order(StringComparer.OrdinalIgnoreCase),
        ];
    }

    private static async Task<(int ExitCode, string Output)> MsBuildAsync(string name, params string[] arguments)
    {
        DirectoryInfo? root = new(AppContext.BaseDirectory);
        while (root is not null && !File.Exists(Path.Combine(root.FullName, "HeadPatching.sln")))
        {
            root = root.Parent;
        }

        if (root is null)
        {
            Assert.Skip("The source is not beside the tests.");
        }

        string project = Path.Combine(root.FullName, "src", name, $"{name}.csproj");
        var start = new ProcessStartInfo("dotnet", ["msbuild", project, "-nologo", "-nodeReuse:false", .. arguments]) { RedirectStandardOutput = true };
        using var process = Process.Start(start)!;
        string output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, output);
    }
}
