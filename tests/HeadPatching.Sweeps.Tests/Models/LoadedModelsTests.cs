using HeadPatching.Core.Models;
using HeadPatching.Sweeps.Models;
using HeadPatching.Testing;
using TorchSharp;

namespace HeadPatching.Sweeps.Tests.Models;

public sealed class LoadedModelsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>In every build, and so in every test that runs a sweep: what is found here is found nowhere else before the process dies of it.</summary>
    [Fact]
    public async Task Work_that_makes_a_tensor_outside_every_scope_gives_no_result()
    {
        RandomModelFolder.Write(_folder["small"], layers: 1, heads: 1, width: 8, vocabulary: 10, context: 8, seed: 0);
        var source = new ModelSource(_folder["small"], ModelFingerprint.Compute(_folder["small"]), "float32", "cpu");
        using var models = new LoadedModels(new ModelCatalog(_folder.Path, foldersToo: true), threads: 1);
        using LoadedModels.Lease lease = await models.LendAsync(source, TestContext.Current.CancellationToken);

        Assert.Throws<InvalidOperationException>(() => lease.Use(_ =>
        {
            using torch.Tensor outside = torch.ones(1);
            return outside.item<float>();
        }));
        Assert.Equal(1f, lease.Use(_ =>
        {
            using DisposeScope scope = torch.NewDisposeScope();
            return torch.ones(1).item<float>();
        }));
    }
}
