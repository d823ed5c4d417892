using HeadPatching.Testing;

namespace HeadPatching.Http.Tests.Reliability;

/// <summary>Who may reach the server and its store, and what malformed HTTP brings.</summary>
public sealed class ExposureTests : IDisposable
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

        using (await Server.StartAsync(_folder.Path, "--store", _folder["own/store"]))
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(_folder["own/store"]));
        }

        const UnixFileMode Shared = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute;
        Directory.CreateDirectory(_folder["shared"], Shared);
        File.SetUnixFileMode(_folder["shared"], Shared);
        using (await Server.StartAsync(_folder.Path, "--store", _folder["shared"]))
        {
            Assert.Equal(Shared, File.GetUnixFileMode(_folder["shared"]));
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
    public async Task On_loopback_there_is_no_warning()
    {
        using Server server = await Server.StartAsync(_folder.Path, "--store", _folder["store"]);
        Assert.Empty(server.Process.Error.Trim());
    }

    [Theory]
    [InlineData("Z\r\n{}\r\n0\r\n\r\n")]
    [InlineData("1\r\n{}\r\n0\r\n\r\n")]
    [InlineData("FFFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n")]
    [InlineData("-2\r\n{}\r\n0\r\n\r\n")]
    [InlineData("2\r\n{}")]
    [InlineData("5\r\n{}\r\n0\r\n\r\n")]
    public async Task A_wrong_chunk_size_is_the_senders_fault(string chunks)
    {
        using Server server = await Server.StartAsync(_folder.Path, "--store", _folder["store"]);
        string answer = await RawHttp.SendAsync(
            server.Address, $"POST /api/sweeps HTTP/1.1\r\nHost: {server.Address.Authority}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        Assert.StartsWith("HTTP/1.1 400", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("failed", server.Process.Output, StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();
}
