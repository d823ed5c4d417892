using System.Diagnostics;
using HeadPatching.Core.Models;
using HeadPatching.Sweeps.Models;
using HeadPatching.Testing;
using TorchSharp;

namespace HeadPatching.Sweeps.Tests.Models;

/// <summary>Models in memory: a load that takes long is in nobody's way.</summary>
public sealed class LoadedModelsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task While_one_model_is_loaded_others_are_lent_and_given_back_and_who_waits_for_it_may_give_up()
    {
        ModelSource quick = WriteModel("quick"), slow = WriteModel("slow");

        // Opening a pipe waits for its other end: a load that takes as long as this test wants.
        string config = _folder["slow/config.json"];
        byte[] written = File.ReadAllBytes(config);
        File.Delete(config);
        using (Process? process = OperatingSystem.IsWindows() ? null : Process.Start("mkfifo", config))
        {
            Assert.SkipWhen(process is null, "There are no named pipes in folders here.");
            await process.WaitForExitAsync(Stop);
            Assert.Equal(0, process.ExitCode);
        }

        using var models = new LoadedModels(new FolderCatalog(_folder), threads: 1);
        LoadedModels.Lease held = await models.LendAsync(quick, Stop);
        using var patience = new CancellationTokenSource();
        Task<LoadedModels.Lease> gaveUp = models.LendAsync(slow, patience.Token), waits = models.LendAsync(slow, Stop);
        held.Dispose();
        (await models.LendAsync(quick, Stop).WaitAsync(TimeSpan.FromSeconds(30), Stop)).Dispose();
        Assert.False(waits.IsCompleted);
        await patience.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => gaveUp.WaitAsync(TimeSpan.FromSeconds(30), Stop));
        Assert.Equal(2, models.Loads);

        // A pipe has no length, so the load fails. The next attempt loads anew.
        await using (new FileStream(config, FileMode.Open, FileAccess.Write))
        {
        }

        await Assert.ThrowsAsync<NotSupportedException>(() => waits.WaitAsync(TimeSpan.FromSeconds(30), Stop));
        File.Delete(config);
        File.WriteAllBytes(config, written);
        (await models.LendAsync(slow, Stop)).Dispose();
        Assert.Equal(3, models.Loads);
    }

    [Fact]
    public async Task Lenders_at_once_share_one_load_and_the_model_idle_longest_goes()
    {
        ModelSource[] sources = [WriteModel("one"), WriteModel("two"), WriteModel("three")];
        using var models = new LoadedModels(new FolderCatalog(_folder), threads: 1, kept: 2);
        LoadedModels.Lease[] leases = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => models.LendAsync(sources[0], Stop)));
        Assert.Equal(1, models.Loads);
        foreach (LoadedModels.Lease lease in leases)
        {
            lease.Dispose();
        }

        (await models.LendAsync(sources[1], Stop)).Dispose();
        (await models.LendAsync(sources[0], Stop)).Dispose();
        Assert.Equal(2, models.Loads);
        (await models.LendAsync(sources[2], Stop)).Dispose(); // "two" goes
        (await models.LendAsync(sources[0], Stop)).Dispose();
        Assert.Equal(3, models.Loads);
        (await models.LendAsync(sources[1], Stop)).Dispose();
        Assert.Equal(4, models.Loads);
    }

    [Fact]
    public async Task Who_waits_for_a_model_goes_on_at_once_though_another_who_waited_computes()
    {
        ModelSource source = WriteModel("small");
        using var models = new LoadedModels(new FolderCatalog(_folder), threads: 1);
        int computing = 0;
        using var both = new ManualResetEventSlim();

        // Each computes, as activities do, without giving its thread back, until both have the model.
        await Task.WhenAll(Task.Run(ComputeAsync, Stop), Task.Run(ComputeAsync, Stop));

        async Task ComputeAsync()
        {
            using LoadedModels.Lease lease = await models.LendAsync(source, Stop);
            if (Interlocked.Increment(ref computing) == 2)
            {
                both.Set();
            }

            Assert.True(both.Wait(TimeSpan.FromSeconds(20), Stop), "The second waits until the first has computed.");
        }
    }

    /// <summary>In every build, and so in every test that runs a sweep: what is found here is found nowhere else before the process dies of it.</summary>
    [Fact]
    public async Task Work_that_makes_a_tensor_outside_every_scope_gives_no_result()
    {
        using var models = new LoadedModels(new FolderCatalog(_folder), threads: 1);
        using LoadedModels.Lease lease = await models.LendAsync(WriteModel("small"), Stop);

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

    public void Dispose() => _folder.Dispose();

    private ModelSource WriteModel(string name)
    {
        RandomModelFolder.Write(_folder[name], layers: 1, heads: 2, width: 16, vocabulary: 20 + name.Length, context: 8, seed: name.Length);
        return new ModelSource(name, ModelFingerprint.Compute(_folder[name]), "float32", "cpu");
    }

    /// <summary>Every folder is a model of its name.</summary>
    private sealed class FolderCatalog(TemporaryFolder root) : IModelCatalog
    {
        private readonly ModelCatalog _folders = new(foldersToo: true);

        public Task<IReadOnlyList<ListedModel>> ListAsync(CancellationToken cancellationToken = default) => _folders.ListAsync(cancellationToken);

        public Task CheckAsync(string name, string where, CancellationToken cancellationToken = default) => _folders.CheckAsync(root[name], where, cancellationToken);

        public Task<LocatedModel> LocateAsync(string name, string where, CancellationToken cancellationToken = default) =>
            _folders.LocateAsync(root[name], where, cancellationToken);
    }
}
