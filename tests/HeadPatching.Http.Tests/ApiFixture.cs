using System.Text.Json;
using HeadPatching.Testing;

namespace HeadPatching.Http.Tests;

/// <summary>
/// The server under test: at HEADPATCHING_TEST_URL where that is set (with HEADPATCHING_TEST_KEY as its function key), so that the same
/// tests hold for another host; otherwise `headpatch serve`, started here.
/// </summary>
public sealed class ApiFixture : IAsyncLifetime
{
    /// <summary>How many activities run at once on the server started here.</summary>
    public const int Parallelism = 2;

    /// <summary>How many sweeps share them.</summary>
    public const int SweepsAtOnce = 4;

    private readonly TemporaryFolder _folder = new();
    private Server? _server;
    private SweepApiClient? _client;

    /// <summary>Whether the server is one that was started elsewhere.</summary>
    public bool IsExternal { get; private set; }

    internal SweepApiClient Client => _client!;

    /// <summary>Its address.</summary>
    public Uri Address => _client!.Http.BaseAddress!;

    /// <inheritdoc/>
    public async ValueTask InitializeAsync()
    {
        if (Environment.GetEnvironmentVariable("HEADPATCHING_TEST_URL") is { Length: > 0 } url)
        {
            IsExternal = true;
            _client = new SweepApiClient(new Uri(url), Environment.GetEnvironmentVariable("HEADPATCHING_TEST_KEY"));
            return;
        }

        LongSweep.WriteModel(_folder["models"]);
        _server = await Server.StartAsync(
            _folder.Path, "--store", _folder["store"], "--models", _folder["models"], "--parallelism", $"{Parallelism}");
        _client = _server.Client;
    }

    /// <summary>Skips the test where the server does not have the model of long sweeps.</summary>
    internal async Task RequireLongModelAsync()
    {
        JsonElement models = (await Client.GetAsync("/api/models")).GetProperty("models");
        Assert.SkipUnless(
            models.EnumerateArray().Any(model => model.GetProperty("name").GetString() == LongSweep.Model),
            $"The server has no model {LongSweep.Model}, so no sweep there takes long.");
    }

    /// <summary>Skips the test where the server is not `headpatch serve`.</summary>
    internal void RequireServe() => Assert.SkipWhen(IsExternal, "This is about headpatch serve, and the server is another host.");

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _client?.Dispose();
        _server?.Dispose();
        _folder.Dispose();
        return ValueTask.CompletedTask;
    }
}
