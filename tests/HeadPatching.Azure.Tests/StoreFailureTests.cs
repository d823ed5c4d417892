using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using Azure.Core;
using Azure.Core.Pipeline;
using Azure.Identity;
using Azure.Storage.Blobs;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Azure.Tests;

/// <summary>What leaves the store when the service fails it: one exception, the store's own, that says whether to ask again.</summary>
public sealed class StoreFailureTests
{
    private const string Name = "runs/ab/one";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public static TheoryData<string, Func<IArtifactStore, Task>> Members { get; } = new()
    {
        { "exists", store => store.ExistsAsync(Name, Stop) },
        { "open", store => store.OpenReadAsync(Name, Stop) },
        { "write", store => store.WriteIfAbsentAsync(Name, Write, Stop) },
        { "derive", store => store.WriteDerivedAsync(Name, Write, Stop) },
        { "read", store => store.ReadTextAsync(Name, Stop) },
        { "replace", store => store.ReplaceTextAsync(Name, "x", Stop) },
        { "compare", store => store.TryReplaceTextAsync(Name, "x", "\"1\"", Stop) },
        { "list", store => store.ListAsync(Name, Stop).CountAsync(Stop).AsTask() },
        { "folders", store => store.ListFoldersAsync(Name, Stop).CountAsync(Stop).AsTask() },
        { "delete", store => store.DeleteAsync(Name, Stop) },
        { "deletePrefix", store => store.DeletePrefixAsync(Name, Stop) },
    };

    [Theory]
    [MemberData(nameof(Members), DisableDiscoveryEnumeration = true)]
    public async Task Every_member_throws_the_stores_own_exception(string member, Func<IArtifactStore, Task> call)
    {
        var failure = await Assert.ThrowsAsync<StoreUnavailableException>(() => call(Store((_, _) => Task.FromResult(Answer(503, "ServerBusy")))));
        Assert.True(failure.MayPass, member);
        Assert.Equal(("https://acme.blob.core.windows.net/headpatching", Name), (failure.Store, failure.Artifact?.TrimEnd('/')));
        Assert.Equal($"The store {failure.Store} failed at {failure.Artifact}: the service answered 503 ServerBusy.", failure.Message);
    }

