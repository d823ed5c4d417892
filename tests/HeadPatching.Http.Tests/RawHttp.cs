using System.Net.Sockets;
using System.Text;

namespace HeadPatching.Http.Tests;

/// <summary>HTTP by hand, for what a proper client would not send.</summary>
internal static class RawHttp
{
    /// <summary>Sends a request line and headers, no body, and reads the answer until the server closes the connection.</summary>
    public static async Task<string> AnswerAsync(Uri server, string requestLine, params string[] headers)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(120));
        using TcpClient client = await ConnectAsync(server, patience.Token);
        NetworkStream stream = client.GetStream();
        string[] all = headers.Any(header => header.StartsWith("Host:", StringComparison.Ordinal)) ? headers : [$"Host: {server.Authority}", .. headers];
        if (Environment.GetEnvironmentVariable("HEADPATCHING_TEST_KEY") is { Length: > 0 } key)
        {
            all = [.. all, $"x-functions-key: {key}"];
        }

        await stream.WriteAsync(Encoding.ASCII.GetBytes($"{requestLine}\r\n{string.Join("\r\n", all)}\r\nConnection: close\r\n\r\n"), patience.Token);
        using var reader = new StreamReader(stream);
        return await reader.ReadToEndAsync(patience.Token);
    }

    /// <summary>Sends what may not be HTTP, ends its side of the connection, and reads the answer.</summary>
    public static async Task<string> SendAsync(Uri server, string request)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(120));
        using TcpClient client = await ConnectAsync(server, patience.Token);
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(request), patience.Token);
        client.Client.Shutdown(SocketShutdown.Send);
        using var reader = new StreamReader(stream);
        return await reader.ReadToEndAsync(patience.Token);
    }

    /// <summary>The status of an answer.</summary>
    public static async Task<string> StatusAsync(Uri server, string requestLine) => (await AnswerAsync(server, requestLine)).Split(' ')[1];

    /// <summary>POSTs a body in chunks until an answer comes or the connection is closed.</summary>
    /// <returns>The answer, and how much was sent.</returns>
    public static async Task<(string Answer, long Sent)> PostEndlesslyAsync(Uri server, long mostBytes)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(120));
        using TcpClient client = await ConnectAsync(server, patience.Token);
        NetworkStream stream = client.GetStream();
        await stream.WriteAsync(
            Encoding.ASCII.GetBytes($"POST /api/sweeps HTTP/1.1\r\nHost: {server.Authority}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"),
            patience.Token);
        byte[] chunk = [.. "10000\r\n"u8, .. Encoding.ASCII.GetBytes(new string(' ', 0x10000)), .. "\r\n"u8];
        byte[] answer = new byte[64 << 10];
        long sent = 0;
        try
        {
            while (sent < mostBytes && !stream.DataAvailable)
            {
                await stream.WriteAsync(chunk, patience.Token);
                sent += 0x10000;
            }
        }
        catch (IOException)
        {
            // The server closed the connection; its answer may still be there to read.
        }

        int read = await stream.ReadAsync(answer, patience.Token);
        return (Encoding.ASCII.GetString(answer, 0, read), sent);
    }

    private static async Task<TcpClient> ConnectAsync(Uri server, CancellationToken cancellationToken)
    {
        var client = new TcpClient();
        await client.ConnectAsync(server.Host, server.Port, cancellationToken);
        return client;
    }
}
