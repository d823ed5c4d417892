using System.Net;
using HeadPatching.Core.Faults;

namespace HeadPatching.Sweeps.Callbacks;

/// <summary>
/// The hosts that callbacks may go to: those that the operator names, and no others. A name stands for public addresses alone, whatever its DNS says;
/// a private or loopback address is called only where it is itself named.
/// </summary>
public sealed class CallbackHosts
{
    /// <summary>The most characters of a callback's address.</summary>
    public const int LongestUrl = 2000;

    private const string Form = "It has the form HOST, HOST:PORT or http://HOST:PORT, without a path; without a scheme it is https.";

    private readonly HashSet<string> _origins;

    private CallbackHosts(IEnumerable<string> origins)
    {
        _origins = [.. origins];
    }

    /// <summary>None: no callback is taken.</summary>
    public static CallbackHosts None { get; } = new([]);

    /// <summary>Whether there are any.</summary>
    public bool Any => _origins.Count > 0;

    /// <summary>Reads what the operator names.</summary>
    /// <param name="named">The hosts, such as <c>hooks.example.org</c>, <c>hooks.example.org:8443</c> or <c>http://10.0.0.7:9000</c>.</param>
    /// <param name="where">The option or setting, for faults.</param>
    /// <exception cref="InvalidInputException">One cannot be.</exception>
    public static CallbackHosts Parse(IReadOnlyList<string> named, string where)
    {
        Fault[] faults = [.. named.Where(name => Origin(name) is null).Select(name => new Fault(FaultKinds.InvalidOption, where, $"'{name}' is no host. {Form}"))];
        return faults.Length > 0 ? throw new InvalidInputException(faults) : new CallbackHosts(named.Select(name => Origin(name)!));
    }

    /// <summary>Why a callback may not go to an address; null where it may.</summary>
    public string? FaultOf(string url)
    {
        if (!Any)
        {
            return "This server sends no callbacks: its operator names no hosts that they may go to.";
        }

        return url.Length > LongestUrl || !Uri.TryCreate(url, UriKind.Absolute, out Uri? address) || address.Scheme is not ("https" or "http")
                || address.UserInfo.Length > 0 || address.Fragment.Length > 0
            ? $"A callback is an address such as https://hooks.example.org/sweeps, of at most {LongestUrl} characters, without a user or a fragment."
            : _origins.Contains(OriginOf(address)) ? null
            : $"Callbacks may not go to {OriginOf(address)}. The operator's list of hosts says where to.";
    }

    /// <summary>Why an address that a host's name stands for is not called; null where it may be.</summary>
    /// <param name="url">What is called.</param>
    /// <param name="address">One of the addresses that it stands for.</param>
    internal static string? FaultOf(Uri url, IPAddress address) =>
        IPAddress.TryParse(url.IdnHost, out _) || PublicAddresses.Contain(address) ? null : $"{url.IdnHost} stands for {address}, which is no public address";

    private static string? Origin(string name)
    {
        string url = name.Contains("://", StringComparison.Ordinal) ? name : $"https://{name}";
        return Uri.TryCreate(url, UriKind.Absolute, out Uri? address) && address.Scheme is "https" or "http" && address is { PathAndQuery: "/", UserInfo: "", Fragment: "" }
            && !address.Host.Contains('*', StringComparison.Ordinal) && !url.EndsWith('/')
            ? OriginOf(address)
            : null;
    }

    private static string OriginOf(Uri address) => $"{address.Scheme}://{(address.HostNameType == UriHostNameType.IPv6 ? $"[{address.IdnHost}]" : address.IdnHost)}:{address.Port}".ToLowerInvariant();
}

/// <summary>The addresses that are anybody's: no private, loopback, link-local, documentation or translation address, and none that carries another within.</summary>
public static class PublicAddresses
{
    // IANA's special-purpose registries, and multicast.
    private static readonly IPNetwork[] NotPublic =
    [
        .. new[]
        {
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24",
            "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
            "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
        }.Select(IPNetwork.Parse),
    ];

    private static readonly IPNetwork GlobalUnicast = IPNetwork.Parse("2000::/3");

    /// <summary>Whether an address is one of them.</summary>
    public static bool Contain(IPAddress address)
    {
        IPAddress plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        bool routed = plain.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork || GlobalUnicast.Contains(plain);
        return routed && !NotPublic.Any(network => network.Contains(plain));
    }
}