    [Theory]
    [InlineData(403, "AuthorizationFailure", false)]
    [InlineData(400, "InvalidHeaderValue", false)]
    [InlineData(408, "OperationTimedOut", true)]
    [InlineData(409, "ContainerBeingDeleted", true)]
    [InlineData(412, "LeaseIdMissing", true)]
    [InlineData(429, "TooManyRequests", true)]
    [InlineData(500, "InternalError", true)]
    [InlineData(503, "ServerBusy", true)]
    public async Task What_the_service_answered_says_whether_it_may_pass(int status, string code, bool mayPass)
    {
        BlobArtifactStore store = Store((_, _) => Task.FromResult(Answer(status, code)));
        var failure = await Assert.ThrowsAsync<StoreUnavailableException>(() => store.DeleteAsync(Name, Stop));
        Assert.Equal(mayPass, failure.MayPass);
        Assert.Contains($"{status} {code}", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)] // the SDK then throws one exception for all its tries
    public async Task A_network_that_is_away_may_come_back(int retries)
    {
        int requests = 0;
        BlobArtifactStore store = Store((_, _) => { requests++; throw new HttpRequestException("No route to host."); }, retries);
        var failure = await Assert.ThrowsAsync<StoreUnavailableException>(() => store.ExistsAsync(Name, Stop));
        Assert.Equal((retries + 1, true), (requests, failure.MayPass));
        Assert.Contains("cannot be reached: No route to host.", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task A_service_that_never_answers_is_no_cancellation_of_the_callers(int retries)
    {
        BlobArtifactStore store = Store(async (_, stop) => { await Task.Delay(Timeout.Infinite, stop); throw new InvalidOperationException(); }, retries, patience: TimeSpan.FromMilliseconds(50));
        Assert.True((await Assert.ThrowsAsync<StoreUnavailableException>(() => store.ExistsAsync(Name, Stop))).MayPass);
    }

    [Fact]
    public async Task The_callers_own_cancellation_is_one()
    {
        using var cancel = new CancellationTokenSource();
        BlobArtifactStore store = Store(async (_, stop) => { await cancel.CancelAsync(); await Task.Delay(Timeout.Infinite, stop); throw new InvalidOperationException(); }, retries: 2);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => store.ExistsAsync(Name, cancel.Token));
    }

    [Fact]
    public async Task A_machine_without_an_identity_will_not_have_one_later_and_an_identity_service_that_fails_may()
    {
        Assert.False((await AskedAs(new CredentialUnavailableException("No identity."))).MayPass);
        Assert.True((await AskedAs(new AuthenticationFailedException("The identity service does not answer."))).MayPass);

        static Task<StoreUnavailableException> AskedAs(AuthenticationFailedException failure) => Assert.ThrowsAsync<StoreUnavailableException>(() =>
            new BlobArtifactStore(new BlobContainerClient(new Uri("https://acme.blob.core.windows.net/headpatching"), new NoCredential(failure), Options((_, _) => Task.FromResult(Answer(404, "BlobNotFound")), 0, null)))
                .ExistsAsync(Name, Stop));
    }

    [Fact]
    public async Task A_stream_that_was_opened_well_fails_in_the_stores_way_too()
    {
        bool away = false;
        BlobArtifactStore store = Store((request, _) => Task.FromResult(away ? Answer(503, "ServerBusy") : Part(request, 20_000_000)));
        await using Stream stream = (await store.OpenReadAsync(Name, Stop))!;
        byte[] buffer = new byte[10];
        await stream.ReadExactlyAsync(buffer, Stop);
        away = true;
        stream.Position = 15_000_000;
        var failure = await Assert.ThrowsAsync<StoreUnavailableException>(() => stream.ReadExactlyAsync(buffer, Stop).AsTask());
        Assert.Equal((Name, true), (failure.Artifact, failure.MayPass));
        Assert.Throws<StoreUnavailableException>(() => stream.ReadExactly(buffer));
    }

    [Fact]
    public async Task What_a_writer_throws_leaves_as_it_is()
    {
        BlobArtifactStore store = Store((request, _) => Task.FromResult(request.Method == HttpMethod.Put ? Answer(409, "ContainerAlreadyExists") : Answer(404, "BlobNotFound")));
        var own = new IOException("The tensor is gone.");
        Assert.Same(own, await Assert.ThrowsAsync<IOException>(() => store.WriteIfAbsentAsync(Name, (_, _) => throw own, Stop)));
        Assert.Same(own, await Assert.ThrowsAsync<IOException>(() => store.WriteDerivedAsync(Name, (_, _) => throw own, Stop)));
    }

    private static Task Write(Stream stream, CancellationToken stop) => stream.WriteAsync(new byte[10], stop).AsTask();

    private static BlobArtifactStore Store(Func<HttpRequestMessage, CancellationToken, Task<HttpResponseMessage>> service, int retries = 0, TimeSpan? patience = null) =>
        new(new BlobContainerClient(new Uri("https://acme.blob.core.windows.net/headpatching?sig=secret"), Options(service, retries, patience)));

    private static BlobClientOptions Options(Func<HttpRequestMessage, CancellationToken, Task<HttpResponseMessage>> service, int retries, TimeSpan? patience)
    {
        BlobClientOptions options = BlobArtifactStore.ClientOptions();
        options.Transport = new HttpClientTransport(new HttpClient(new Service(service)));
        options.Retry.MaxRetries = retries;
        options.Retry.Delay = options.Retry.MaxDelay = TimeSpan.FromMilliseconds(1);
        options.Retry.NetworkTimeout = patience ?? options.Retry.NetworkTimeout;
        return options;
    }

    private static HttpResponseMessage Answer(int status, string code)
    {
        var answer = new HttpResponseMessage((HttpStatusCode)status) { Content = new ByteArrayContent([]) };
        answer.Headers.Add("x-ms-error-code", code);
        return answer;
    }

    /// <summary>The part that was asked for of a blob of zeros.</summary>
    private static HttpResponseMessage Part(HttpRequestMessage request, long length)
    {
        var answer = new HttpResponseMessage(HttpStatusCode.PartialContent);
        if (request.Method == HttpMethod.Head)
        {
            answer.StatusCode = HttpStatusCode.OK;
            answer.Content = new ByteArrayContent([]);
            answer.Content.Headers.ContentLength = length;
        }
        else
        {
            string[] range = request.Headers.GetValues("x-ms-range").Single()["bytes=".Length..].Split('-');
            long from = long.Parse(range[0], CultureInfo.InvariantCulture), to = Math.Min(long.Parse(range[1], CultureInfo.InvariantCulture), length - 1);
            answer.Content = new ByteArrayContent(new byte[to - from + 1]);
            answer.Content.Headers.ContentRange = new ContentRangeHeaderValue(from, to, length);
        }

        answer.Headers.ETag = new EntityTagHeaderValue("\"1\"");
        answer.Content.Headers.LastModified = DateTimeOffset.UnixEpoch;
        answer.Headers.Add("x-ms-blob-type", "BlockBlob");
        return answer;
    }

    private sealed class Service(Func<HttpRequestMessage, CancellationToken, Task<HttpResponseMessage>> answer) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) => answer(request, cancellationToken);

        protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken) =>
            SendAsync(request, cancellationToken).GetAwaiter().GetResult();
    }

    private sealed class NoCredential(AuthenticationFailedException failure) : TokenCredential
    {
        public override AccessToken GetToken(TokenRequestContext requestContext, CancellationToken cancellationToken) => throw failure;

        public override ValueTask<AccessToken> GetTokenAsync(TokenRequestContext requestContext, CancellationToken cancellationToken) => throw failure;
    }
}
