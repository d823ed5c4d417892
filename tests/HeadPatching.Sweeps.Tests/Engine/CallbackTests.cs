using System.Net;
using HeadPatching.Core.Faults;
using HeadPatching.Sweeps.Callbacks;

namespace HeadPatching.Sweeps.Tests.Engine;

public class CallbackTests
{
    [Theory]
    [InlineData("8.8.8.8", true)]
    [InlineData("2606:4700:4700::1111", true)]
    [InlineData("0.0.0.0", false)]
    [InlineData("10.1.2.3", false)]
    [InlineData("100.64.0.1", false)]
    [InlineData("127.0.0.2", false)]
    [InlineData("169.254.169.254", false)] // the metadata service of clouds
    [InlineData("172.31.255.255", false)]
    [InlineData("172.32.0.1", true)]
    [InlineData("192.168.1.1", false)]
    [InlineData("224.0.0.1", false)]
    [InlineData("255.255.255.255", false)]
    [InlineData("::1", false)]
    [InlineData("::", false)]
    [InlineData("::ffff:127.0.0.1", false)]
    [InlineData("::ffff:8.8.8.8", true)]
    [InlineData("::127.0.0.1", false)]
    [InlineData("fe80::1", false)]
    [InlineData("fd00::1", false)]
    [InlineData("ff02::1", false)]
    [InlineData("64:ff9b::7f00:1", false)] // 127.0.0.1, translated
    [InlineData("2002:7f00:1::", false)] // 127.0.0.1, tunnelled
    [InlineData("2001:0:a00::", false)]
    public void Only_addresses_that_are_anybodys_are_public(string address, bool isPublic) =>
        Assert.Equal(isPublic, PublicAddresses.Contain(IPAddress.Parse(address)));

    [Theory]
    [InlineData("hooks.example.org", "https://hooks.example.org/a?b=c", true)]
    [InlineData("hooks.example.org", "https://HOOKS.example.org", true)]
    [InlineData("hooks.example.org", "https://hooks.example.org:443/", true)]
    [InlineData("hooks.example.org", "https://hooks.example.org:8443/", false)]
    [InlineData("hooks.example.org", "http://hooks.example.org/", false)]
    [InlineData("hooks.example.org", "https://hooks.example.org./", false)]
    [InlineData("hooks.example.org", "https://hooks.example.org@attacker.example/", false)]
    [InlineData("hooks.example.org", "https://hooks.example.org/#a", false)]
    [InlineData("http://[::1]:9000", "http://[0:0::1]:9000/", true)]
    [InlineData("127.0.0.1:9000", "https://127.1:9000/", true)] // the same address in other words
    public void A_callback_goes_to_the_hosts_that_are_named_by_scheme_host_and_port(string named, string url, bool goes) =>
        Assert.Equal(goes, CallbackHosts.Parse([named], "--callback-hosts").FaultOf(url) is null);

    [Fact]
    public void What_is_no_host_is_named_each()
    {
        var refused = Assert.Throws<InvalidInputException>(() => CallbackHosts.Parse(["*", "good.example", "https://a/b", "ftp://a", "", "a b"], "--callback-hosts"));
        Assert.Equal(5, refused.Faults.Count);
        Assert.All(refused.Faults, fault => Assert.Equal("--callback-hosts", fault.Where));
    }
}
