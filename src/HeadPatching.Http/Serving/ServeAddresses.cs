using System.Net;
using HeadPatching.Core.Faults;
using Microsoft.AspNetCore.Http;

namespace HeadPatching.Http.Serving;

/// <summary>What --urls means.</summary>
internal static class ServeAddresses
{
    private static readonly string[] LoopbackHosts = ["localhost", "127.0.0.1", "[::1]"];

    /// <summary>Checks the URLs.</summary>
    /// <returns>
    /// The hosts that requests may name: those of this machine and of the URLs, where all are loopback; null (any host) where the server
    /// listens to other machines, whose names for it are not known here.
    /// </returns>
    /// <exception cref="InvalidInputException">One is not a URL that can be listened on.</exception>
    public static IReadOnlySet<string>? AllowedHosts(IReadOnlyList<string> urls)
    {
        Fault[] faults = [.. urls.Where(url => Parse(url) is null).Select(url => new Fault(
            FaultKinds.InvalidOption, "--urls", $"'{url}' is no address to listen on. It has the form http://HOST:PORT, without a path."))];
        if (faults.Length > 0)
        {
            throw new InvalidInputException(faults);
        }

        string[] hosts = [.. urls.Select(url => Parse(url)!.Host)];
        return hosts.All(IsLoopback) ? LoopbackHosts.Concat(hosts).ToHashSet(StringComparer.OrdinalIgnoreCase) : null;
    }

    private static BindingAddress? Parse(string url)
    {
        try
        {
            BindingAddress address = BindingAddress.Parse(url);
            bool plain = address.Scheme == Uri.UriSchemeHttp && address.PathBase.Length == 0 && address is { IsUnixPipe: false, IsNamedPipe: false };
            return plain && address.Port is >= 0 and <= IPEndPoint.MaxPort ? address : null;
        }
        catch (Exception e) when (e is FormatException or InvalidOperationException)
        {
            return null;
        }
    }

    private static bool IsLoopback(string host) => host == "localhost" || (IPAddress.TryParse(host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));
}
