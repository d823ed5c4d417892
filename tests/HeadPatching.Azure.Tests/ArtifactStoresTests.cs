using HeadPatching.Core.Faults;

namespace HeadPatching.Azure.Tests;

public class ArtifactStoresTests
{
    private const string Secret = "c2VjcmV0c2VjcmV0";

    [Theory]
    [InlineData("UseDevelopmentStorage=true", "http://127.0.0.1:10000/devstoreaccount1/headpatching")]
    [InlineData($"DefaultEndpointsProtocol=https;AccountName=acme;AccountKey={Secret}", "https://acme.blob.core.windows.net/headpatching")]
    [InlineData(
        $"BlobEndpoint=https://acme.blob.core.windows.net;SharedAccessSignature=sv=1&sig={Secret}",
        "https://acme.blob.core.windows.net/headpatching")]
    [InlineData("https://acme.blob.core.windows.net", "https://acme.blob.core.windows.net/headpatching")]
    [InlineData("https://acme.blob.core.windows.net/mine", "https://acme.blob.core.windows.net/mine")]
    [InlineData(
        $"https://acme.blob.core.windows.net/mine?sv=2024-08-04&sp=racwdl&sig={Secret}", "https://acme.blob.core.windows.net/mine")]
    public void A_connection_string_or_URL_opens_the_container_it_means_and_shows_no_secret(string location, string container)
    {
        var store = ArtifactStores.Open(location);
        Assert.IsType<BlobArtifactStore>(store);
        Assert.Equal(container, store.ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData($"AccountKey={Secret}")]
    [InlineData($"AccountName=acme;AccountKey=not base64 {Secret}")]
    [InlineData($"AccountName=acme;AccountKey={Secret};nonsense {Secret}")]
    [InlineData($"DefaultEndpointsProtocol=https;accountkey={Secret}")]
    [InlineData($"SharedAccessSignature=sv=1&sig={Secret}")]
    [InlineData("UseDevelopmentStorage")]
    [InlineData($"http://acme.blob.core.windows.net/mine?sig={Secret}")]
    [InlineData($"https://me:{Secret}@acme.blob.core.windows.net/mine")]
    [InlineData($"https://acme.blob.core.windows.net/mine/and/more?sig={Secret}")]
    [InlineData("s3://bucket")]
    [InlineData("https://")]
    public void An_unusable_location_is_a_fault_that_repeats_no_secret(string location)
    {
        var exception = Assert.Throws<InvalidInputException>(() => ArtifactStores.Open(location, "--store"));
        var fault = Assert.Single(exception.Faults);
        Assert.Equal((FaultKinds.InvalidOption, "--store"), (fault.Kind, fault.Where));
        Assert.DoesNotContain(Secret, exception.ToString(), StringComparison.Ordinal);
    }
}
