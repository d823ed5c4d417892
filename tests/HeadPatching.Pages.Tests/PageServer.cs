using System.Text.Json;
using HeadPatching.Testing;

namespace HeadPatching.Pages.Tests;

/// <summary>A server of a test's own, with an empty store, the demo model and the model of <see cref="LongSweep"/>.</summary>
internal sealed class PageServer : IAsyncDisposable
{
    private readonly TemporaryFolder _folder;
    private readonly InProcessServer _server;

    private PageServer(TemporaryFolder folder, InProcessServer server)
    {
        _folder = folder;
        _server = server;
    }

    /// <summary>Pairs for <see cref="LongSweep.Model"/> as JSON Lines: enough that a sweep of them can be watched and cancelled.</summary>
    public static string LongPairs
    {
        get
        {
            using var body = JsonDocument.Parse(LongSweep.Body(pairs: 120, seed: 1));
            return string.Join('\n', body.RootElement.GetProperty("pairs").EnumerateArray().Select(pair => pair.GetRawText()));
        }
    }

    /// <summary>Where the page is.</summary>
    public Uri Address => _server.Address;

    /// <summary>The API beside the page.</summary>
    public SweepApiClient Client => _server.Client;

    /// <summary>Starts one, and waits until it listens.</summary>
    /// <param name="checkpoints">Further names under which it has the demo model.</param>
    public static async Task<PageServer> StartAsync(params string[] checkpoints)
    {
        var folder = new TemporaryFolder();
        LongSweep.WriteModel(folder["models"]);
        foreach (string name in checkpoints)
        {
            string copy = Directory.CreateDirectory(folder[$"models/{name}"]).FullName;
            foreach (string file in Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "models", "ioi-demo")))
            {
                File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
            }
        }

        return new PageServer(folder, await InProcessServer.StartAsync(folder.Path));
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _folder.Dispose();
    }
}
