using HeadPatching.Sweeps.Storage;
using HeadPatching.Testing;

namespace HeadPatching.Sweeps.Tests.Storage;

public sealed class LocalLargeArtifactTests : LargeArtifactTests, IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("headpatching-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    protected override Task<IArtifactStore> OpenEmptyAsync() => Task.FromResult<IArtifactStore>(new LocalArtifactStore(_folder));
}
