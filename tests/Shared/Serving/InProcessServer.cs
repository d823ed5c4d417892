using HeadPatching.Azure;
using HeadPatching.Core.Native;
using HeadPatching.Http.Serving;

namespace HeadPatching.Testing;

/// <summary>
/// The server of `headpatch serve` in the tests' own process, on a free port of loopback: for what is about the server and not about its process.
/// Its code is compiled for the first test and not for each.
/// </summary>
internal sealed class InProcessServer : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop;
    private readonly Task _running;

    private InProcessServer(Uri address, Task running, CancellationTokenSource stop)
    {
        Address = address;
        Client = new SweepApiClient(address);
        _running = running;
        _stop = stop;
    }

    public Uri Address { get; }

    public SweepApiClient Client { get; }

    /// <summary>Starts one and waits until it listens.</summary>
    /// <param name="folder">Its store is the folder's subfolder store; its models are in the subfolder models, where there is one.</param>
    /// <param name="with">What else it is started with; null: the defaults.</param>
    public static async Task<InProcessServer> StartAsync(string folder, Func<ServeOptions, ServeOptions>? with = null)
    {
        LibTorch.Load();
        string models = Path.Combine(folder, "models");
        var options = new ServeOptions
        {
            Urls = ["http://127.0.0.1:0"],
            OpenStore = () => ArtifactStores.Open(Path.Combine(folder, "store")),
            Models = Directory.Exists(models) ? models : null,
            DownloadedModels = Path.Combine(folder, "data"), // not the user's
        };
        var stop = new CancellationTokenSource();
        var listening = new TaskCompletionSource<Uri>(TaskCreationOptions.RunContinuationsAsynchronously);
        Task running = Task.Run(() => SweepServer.RunAsync(
            with?.Invoke(options) ?? options,
            warning => throw new InvalidOperationException(warning),
            addresses => listening.SetResult(new Uri(addresses.Single())),
            stop.Token));
        await Task.WhenAny(listening.Task, running);
        return new InProcessServer(running.IsFaulted ? throw running.Exception : await listening.Task, running, stop);
    }

    /// <summary>Stops it as Ctrl-C does: sweeps stay where they are.</summary>
    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
    }
}
