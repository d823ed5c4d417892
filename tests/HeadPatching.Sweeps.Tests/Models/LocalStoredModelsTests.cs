using HeadPatching.Sweeps.Storage;
using HeadPatching.Testing;

namespace HeadPatching.Sweeps.Tests.Models;

public sealed class LocalStoredModelsTests : StoredModelsTests
{
    protected override Task<IArtifactStore> OpenEmptyAsync() => Task.FromResult<IArtifactStore>(new LocalArtifactStore(FolderOf("store")));
}
