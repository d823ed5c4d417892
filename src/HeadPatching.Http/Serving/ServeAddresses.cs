using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using HeadPatching.Core.Faults;
using Microsoft.AspNetCore.Http;

namespace HeadPatching.Http.Serving;

/// <summary>What --urls and --allowed-hosts mean.</summary>
internal static class ServeAddresses
{
    private const string AnyHost = "*";
    private static readonly string[] LoopbackHosts = ["localhost", "127.0.0.1", "[::1]"];

    /// <summary>Checks the URLs.</summary>
    /// <param name="urls">Where the server listens.</param>
    /// <param name="named">The hosts that the user allows; <c>*</c> for any.</param>
    /// <returns>
    /// The hosts that requests may name: those of this machine, of the URLs and of the user; where the server listens to other machines, also this
    /// one's name and addresses. Null: any host.
    /// </returns>
    /// <exception cref="InvalidInputException">One is not a URL that can be listened on.</exception>
    public static IReadOnlySet<string>? AllowedHosts(IReadOnlyList<string> urls, IReadOnlyList<string> named)
    {
        Fault[] faults = [.. urls.Where(url => Parse(url) is null).Select(url => new Fault(
            FaultKinds.InvalidOption, "--urls", $"'{url}' is no address to listen on. It has the form http://HOST:PORT, without a path."))];
        if (faults.Length > 0)
        {
            throw new InvalidInputException(faults);
        }

        if (named.Contains(AnyHost))
        {
            return null;
        }

        string[] own = IsWide(urls) ? [.. OwnHosts()] : [];
        return LoopbackHosts.Concat(urls.Select(url => Parse(url)!.Host)).Concat(named).Concat(own).ToHashSet(StringComparer.OrdinalIgnoreCase);
    }

    /// <summary>Checks the origins whose pages may call.</summary>
    /// <exception cref="InvalidInputException">One is no origin as a browser sends it.</exception>
    public static IReadOnlySet<string> Origins(IReadOnlyList<string> named)
    {
        Fault[] faults = [.. named.Where(origin => !IsOrigin(origin)).Select(origin => new Fault(
            FaultKinds.InvalidOption, "--cors-origin", $"'{origin}' is no origin. It has the form https://HOST or https://HOST:PORT, without a path, and * is none."))];
        return faults.Length > 0 ? throw new InvalidInputException(faults) : named.ToHashSet(StringComparer.Ordinal);
    }

    private static bool IsOrigin(string origin) =>
        Uri.TryCreate(origin, UriKind.Absolute, out Uri? uri) && uri.Scheme is "http" or "https" && uri.GetLeftPart(UriPartial.Authority) == origin && uri.UserInfo.Length == 0
        && !origin.Contains('*', StringComparison.Ordinal);

    /// <summary>What to know of where the server listens; null where there is nothing to say.</summary>
    public static string? Warning(IReadOnlyList<string> urls) => IsWide(urls)
        ? "Other machines can reach this server, and there is no login: whoever does may start, read and delete sweeps. Put it behind one, or listen on 127.0.0.1."
        : null;

    private static bool IsWide(IReadOnlyList<string> urls) => urls.Any(url => !IsLoopback(Parse(url)!.Host));

    /// <summary>This machine's names and addresses. A page of another site may point a name of its own here, never one of these.</summary>
    private static List<string> OwnHosts()
    {
        var hosts = new List<string> { Environment.MachineName, Dns.GetHostName() };
        try
        {
            hosts.AddRange(NetworkInterface.GetAllNetworkInterfaces()
                .SelectMany(adapter => adapter.GetIPProperties().UnicastAddresses)
                .Select(unicast => unicast.Address.AddressFamily == AddressFamily.InterNetworkV6 ? $"[{unicast.Address.ToString().Split('%')[0]}]" : unicast.Address.ToString()));
        }
        catch (NetworkInformationException)
        {
            // A machine that does not say: --allowed-hosts can.
        }

        return hosts;
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
