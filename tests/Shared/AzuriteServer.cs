using System.Collections.Concurrent;
using System.ComponentModel;
using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.RegularExpressions;

namespace HeadPatching.Testing;

/// <summary>
/// A real Azurite (the Azure Storage emulator, from npm) on free loopback ports, in memory, with an account key of its own. It ends when
/// it is disposed of, and also when the test process is killed.
/// </summary>
public sealed partial class AzuriteServer : IAsyncDisposable
{
    private const string Account = "devstoreaccount1";
    private static readonly TimeSpan LongestStart = TimeSpan.FromMinutes(1);

    private readonly Process _process;
    private readonly string _key;

    private AzuriteServer(Process process, string key, IReadOnlyDictionary<string, Uri> addresses)
    {
        _process = process;
        _key = key;
        BlobAddress = addresses["Blob"];
        QueueAddress = addresses["Queue"];
        TableAddress = addresses["Table"];
    }

    /// <summary>Where the blob service listens: scheme, host and port.</summary>
    public Uri BlobAddress { get; }

    /// <summary>Where the queue service listens.</summary>
    public Uri QueueAddress { get; }

    /// <summary>Where the table service listens.</summary>
    public Uri TableAddress { get; }

    /// <summary>The connection string, with blobs, queues and tables.</summary>
    public string ConnectionString => ConnectionStringVia(BlobAddress);

    /// <summary>The same with blobs behind another address, such as that of a <see cref="FaultyProxy"/>.</summary>
    public string ConnectionStringVia(Uri blobAddress) =>
        $"DefaultEndpointsProtocol=http;AccountName={Account};AccountKey={_key};"
        + $"BlobEndpoint={new Uri(blobAddress, Account)};"
        + $"QueueEndpoint={new Uri(QueueAddress, Account)};"
        + $"TableEndpoint={new Uri(TableAddress, Account)};";

    /// <summary>Starts one, after <c>npm ci</c> where that has not been done yet.</summary>
    /// <exception cref="NodeUnavailableException">There is no Node or npm here, or npm could not install it.</exception>
    public static async Task<AzuriteServer> StartAsync(CancellationToken cancellationToken)
    {
        var folder = await NodePackages.EnsureAsync(cancellationToken);
        var key = Convert.ToBase64String(RandomNumberGenerator.GetBytes(64));
        var start = new ProcessStartInfo("node")
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["AZURITE_ACCOUNTS"] = $"{Account}:{key}" },
        };
        string[] arguments =
        [
            "azurite.js", "--blobPort", "0", "--queuePort", "0", "--tablePort", "0",
            "--inMemoryPersistence", "--skipApiVersionCheck", "--silent", "--disableTelemetry",
        ];
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);

        var process = StartNode(start);
        try
        {
            return new AzuriteServer(process, key, await AddressesAsync(process, cancellationToken));
        }
        catch
        {
            await EndAsync(process);
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync() => await EndAsync(_process);

    [GeneratedRegex(@"^Azurite (\w+) service is successfully listening at (http://\S+)")]
    private static partial Regex ListeningLine();

    private static Process StartNode(ProcessStartInfo start)
    {
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception exception)
        {
            throw new NodeUnavailableException($"node cannot be run: {exception.Message}");
        }
    }

    /// <summary>Reads the addresses off what Azurite prints: the ports are of the system's choosing.</summary>
    private static async Task<IReadOnlyDictionary<string, Uri>> AddressesAsync(Process process, CancellationToken cancellationToken)
    {
        var addresses = new ConcurrentDictionary<string, Uri>();
        var output = new ConcurrentQueue<string>();
        var allThere = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        process.EnableRaisingEvents = true;
        process.Exited += (_, _) => allThere.TrySetException(
            new InvalidOperationException($"Azurite ended at its start:\n{string.Join('\n', output)}"));
        process.ErrorDataReceived += (_, line) => output.Enqueue(line.Data ?? "");
        process.OutputDataReceived += (_, line) =>
        {
            output.Enqueue(line.Data ?? "");
            var match = ListeningLine().Match(line.Data ?? "");
            if (match.Success)
                addresses[match.Groups[1].Value] = new Uri(match.Groups[2].Value);
            if (addresses.Count == 3)
                allThere.TrySetResult();
        };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        await allThere.Task.WaitAsync(LongestStart, cancellationToken);
        return addresses;
    }

    private static async Task EndAsync(Process process)
    {
        if (!process.HasExited)
            process.Kill(entireProcessTree: true);
        await process.WaitForExitAsync();
        process.Dispose();
    }
}
