using System.Diagnostics;
using HeadPatching.Core.Native;
using HeadPatching.Testing;

namespace HeadPatching.Cli.Tests.Commands;

/// <summary>The program as <c>-p:TorchRuntime=none</c> publishes it: libtorch is not among its files, and is found where a variable says.</summary>
public sealed class ForeignLibTorchTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public ForeignLibTorchTests()
    {
        if (!OperatingSystem.IsLinux() || !Directory.Exists(LibTorchFolder))
        {
            Assert.Skip("The build did not bring libtorch for Linux x64, which stands in for PyTorch's.");
        }
    }

    private static string LibTorchFolder => Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native");

    [Fact]
    public async Task Libtorch_from_another_folder_runs_a_sweep()
    {
        string program = CopyWithoutLibTorch();
        var (exitCode, output, error) = await RunAsync(program, LibTorchFolder, "sweep", "--quiet", "--store", "store", "--out", "out");
        Assert.Equal("", error.Trim());
        Assert.Equal(0, exitCode);
        Assert.Contains("Heads above 0.1, intervals without 0: L2H6, L2H0, L2H1", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_libtorch_it_is_said_which_variable_to_set_and_what_needs_none_works()
    {
        string program = CopyWithoutLibTorch();
        var (exitCode, _, error) = await RunAsync(program, "", "sweep");
        Assert.Equal(2, exitCode);
        Assert.StartsWith("HEADPATCHING_LIBTORCH: This program was built without libtorch.", error, StringComparison.Ordinal);
        Assert.Single(error.Trim().Split('\n'));

        var (listed, output, _) = await RunAsync(program, "", "model", "list");
        Assert.Equal(0, listed);
        Assert.Contains("ioi-demo", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_folder_with_no_or_broken_libraries_is_refused_by_name()
    {
        string program = CopyWithoutLibTorch();
        Directory.CreateDirectory(_folder["broken"]);
        var (missing, _, missingError) = await RunAsync(program, _folder["broken"], "sweep");
        Assert.Equal(2, missing);
        Assert.Contains("lacks libc10.so, libtorch_cpu.so, libtorch.so", missingError, StringComparison.Ordinal);

        foreach (string name in new[] { "libc10.so", "libtorch_cpu.so", "libtorch.so" })
        {
            await File.WriteAllTextAsync(Path.Combine(_folder["broken"], name), "no library");
        }

        var (broken, _, brokenError) = await RunAsync(program, _folder["broken"], "sweep");
        Assert.Equal(2, broken);
        Assert.Contains("libc10.so does not load", brokenError, StringComparison.Ordinal);
        Assert.Single(brokenError.Trim().Split('\n'));
    }

    [Fact]
    public async Task A_program_with_its_own_libtorch_does_not_take_a_second_one()
    {
        var (exitCode, _, error) = await RunAsync(Path.Combine(AppContext.BaseDirectory, "headpatch.dll"), LibTorchFolder, "sweep");
        Assert.Equal(2, exitCode);
        Assert.Contains("carries its own libtorch", error, StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>The build's output, flat and with no list of its files, so that the host takes what is there.</summary>
    private string CopyWithoutLibTorch()
    {
        string to = _folder["program"];
        Directory.CreateDirectory(Path.Combine(to, "models", "ioi-demo"));
        string[] native = ["libLibTorchSharp.so", "libSkiaSharp.so", "libHarfBuzzSharp.so"];
        IEnumerable<string> files = Directory.EnumerateFiles(AppContext.BaseDirectory, "*.dll")
            .Append(Path.Combine(AppContext.BaseDirectory, "headpatch.runtimeconfig.json"))
            .Concat(native.Select(name => Path.Combine(LibTorchFolder, name)));
        foreach (string file in files)
        {
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        }

        foreach (string file in Directory.EnumerateFiles(Path.Combine(AppContext.BaseDirectory, "models", "ioi-demo")))
        {
            File.Copy(file, Path.Combine(to, "models", "ioi-demo", Path.GetFileName(file)));
        }

        return Path.Combine(to, "headpatch.dll");
    }

    private async Task<(int ExitCode, string Output, string Error)> RunAsync(string program, string libTorch, params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [program, .. arguments])
        {
            WorkingDirectory = _folder.Path,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment[LibTorch.FolderVariable] = libTorch;
        using var process = Process.Start(start)!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, await output, await error);
    }
}
