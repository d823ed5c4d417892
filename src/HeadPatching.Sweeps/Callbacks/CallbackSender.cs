using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Engine;

namespace HeadPatching.Sweeps.Callbacks;

/// <summary>
/// Sends a callback once. It goes to a host of the operator's list, to an address that was looked at, which is the one that is connected to; no
/// redirect is followed and no proxy asked. The body is signed, so that the receiver knows whose it is.
/// </summary>
public sealed class CallbackSender : IDisposable
{
    /// <summary>The header of the signature: <c>t=SECONDS,v1=HEX</c>, HMAC-SHA256 over <c>SECONDS.BODY</c> with the operator's secret.</summary>
    public const string SignatureHeader = "HeadPatching-Signature";

    /// <summary>The header that names the sweep, the same however often the callback is sent.</summary>
    public const string SweepHeader = "HeadPatching-Sweep";

    private const int ShortestSecret = 16;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    private readonly CallbackHosts _hosts;
    private readonly byte[] _secret;
    private readonly HttpClient _http;
    private readonly TimeProvider _time;

    private CallbackSender(CallbackHosts hosts, string secret, TimeProvider time)
    {
        _hosts = hosts;
        _secret = Encoding.UTF8.GetBytes(secret);
        _time = time;
        _http = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseProxy = false,
            UseCookies = false,
            PooledConnectionLifetime = TimeSpan.Zero, // each is connected, and looked at, anew
            MaxResponseHeadersLength = 16,
            ConnectCallback = ConnectAsync,
        })
        {
            Timeout = Patience,
        };
    }

    /// <summary>Makes the sender; null where callbacks may go nowhere.</summary>
    /// <param name="hosts">Where callbacks may go.</param>
    /// <param name="secret">The operator's secret.</param>
    /// <param name="secretSetting">What that is called, for the fault.</param>
    /// <param name="time">The clock.</param>
    /// <exception cref="InvalidInputException">There are hosts and no secret, or one that is easily guessed.</exception>
    public static CallbackSender? Create(CallbackHosts hosts, string? secret, string secretSetting, TimeProvider time) => !hosts.Any ? null
        : secret is { Length: >= ShortestSecret } ? new CallbackSender(hosts, secret, time)
        : throw new InvalidInputException(
            FaultKinds.Missing, secretSetting, $"Callbacks are signed with a secret: set {secretSetting} to one of at least {ShortestSecret} characters that their receivers know.");

    /// <summary>Sends it.</summary>
    /// <param name="url">Where to.</param>
    /// <param name="status">How the sweep ended.</param>
    /// <param name="cancellationToken">Ends the call.</param>
    /// <returns>Why it did not arrive, without what the address may hold of secrets; null where it did.</returns>
    internal async Task<string?> SendAsync(string url, SweepStatus status, CancellationToken cancellationToken)
    {
        if (_hosts.FaultOf(url) is string refused)
        {
            return refused; // the operator's list has changed
        }

        byte[] body = JsonSerializer.SerializeToUtf8Bytes(CallbackBody.Of(status), ResultJson.Compact);
        using var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.Add(SignatureHeader, Signature(_time.GetUtcNow(), body, _secret));
        request.Headers.Add(SweepHeader, status.Id);
        request.Headers.UserAgent.Add(new ProductInfoHeaderValue("HeadPatching", Activities.AssembleSweep.Version));
        try
        {
            using HttpResponseMessage response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            return response.IsSuccessStatusCode ? null : $"{request.RequestUri!.IdnHost} answered {(int)response.StatusCode}";
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return e is OperationCanceledException ? $"{request.RequestUri!.IdnHost} did not answer in time" : (e.GetBaseException() as RefusedAddressException ?? e).Message;
        }
    }

    /// <summary>The signature of a body that is sent at a time.</summary>
    internal static string Signature(DateTimeOffset sentAt, ReadOnlySpan<byte> body, ReadOnlySpan<byte> secret)
    {
        string seconds = sentAt.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        byte[] signed = [.. Encoding.ASCII.GetBytes(seconds), (byte)'.', .. body];
        return $"t={seconds},v1={Convert.ToHexStringLower(HMACSHA256.HashData(secret, signed))}";
    }

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    private static async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        Uri url = context.InitialRequestMessage.RequestUri!;
        IPAddress[] addresses = IPAddress.TryParse(context.DnsEndPoint.Host, out IPAddress? literal)
            ? [literal]
            : await Dns.GetHostAddressesAsync(context.DnsEndPoint.Host, cancellationToken);

        // All of them, before the first: which of them answers is not for the name's owner to choose.
        if (addresses.Select(address => CallbackHosts.FaultOf(url, address)).FirstOrDefault(fault => fault is not null) is string fault)
        {
            throw new RefusedAddressException(fault);
        }

        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(addresses, context.DnsEndPoint.Port, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private sealed class RefusedAddressException(string message) : IOException(message);

    /// <summary>What is sent.</summary>
    /// <param name="Event">What has happened; always <c>sweep.ended</c>.</param>
    /// <param name="Id">The sweep.</param>
    /// <param name="Status">How it ended: <c>completed</c>, <c>failed</c> or <c>cancelled</c>.</param>
    /// <param name="Name">Its name, where it has one.</param>
    /// <param name="Model">The model.</param>
    /// <param name="Dataset">The dataset.</param>
    /// <param name="Title">What it did, in a few words.</param>
    /// <param name="CreatedAt">When it was asked for.</param>
    /// <param name="FinishedAt">When it ended.</param>
    /// <param name="Error">Why it failed, in a sentence.</param>
    /// <param name="Self">The path of its status on the server.</param>
    private sealed record CallbackBody(
        string Event,
        string Id,
        SweepState Status,
        string? Name,
        string Model,
        string Dataset,
        string? Title,
        DateTimeOffset CreatedAt,
        DateTimeOffset? FinishedAt,
        string? Error,
        string Self)
    {
        public static CallbackBody Of(SweepStatus status) => new(
            "sweep.ended",
            status.Id,
            status.Status,
            status.Name,
            status.Model,
            status.Dataset,
            status.Title,
            status.CreatedAt,
            status.FinishedAt,
            status.Error?.Message.Split('\n')[0].TrimEnd(),
            $"/api/sweeps/{status.Id}");
    }
}
