using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace HeadPatching.Testing;

/// <summary>Somebody who is called back, on loopback: keeps what came, and answers as it is told to.</summary>
internal sealed class CallbackReceiver : IDisposable
{
    private readonly HttpListener _listener = new();
    private readonly ConcurrentQueue<ReceivedCallback> _received = new();

    public CallbackReceiver()
    {
        using (var free = new TcpListener(IPAddress.Loopback, 0))
        {
            free.Start();
            Origin = $"http://127.0.0.1:{((IPEndPoint)free.LocalEndpoint).Port}";
        }

        _listener.Prefixes.Add($"{Origin}/");
        _listener.Start();
        _ = ReceiveAsync();
    }

    /// <summary>Its address, without a path.</summary>
    public string Origin { get; }

    /// <summary>The status of each answer, by how many came before.</summary>
    public Func<int, int> Answer { get; set; } = _ => 204;

    /// <summary>What came so far.</summary>
    public IReadOnlyList<ReceivedCallback> Received => [.. _received];

    /// <summary>Waits until so many came.</summary>
    public async Task<IReadOnlyList<ReceivedCallback>> WaitAsync(int count)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (_received.Count < count)
        {
            await Task.Delay(50, patience.Token);
        }

        return Received;
    }

    public void Dispose() => _listener.Close();

    private async Task ReceiveAsync()
    {
        while (true)
        {
            HttpListenerContext context;
            try
            {
                context = await _listener.GetContextAsync();
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
            {
                return;
            }

            using var reader = new StreamReader(context.Request.InputStream, Encoding.UTF8);
            string body = await reader.ReadToEndAsync();
            int status = Answer(_received.Count);
            _received.Enqueue(new ReceivedCallback(context.Request.Url!.PathAndQuery, body, context.Request.Headers["HeadPatching-Signature"] ?? "", context.Request.Headers["HeadPatching-Sweep"]));
            context.Response.StatusCode = status;
            context.Response.RedirectLocation = status is >= 300 and < 400 ? $"{Origin}/redirected" : null;
            context.Response.Close();
        }
    }
}

/// <summary>A callback that came.</summary>
internal sealed record ReceivedCallback(string Path, string Body, string Signature, string? Sweep)
{
    public JsonElement Json => JsonDocument.Parse(Body).RootElement;

    /// <summary>Whether it is signed with a secret, and now, as a receiver would look.</summary>
    public bool IsSignedWith(string secret)
    {
        string[] parts = Signature.Split(',');
        string seconds = parts[0].Replace("t=", "", StringComparison.Ordinal);
        byte[] expected = HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), Encoding.UTF8.GetBytes($"{seconds}.{Body}"));
        TimeSpan age = DateTimeOffset.UtcNow - DateTimeOffset.FromUnixTimeSeconds(long.Parse(seconds, CultureInfo.InvariantCulture));
        return age.Duration() < TimeSpan.FromMinutes(5) && CryptographicOperations.FixedTimeEquals(expected, Convert.FromHexString(parts[1].Replace("v1=", "", StringComparison.Ordinal)));
    }
}
