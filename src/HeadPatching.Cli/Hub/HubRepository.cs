using System.Net;
using System.Net.Http.Headers;
using System.Text.RegularExpressions;
using HeadPatching.Core.Faults;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Cli.Hub;

/// <summary>
/// A repository of models on a Hugging Face hub, over HTTP: <c>{hub}/{id}/resolve/{revision}/{file}</c>. Redirects are followed here and not
/// by the HTTP client, since the token is for the hub's own host and for no other.
/// </summary>
internal sealed partial class HubRepository : IDisposable
{
    private const int MostRedirects = 10;
    private const int MostAttempts = 6;

    /// <summary>What a request of several at once brings: each is sent on by the hub, which counts them.</summary>
    private const int PieceBytes = 16 << 20;

    private static readonly TimeSpan LongestSilence = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(5);

    private readonly HttpClient _http;
    private readonly Uri _hub;
    private readonly string _id;
    private readonly string _revision;
    private readonly string? _token;
    private bool _sendsPieces = true;

    /// <summary>Names the repository; nothing is asked of it yet.</summary>
    /// <param name="hub">The hub's address.</param>
    /// <param name="id">The repository: <c>gpt2</c>, <c>openai-community/gpt2</c>.</param>
    /// <param name="revision">A branch, tag or commit.</param>
    /// <param name="token">The user's token, or null.</param>
    /// <exception cref="InvalidInputException">The address or the id cannot be.</exception>
    public HubRepository(string hub, string id, string revision, string? token)
    {
        if (!Uri.TryCreate(hub.TrimEnd('/') + "/", UriKind.Absolute, out Uri? address) || address.UserInfo.Length > 0 || !IsSafe(address, loopbackToo: true))
        {
            throw new InvalidInputException(FaultKinds.InvalidOption, "--hub", $"'{hub}' is not the address of a hub: https://HOST. Plain http:// is for this machine's own loopback address only.");
        }

        if (!RepositoryId().IsMatch(id))
        {
            throw new InvalidInputException(FaultKinds.InvalidOption, "HUB_ID", $"'{id}' is not the id of a repository, such as gpt2 or openai-community/gpt2.");
        }

        if (string.IsNullOrWhiteSpace(revision) || revision.Contains("..", StringComparison.Ordinal))
        {
            throw new InvalidInputException(FaultKinds.InvalidOption, "--revision", $"'{revision}' is not a branch, tag or commit.");
        }

        (_hub, _id, _revision, _token) = (address, id, revision, string.IsNullOrWhiteSpace(token) ? null : token.Trim());
        _http = new HttpClient(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            AutomaticDecompression = DecompressionMethods.None,
            ConnectTimeout = TimeSpan.FromSeconds(20),
            UseProxy = !address.IsLoopback,
            UseCookies = false,
        })
        {
            Timeout = Timeout.InfiniteTimeSpan, // silence is what ends a request, not length
        };
        _http.DefaultRequestHeaders.UserAgent.ParseAdd("headpatch");
    }

    /// <summary>What the hub says of a file; null where the repository has none of this name.</summary>
    /// <exception cref="InvalidInputException">There is no such repository or revision, or this user may not read it.</exception>
    public async Task<HubFile?> FindAsync(string name, CancellationToken cancellationToken)
    {
        // Not along a redirect to another host: what stands there is signed for downloading alone, and the hub has said all it knows.
        using HttpResponseMessage answer = await SendAsync(name, HttpMethod.Head, from: 0, leaveHub: false, cancellationToken);
        if (answer.StatusCode == HttpStatusCode.NotFound && Header(answer, "X-Error-Code") is null or "EntryNotFound")
        {
            return null;
        }

        CheckStatus(answer, name);
        string? length = Header(answer, "X-Linked-Size") ?? (answer.IsSuccessStatusCode ? answer.Content.Headers.ContentLength?.ToString(null, null) : null);
        string? etag = (Header(answer, "X-Linked-ETag") ?? (answer.IsSuccessStatusCode ? Header(answer, "ETag") : null))?.Trim('"').ToLowerInvariant();
        return new HubFile(
            name,
            long.TryParse(length, out long bytes) && bytes >= 0 ? bytes : null,
            etag is not null && Sha256().IsMatch(etag) ? etag : null);
    }

    /// <summary>
    /// Downloads a file to a path, going on where an earlier download of the very same content stopped, and over dropped connections.
    /// </summary>
    /// <param name="file">The file.</param>
    /// <param name="path">Where to; what is there is a part of it.</param>
    /// <param name="reach">Told how many bytes are there.</param>
    /// <param name="cancellationToken">Stops it; what is there stays for the next time.</param>
    /// <exception cref="InvalidInputException">What comes is not what the hub announced.</exception>
    /// <exception cref="IOException">The connection fails again and again.</exception>
    public async Task DownloadAsync(HubFile file, string path, Action<long> reach, CancellationToken cancellationToken)
    {
        if (file.Sha256 is null)
        {
            File.Delete(path); // nothing would tell a part of another revision's file
        }

        bool fromStart = !File.Exists(path);
        for (int attempt = 1; ; attempt++)
        {
            long before = LengthOf(path);
            try
            {
                if (file.Length is null || before < file.Length || fromStart)
                {
                    // Of a file that is not known by its hash nothing would tell whether all pieces are of the same.
                    await (_sendsPieces && file is { Sha256: not null, Length: long all } && all - before > PieceBytes
                        ? AppendPiecesAsync(file, all, path, before, reach, cancellationToken)
                        : AppendAsync(file, path, before, reach, cancellationToken));
                }
            }
            catch (Exception e) when (e is IOException or HttpRequestException && !cancellationToken.IsCancellationRequested)
            {
                // As long as it gets on, it goes on.
                attempt = LengthOf(path) > before ? 1 : attempt;
                if (attempt >= MostAttempts)
                {
                    throw new IOException($"{file.Name}: the connection failed {MostAttempts} times in a row ({e.Message}). The same command again goes on.", e);
                }

                await Task.Delay(TimeSpan.FromSeconds(0.2 * (1 << attempt)), cancellationToken);
                continue;
            }

            string? wrong = file.Length is not null && LengthOf(path) != file.Length ? $"has {LengthOf(path)} bytes where the hub announced {file.Length}"
                : file.Length is null && LengthOf(path) > HubFile.LongestText ? $"has more than {HubFile.LongestText} bytes, and the hub did not say how many"
                : file.Sha256 is not null && await FileHash.Sha256Async(path, cancellationToken) != file.Sha256 ? $"has another SHA-256 than the hub announced ({file.Sha256})"
                : null;
            if (wrong is null)
            {
                return;
            }

            File.Delete(path);
            if (fromStart)
            {
                throw new InvalidInputException(FaultKinds.Malformed, file.Name, $"What was downloaded {wrong}; it was thrown away. Try again later, or another --revision.");
            }

            fromStart = true; // the part may have been of another file
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    /// <summary>Downloads the rest of a file by several requests at once, in order: what is there is always its beginning.</summary>
    private async Task AppendPiecesAsync(HubFile file, long end, string path, long from, Action<long> reach, CancellationToken cancellationToken)
    {
        await using var local = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.None, bufferSize: 0, useAsync: true);
        long length = from;
        await PiecesInOrder.CopyAsync(from, end, PieceBytes, (at, into, stop) => FetchAsync(file.Name, at, into, stop), AppendAsync, cancellationToken);
        local.Flush(flushToDisk: true);

        async Task AppendAsync(ReadOnlyMemory<byte> piece, CancellationToken stop)
        {
            await local.WriteAsync(piece, stop);
            length += piece.Length;
            reach(length);
        }
    }

    /// <summary>One piece; over dropped connections as long as each brings some of it.</summary>
    private async Task FetchAsync(string name, long at, Memory<byte> into, CancellationToken cancellationToken)
    {
        int done = 0;
        while (done < into.Length)
        {
            int before = done;
            using var silence = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            try
            {
                using HttpResponseMessage answer = await SendAsync(name, HttpMethod.Get, at + done, leaveHub: true, cancellationToken, to: at + into.Length - 1);
                CheckStatus(answer, name);
                if (answer.StatusCode != HttpStatusCode.PartialContent || answer.Content.Headers.ContentRange?.From != at + done)
                {
                    _sendsPieces = false;
                    throw new IOException("the server sent another range than was asked for");
                }

                await using Stream content = await answer.Content.ReadAsStreamAsync(cancellationToken);
                int read;
                do
                {
                    silence.CancelAfter(LongestSilence);
                    read = await content.ReadAsync(into[done..], silence.Token);
                    done += read;
                }
                while (read > 0 && done < into.Length);
                if (done == before)
                {
                    throw new IOException("the server sent nothing of a range");
                }
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                throw new IOException($"nothing came for {LongestSilence.TotalSeconds} seconds");
            }
            catch (Exception e) when (e is IOException or HttpRequestException && done > before)
            {
                // The rest is asked for anew.
            }
        }
    }

    private async Task AppendAsync(HubFile file, string path, long from, Action<long> reach, CancellationToken cancellationToken)
    {
        using var silence = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        try
        {
            using HttpResponseMessage answer = await SendAsync(file.Name, HttpMethod.Get, from, leaveHub: true, cancellationToken);
            CheckStatus(answer, file.Name);
            bool goesOn = answer.StatusCode == HttpStatusCode.PartialContent && answer.Content.Headers.ContentRange?.From == from;
            if (answer.StatusCode == HttpStatusCode.PartialContent && !goesOn)
            {
                File.Delete(path);
                throw new IOException("the server sent another range than was asked for");
            }

            await using var local = new FileStream(path, goesOn ? FileMode.Append : FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0, useAsync: true);
            await using Stream content = await answer.Content.ReadAsStreamAsync(cancellationToken);
            byte[] buffer = new byte[1 << 17];
            long length = goesOn ? from : 0;
            while (length <= (file.Length ?? HubFile.LongestText))
            {
                silence.CancelAfter(LongestSilence);
                int read = await content.ReadAsync(buffer, silence.Token);
                if (read == 0)
                {
                    break;
                }

                await local.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
                length += read;
                reach(length);
            }

            local.Flush(flushToDisk: true);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new IOException($"nothing came for {LongestSilence.TotalSeconds} seconds");
        }
    }

    /// <summary>Sends a request, along redirects, and again where the hub is busy.</summary>
    private async Task<HttpResponseMessage> SendAsync(string name, HttpMethod method, long from, bool leaveHub, CancellationToken cancellationToken, long? to = null)
    {
        for (int attempt = 1; ; attempt++)
        {
            HttpResponseMessage answer = await FollowAsync(name, method, from, to, leaveHub, cancellationToken);
            if (answer.StatusCode != HttpStatusCode.TooManyRequests && (int)answer.StatusCode < 500)
            {
                return answer;
            }

            using (answer)
            {
                TimeSpan wait = answer.Headers.RetryAfter?.Delta ?? TimeSpan.FromSeconds(0.5 * (1 << attempt));
                if (attempt == MostAttempts || wait > LongestWait)
                {
                    throw new IOException($"{name}: the hub is busy ({(int)answer.StatusCode}) and asks to wait {wait.TotalSeconds:F0} seconds. The same command again, later, goes on.");
                }

                await Task.Delay(wait, cancellationToken);
            }
        }
    }

    private async Task<HttpResponseMessage> FollowAsync(string name, HttpMethod method, long from, long? to, bool leaveHub, CancellationToken cancellationToken)
    {
        var address = new Uri(_hub, $"{_id}/resolve/{Uri.EscapeDataString(_revision)}/{Uri.EscapeDataString(name)}");
        for (int redirects = 0; redirects <= MostRedirects; redirects++)
        {
            using var request = new HttpRequestMessage(method, address);
            request.Headers.AcceptEncoding.ParseAdd("identity"); // lengths and hashes are of the file itself
            if (_token is not null && IsHub(address))
            {
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _token);
            }

            if (from > 0 || to is not null)
            {
                request.Headers.Range = new RangeHeaderValue(from, to);
            }

            HttpResponseMessage answer = await SendOnceAsync(request, cancellationToken);
            if ((int)answer.StatusCode is not (301 or 302 or 303 or 307 or 308) || answer.Headers.Location is null)
            {
                return answer;
            }

            var next = new Uri(address, answer.Headers.Location);
            if (!leaveHub && (!IsHub(next) || Header(answer, "X-Linked-Size") is not null))
            {
                return answer;
            }

            answer.Dispose();
            if (!IsSafe(next, loopbackToo: _hub.Scheme == Uri.UriSchemeHttp))
            {
                throw new InvalidInputException(FaultKinds.InvalidOption, "--hub", $"The hub sends {name} on to {next.GetLeftPart(UriPartial.Authority)}, which is not https. Nothing was fetched from there.");
            }

            address = next;
        }

        throw new InvalidInputException(FaultKinds.InvalidOption, "--hub", $"The hub sends {name} from address to address, more than {MostRedirects} times. Is it a hub?");
    }

    private async Task<HttpResponseMessage> SendOnceAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        using var silence = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        silence.CancelAfter(LongestSilence);
        try
        {
            return await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, silence.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new IOException($"{request.RequestUri!.Host} did not answer within {LongestSilence.TotalSeconds} seconds");
        }
    }

    private void CheckStatus(HttpResponseMessage answer, string name)
    {
        int status = (int)answer.StatusCode;
        if (status < 400)
        {
            return;
        }

        string? code = Header(answer, "X-Error-Code");
        string revision = $"{_id} has no revision '{_revision}'.";
        string message = (status, code) switch
        {
            (_, "RevisionNotFound") => revision,
            (401 or 403, "GatedRepo") => $"{_id} is gated: accept its terms on {_hub.Host}, then set HF_TOKEN to a token of that account.",
            (401 or 403, _) when _token is null => $"{_id} is not there, or only for those who may: set HF_TOKEN to a token of an account that may read it.",
            (401 or 403, _) => $"{_id} is not there, or the account of HF_TOKEN may not read it.",
            (404, "RepoNotFound") => $"There is no repository {_id} on {_hub.Host}.",
            (404, _) => $"{_id} has no {name} (or is not there at all).",
            (416, _) => $"The hub has no more of {name}; delete its .part file and try again.",
            _ => $"The hub answers {status} for {name} of {_id}.",
        };
        throw new InvalidInputException(FaultKinds.NotFound, code == "RevisionNotFound" ? "--revision" : "HUB_ID", message);
    }

    private bool IsHub(Uri address) => address.Scheme == _hub.Scheme && address.Authority == _hub.Authority;

    private static bool IsSafe(Uri address, bool loopbackToo) =>
        address.Scheme == Uri.UriSchemeHttps || (loopbackToo && address.Scheme == Uri.UriSchemeHttp && address.IsLoopback);

    private static long LengthOf(string path) => File.Exists(path) ? new FileInfo(path).Length : 0;

    private static string? Header(HttpResponseMessage answer, string name) =>
        answer.Headers.TryGetValues(name, out IEnumerable<string>? values) ? values.First() : null;

    [GeneratedRegex(@"\A[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?\z")]
    private static partial Regex RepositoryId();

    [GeneratedRegex(@"\A[0-9a-f]{64}\z")]
    private static partial Regex Sha256();
}
