using HeadPatching.Testing;

namespace HeadPatching.Http.Tests.Reliability;

/// <summary>Who may reach the server and its store, and what malformed HTTP brings.</summary>
public sealed class ExposureTests(ExposureTests.OnLoopback loopback) : IClassFixture<ExposureTests.OnLoopback>, IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public async Task The_store_is_private_to_its_user_unless_its_folder_was_there_already()
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Skip("Windows has no file modes.");
            return;
        }

        await using (await InProcessServer.StartAsync(_folder["own"]))
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(_folder["own/store"]));
        }

        const UnixFileMode Shared = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute;
        Directory.CreateDirectory(_folder["with/store"], Shared);
        File.SetUnixFileMode(_folder["with/store"], Shared);
        await using (await InProcessServer.StartAsync(_folder["with"]))
        {
            Assert.Equal(Shared, File.GetUnixFileMode(_folder["with/store"]));
        }
    }

    [Fact]
    public async Task Listening_to_other_machines_is_warned_of_and_hosts_are_still_checked()
    {
        using Server server = await Server.StartAsync(
            _folder.Path, "--store", _folder["store"], "--urls", "http://0.0.0.0:0", "--allowed-hosts", "sweeps.example", "other.example");
        string warning = Assert.Single(server.Process.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
        Assert.StartsWith("Warning: ", warning, StringComparison.Ordinal);
        Assert.Contains("no login", warning, StringComparison.Ordinal);

        var loopback = new Uri($"http://127.0.0.1:{server.Address.Port}");
        foreach (string host in (string[])["attacker.example", "sweeps.example.attacker.example", "198.51.100.7"])
        {
            string answer = await RawHttp.AnswerAsync(loopback, "GET /api/health HTTP/1.1", $"Host: {host}");
            Assert.StartsWith("HTTP/1.1 403", answer, StringComparison.Ordinal);
            Assert.Contains("--allowed-hosts", answer, StringComparison.Ordinal);
        }

        foreach (string host in (string[])["sweeps.example", "other.example:8080", "localhost", "127.0.0.1", Environment.MachineName])
        {
            Assert.StartsWith("HTTP/1.1 200", await RawHttp.AnswerAsync(loopback, "GET /api/health HTTP/1.1", $"Host: {host}"), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void On_loopback_there_is_no_warning() => Assert.Empty(loopback.Server.Process.Error.Trim());

    [Theory]
    [InlineData("Z\r\n{}\r\n0\r\n\r\n")]
    [InlineData("1\r\n{}\r\n0\r\n\r\n")]
    [InlineData("FFFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n")]
    [InlineData("-2\r\n{}\r\n0\r\n\r\n")]
    [InlineData("5\r\n{}\r\n0\r\n\r\n")]
    public async Task A_wrong_chunk_size_is_the_senders_fault(string chunks)
    {
        Server server = loopback.Server;
        string answer = await RawHttp.SendAsync(
            server.Address, $"POST /api/sweeps HTTP/1.1\r\nHost: {server.Address.Authority}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{chunks}");
        Assert.StartsWith("HTTP/1.1 400", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("failed", server.Process.Output, StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>`headpatch serve` as it is without options but for its store.</summary>
    public sealed class OnLoopback : IAsyncLifetime
    {
        private readonly TemporaryFolder _folder = new();

        internal Server Server { get; private set; } = null!;

        /// <inheritdoc/>
        public async ValueTask InitializeAsync() => Server = await Server.StartAsync(_folder.Path, "--store", _folder["store"]);

        /// <inheritdoc/>
        public ValueTask DisposeAsync()
        {
            Server.Dispose();
            _folder.Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
