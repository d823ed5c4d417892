using System.Diagnostics;
using System.Text.Json;

namespace HeadPatching.Core.Tests;

/// <summary>What <c>-p:TorchRuntime</c> makes a restore fetch: asked of the build itself, nothing is fetched.</summary>
public class TorchRuntimeTests
{
    [Theory]
    [InlineData(null)]
    [InlineData("cpu")]
    public async Task By_default_only_the_CPU_libtorch_is_asked_for(string? runtime)
    {
        string[] packages = await TorchPackagesAsync(runtime);
        Assert.Equal(2, packages.Length);
        Assert.Contains("TorchSharp", packages);
        Assert.Contains(packages, package => package.StartsWith("libtorch-cpu-", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_GPU_build_asks_for_the_CUDA_libtorch_alone() =>
        Assert.Equal(["TorchSharp", "TorchSharp-cuda-linux"], await TorchPackagesAsync("cuda"));

    [Fact]
    public async Task A_build_without_libtorch_asks_for_none() => Assert.Equal(["TorchSharp"], await TorchPackagesAsync("none"));

    [Theory]
    [InlineData("gpu")]
    [InlineData("")] // a build argument that was left empty
    public async Task An_unknown_runtime_stops_the_build_and_the_known_ones_are_named(string runtime)
    {
        var (exitCode, output) = await MsBuildAsync("-t:CheckTorchRuntime", $"-p:TorchRuntime={runtime}");
        Assert.NotEqual(0, exitCode);
        Assert.Contains($"There is no TorchRuntime '{runtime}'. Known: cpu (the default), cuda, none.", output, StringComparison.Ordinal);
    }

    private static async Task<string[]> TorchPackagesAsync(string? runtime)
    {
        var (exitCode, output) = await MsBuildAsync(["-getItem:PackageReference", .. runtime is null ? (string[])[] : [$"-p:TorchRuntime={runtime}"]]);
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

    private static async Task<(int ExitCode, string Output)> MsBuildAsync(params string[] arguments)
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

        string project = Path.Combine(root.FullName, "src", "HeadPatching.Core", "HeadPatching.Core.csproj");
        var start = new ProcessStartInfo("dotnet", ["msbuild", project, "-nologo", "-nodeReuse:false", .. arguments]) { RedirectStandardOutput = true };
        using var process = Process.Start(start)!;
        string output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, output);
    }
}
