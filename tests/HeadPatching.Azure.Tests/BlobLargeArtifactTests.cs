using HeadPatching.Sweeps.Storage;
using HeadPatching.Testing;

namespace HeadPatching.Azure.Tests;

public sealed class BlobLargeArtifactTests(AzuriteFixture azurite) : LargeArtifactTests
{
    protected override async Task<IArtifactStore> OpenEmptyAsync() =>
        ArtifactStores.Open((await azurite.ServerAsync()).ConnectionString, container: $"test-{Guid.NewGuid():n}");
}
