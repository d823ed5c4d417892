using System.Reflection;
using HeadPatching.Azure;
using HeadPatching.Core.Results;
using HeadPatching.Http;
using HeadPatching.Reports;
using HeadPatching.Sweeps.Engine;

namespace HeadPatching.Cli.Tests;

/// <summary>Which assembly may know which: arrows point one way only, and the cloud's client is known to one.</summary>
public sealed class ArrowsTests
{
    public static TheoryData<Type, string[]> Arrows { get; } = new()
    {
        { typeof(SweepResult), [] },
        { typeof(InProcessEngine), ["Core"] },
        { typeof(ReportFiles), ["Core"] },
        { typeof(ArtifactStores), ["Core", "Sweeps"] },
        { typeof(SweepApi), ["Core", "Reports", "Sweeps"] },
    };

    [Theory]
    [MemberData(nameof(Arrows), DisableDiscoveryEnumeration = true)]
    public void An_assembly_knows_only_those_below_it(Type one, string[] known) =>
        Assert.Empty(References(one).Where(name => name.StartsWith("HeadPatching.", StringComparison.Ordinal)).Except(known.Select(name => $"HeadPatching.{name}")));

    [Fact]
    public void Only_the_store_in_Azure_knows_Azure()
    {
        Assert.Contains("Azure.Storage.Blobs", References(typeof(ArtifactStores)));
        Type[] others = [typeof(SweepResult), typeof(InProcessEngine), typeof(ReportFiles), typeof(SweepApi)];
        Assert.All(others, one => Assert.DoesNotContain(References(one), IsOfAzure));
        Assert.DoesNotContain(References("headpatch"), IsOfAzure);

        static bool IsOfAzure(string name) => name.StartsWith("Azure.", StringComparison.Ordinal);
    }

    private static string[] References(Type one) => [.. one.Assembly.GetReferencedAssemblies().Select(reference => reference.Name!)];

    private static string[] References(string assembly) => [.. Assembly.Load(assembly).GetReferencedAssemblies().Select(reference => reference.Name!)];
}
