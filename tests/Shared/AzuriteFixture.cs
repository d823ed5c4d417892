namespace HeadPatching.Testing;

/// <summary>
/// One Azurite for all tests of an assembly, started by the first that asks:
/// <c>[assembly: AssemblyFixture(typeof(AzuriteFixture))]</c>. Tests keep apart by containers of their own.
/// </summary>
public sealed class AzuriteFixture : IAsyncDisposable
{
    private readonly Lazy<Task<AzuriteServer>> _server = new(() => AzuriteServer.StartAsync(CancellationToken.None));

    /// <summary>The server; skips the test that asks, saying why, where there is none to be had.</summary>
    public async Task<AzuriteServer> ServerAsync()
    {
        try
        {
            return await _server.Value;
        }
        catch (NodeUnavailableException exception)
        {
            Assert.Skip($"Azurite cannot be had on this machine: {exception.Message}");
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_server is { IsValueCreated: true, Value.IsCompletedSuccessfully: true })
            await (await _server.Value).DisposeAsync();
    }
}
