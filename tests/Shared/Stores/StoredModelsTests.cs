using System.Text.Json.Nodes;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Models.Safetensors;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Activities;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using static TorchSharp.torch;

namespace HeadPatching.Testing;

/// <summary>Models in a store, pushed from one machine and swept on others. Each store derives from this and says how to open it.</summary>
public abstract class StoredModelsTests : IAsyncLifetime, IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private WatchedStore _store = null!;
    private int _reads;

    /// <summary>Ends the calls of a test that is stopped.</summary>
    protected static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _store = new WatchedStore(await OpenEmptyAsync());
        WriteModel("one", seed: 1);
        WriteModel("two", seed: 2);
        WriteModel("three", seed: 3);
    }

    public ValueTask DisposeAsync()
    {
        Dispose();
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    public void Dispose()
    {
        _folder.Dispose();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task A_sweep_of_a_pushed_model_runs_on_workers_without_its_folder_and_gives_the_same()
    {
        await PushAsync("one", "small");
        var request = new SweepRequest { Model = "small", Pairs = [new PromptPair(Prompt.Of([1, 2, 3, 4]), Prompt.Of([1, 5, 3, 4]), Answer.Of(6), Answer.Of(7))] };
        await _store.WriteJsonIfAbsentAsync(SweepArtifacts.Request("pushed"), new StoredRequest("pushed", DateTimeOffset.UnixEpoch, request), Stop);

        // Each activity on another worker; only the store is common to them.
        using (var models = new LoadedModels(Catalog("planner"), threads: 1))
        {
            await Activities("planner", models).RunAsync(ActivityNames.PlanSweep, new ActivityInput("pushed"), cancellationToken: Stop);
            Assert.Equal(0, models.Loads);
        }

        using (var models = new LoadedModels(Catalog("patcher"), threads: 1))
        {
            await Activities("patcher", models).RunAsync(ActivityNames.PatchHeads, new ActivityInput("pushed"), cancellationToken: Stop);
            Assert.Equal(1, models.Loads);
        }

        using (var models = new LoadedModels(Catalog("assembler"), threads: 1))
        {
            await Activities("assembler", models).RunAsync(ActivityNames.AssembleSweep, new ActivityInput("pushed"), cancellationToken: Stop);
            Assert.Equal(0, models.Loads);
        }

        SweepResult pushed = (await _store.ReadJsonAsync<SweepResult>("sweeps/pushed/results.json", Stop))!;

        await using var engine = new InProcessEngine(
            new LocalArtifactStore(_folder["other-store"]), new ModelCatalog(_folder["."], foldersToo: true), reports: []);
        await engine.RunAsync("local", request with { Model = _folder["one"] }, Stop);
        SweepResult local = (await engine.Store.ReadJsonAsync<SweepResult>("sweeps/local/results.json", Stop))!;
        Assert.Equal(local.Model.Fingerprint, pushed.Model.Fingerprint);
        Assert.Equal("small", pushed.Model.Name);
        foreach (var (expected, actual) in local.Heads.Zip(pushed.Heads))
        {
            Assert.Equal(expected.PatchingEffect, actual.PatchingEffect, 1e-4);
        }
    }

    [Fact]
    public async Task A_half_upload_is_no_model_and_the_same_push_again_goes_on()
    {
        ModelUpload upload = await ModelUpload.PrepareAsync(_folder["one"], "small", DateTimeOffset.UnixEpoch, Stop);
        _store.Before = name =>
        {
            if (name.EndsWith("model.safetensors", StringComparison.Ordinal))
            {
                throw new IOException("The network is gone.");
            }
        };
        await Assert.ThrowsAsync<IOException>(() => upload.RunAsync(_store, replace: false, cancellationToken: Stop));
        Assert.DoesNotContain("small", await NamesAsync());
        InvalidInputException unknown = await Assert.ThrowsAsync<InvalidInputException>(() => Catalog("a").CheckAsync("small", "model", Stop));
        Assert.Equal((FaultKinds.UnknownModel, "model"), (unknown.Faults[0].Kind, unknown.Faults[0].Where));

        _store.Before = _ => { };
        int before = _store.Written.Count;
        Assert.True(await upload.RunAsync(_store, replace: false, cancellationToken: Stop));
        Assert.Equal(1, _store.Written.Count - before); // config.json was there
        Assert.Contains("small", await NamesAsync());
        await Catalog("a").CheckAsync("small", "model", Stop);
        ListedModel listed = Assert.Single(await Catalog("a").ListAsync(Stop), model => model.Name == "small");
        Assert.Equal(ModelShape.Of(ModelFolder.Inspect(_folder["one"])), listed.Shape);
        Assert.False(await upload.RunAsync(_store, replace: false, cancellationToken: Stop));
    }

    [Fact]
    public async Task Another_model_of_the_name_is_replaced_only_when_asked_and_a_sweep_planned_with_the_old_one_is_told()
    {
        await PushAsync("one", "small");
        string old;
        using (LocatedModel located = await Catalog("a").LocateAsync("small", "model", Stop))
        {
            old = ModelFingerprint.Compute(located.Folder);
        }

        ModelUpload other = await ModelUpload.PrepareAsync(_folder["two"], "small", DateTimeOffset.UnixEpoch, Stop);
        InvalidInputException taken = await Assert.ThrowsAsync<InvalidInputException>(() => other.RunAsync(_store, replace: false, cancellationToken: Stop));
        Assert.Contains(old, taken.Message, StringComparison.Ordinal);
        Assert.Contains("--replace", taken.Message, StringComparison.Ordinal);

        Assert.True(await other.RunAsync(_store, replace: true, cancellationToken: Stop));
        Assert.Equal(1 + other.Model.Files.Count, await _store.ListAsync("models", Stop).CountAsync(Stop)); // nothing of the old one is left
        using (LocatedModel located = await Catalog("a").LocateAsync("small", "model", Stop))
        {
            Assert.Equal(ModelFingerprint.Compute(_folder["two"]), ModelFingerprint.Compute(located.Folder));
        }

        using var models = new LoadedModels(Catalog("a"), threads: 1);
        InvalidInputException changed = await Assert.ThrowsAsync<InvalidInputException>(() => models.LendAsync(new ModelSource("small", old, "float32", "cpu"), Stop));
        Assert.Contains("not the one that the sweep was planned with", changed.Message, StringComparison.Ordinal);
    }

    /// <summary>Two uploads under one name at once, both with --replace: one is there whole, and the other is told what happened.</summary>
    [Fact]
    public async Task Of_two_uploads_at_once_that_replace_one_is_there_and_the_other_is_told()
    {
        await PushAsync("one", "small");
        WriteModel("three", seed: 3);
        ModelUpload two = await ModelUpload.PrepareAsync(_folder["two"], "small", DateTimeOffset.UnixEpoch, Stop);
        ModelUpload three = await ModelUpload.PrepareAsync(_folder["three"], "small", DateTimeOffset.UnixEpoch, Stop);
        await BetweenAsync(() => three.RunAsync(_store, replace: true, cancellationToken: Stop), async () =>
        {
            string message = (await Assert.ThrowsAsync<InvalidInputException>(() => two.RunAsync(_store, replace: true, cancellationToken: Stop))).Message;
            Assert.Contains("was put into the store while this one was uploaded", message, StringComparison.Ordinal);
        });
        await AssertIsAsync("three");

        // The same content from two machines: both have what they wanted.
        await BetweenAsync(() => two.RunAsync(_store, replace: true, cancellationToken: Stop), async () =>
            Assert.False(await two.RunAsync(_store, replace: true, cancellationToken: Stop)));
        await AssertIsAsync("two");
    }

    /// <summary>An upload that replaced this content a moment ago deletes its files, which this one found in the store and did not upload.</summary>
    [Fact]
    public async Task Files_that_another_upload_deletes_meanwhile_are_uploaded_again()
    {
        await PushAsync("one", "small");
        ModelUpload one = await ModelUpload.PrepareAsync(_folder["one"], "small", DateTimeOffset.UnixEpoch, Stop);
        ModelUpload two = await ModelUpload.PrepareAsync(_folder["two"], "small", DateTimeOffset.UnixEpoch, Stop);
        Assert.True(await two.RunAsync(_store, replace: true, cancellationToken: Stop));
        await BetweenAsync(
            () => _store.DeletePrefixAsync(one.Model.Folder("small"), Stop), () => one.RunAsync(_store, replace: true, cancellationToken: Stop));
        await AssertIsAsync("one");
    }

    [Theory]
    [InlineData("openai-community/GPT2", "openai-community-gpt2")]
    [InlineData("../up", "up")]
    [InlineData("Grün", "gr-n")]
    public async Task A_name_that_the_store_cannot_have_is_refused_with_one_that_it_can(string name, string possible)
    {
        Fault fault = (await Assert.ThrowsAsync<InvalidInputException>(() => ModelUpload.PrepareAsync(_folder["one"], name, DateTimeOffset.UnixEpoch, Stop))).Faults[0];
        Assert.Equal("NAME", fault.Where);
        Assert.Contains($"Take '{possible}'.", fault.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<InvalidInputException>(() => Catalog("a").CheckAsync(name, "model", Stop));
    }

    [Fact]
    public async Task A_folder_that_cannot_be_swept_is_not_uploaded()
    {
        File.WriteAllBytes(_folder["one/model.safetensors"], new byte[100]);
        await Assert.ThrowsAsync<InvalidInputException>(() => ModelUpload.PrepareAsync(_folder["one"], "small", DateTimeOffset.UnixEpoch, Stop));
    }

    [Fact]
    public async Task A_manifest_that_leads_out_of_its_folder_or_is_none_is_listed_as_broken_and_never_followed()
    {
        await PushAsync("one", "small");
        string manifest = (await _store.ReadTextAsync("models/small/model.json", Stop))!.Text;
        await _store.ReplaceTextAsync("models/evil/model.json", manifest.Replace("config.json", "../config.json", StringComparison.Ordinal), Stop);
        await _store.ReplaceTextAsync("models/broken/model.json", "{\"files\":", Stop);
        IReadOnlyList<ListedModel> models = await Catalog("a").ListAsync(Stop);
        Assert.All(models.Where(model => model.Name is "evil" or "broken"), model => Assert.Contains("cannot be read", model.Problem, StringComparison.Ordinal));
        await Assert.ThrowsAsync<InvalidInputException>(() => Catalog("a").LocateAsync("evil", "model", Stop));
        Assert.Contains(models, model => model is { Name: "small", Problem: null });
    }

    [Fact]
    public async Task Many_that_need_a_model_at_once_download_it_once()
    {
        await PushAsync("one", "small");
        CountReads();
        await Parallel.ForEachAsync(Enumerable.Range(0, 12), new ParallelOptions { MaxDegreeOfParallelism = 12, CancellationToken = Stop }, async (_, stop) =>
        {
            using LocatedModel located = await Catalog("shared").LocateAsync("small", "model", stop);
            Assert.Equal(ModelFingerprint.Compute(_folder["one"]), ModelFingerprint.Compute(located.Folder));
        });
        Assert.Equal(1, _reads);
    }

    [Fact]
    public async Task The_cache_stays_within_its_bound_and_what_was_not_used_longest_goes_but_never_what_is_in_use()
    {
        string[] names = ["one", "two", "three"];
        foreach (string name in names)
        {
            await PushAsync(name, name);
        }

        double gib = 2.5 * new DirectoryInfo(_folder["one"]).EnumerateFiles().Sum(file => file.Length) / (1 << 30);
        ModelCatalog catalog = Catalog("bounded", gib);
        CountReads();
        LocatedModel one = await catalog.LocateAsync("one", "model", Stop);
        (await catalog.LocateAsync("two", "model", Stop)).Dispose();
        LocatedModel three = await catalog.LocateAsync("three", "model", Stop); // one was used longest ago, but is in use
        Assert.Equal(3, _reads);
        (await catalog.LocateAsync("one", "model", Stop)).Dispose();
        Assert.Equal(3, _reads);
        Assert.Equal(2, Directory.GetDirectories(_folder["bounded"]).Length);

        await Assert.ThrowsAsync<IOException>(() => catalog.LocateAsync("two", "model", Stop)); // both are in use
        one.Dispose();
        three.Dispose();
        (await catalog.LocateAsync("two", "model", Stop)).Dispose();
        Assert.Equal(2, Directory.GetDirectories(_folder["bounded"]).Length);

        Fault large = (await Assert.ThrowsAsync<InvalidInputException>(() => Catalog("tiny", gib / 5).LocateAsync("one", "model", Stop))).Faults[0];
        Assert.Equal((FaultKinds.TooLarge, "the setting"), (large.Kind, large.Where));
    }

    [Fact]
    public async Task A_cached_file_that_was_damaged_is_downloaded_again_and_what_a_killed_process_left_goes()
    {
        await PushAsync("one", "small");
        string folder;
        using (LocatedModel located = await Catalog("a").LocateAsync("small", "model", Stop))
        {
            folder = located.Folder;
        }

        string weights = Path.Combine(folder, "model.safetensors");
        byte[] content = File.ReadAllBytes(weights);
        content[^1] ^= 1;
        File.WriteAllBytes(weights, content);
        Directory.CreateDirectory(folder + ".part/deep");
        CountReads();
        using (LocatedModel located = await Catalog("a").LocateAsync("small", "model", Stop))
        {
            Assert.Equal(ModelFingerprint.Compute(_folder["one"]), ModelFingerprint.Compute(located.Folder));
        }

        Assert.Equal(1, _reads);
        Assert.Equal([folder], Directory.GetDirectories(_folder["a"]));
    }

    /// <summary>A model of several pieces, whose download ends half way as often as there are pieces left.</summary>
    [Fact]
    public async Task An_interrupted_download_goes_on_where_it_was_and_a_part_that_was_torn_is_brought_again()
    {
        RandomModelFolder.Write(_folder["large"], layers: 2, heads: 2, width: 640, vocabulary: 2000, context: 16, seed: 1);
        await PushAsync("large", "large");
        long length = new FileInfo(_folder["large/model.safetensors"]).Length;
        int pieces = (int)Math.Ceiling(length / (double)(4 << 20));
        Assert.True(pieces > 8);
        int left = 3;
        _store.Before = name =>
        {
            if (name.EndsWith(".safetensors", StringComparison.Ordinal) && Interlocked.Decrement(ref left) < 0)
            {
                throw new StoreUnavailableException("test", name, "the network is gone", mayPass: true);
            }
        };
        await Assert.ThrowsAsync<StoreUnavailableException>(() => Catalog("a").LocateAsync("large", "model", Stop));
        string part = Assert.Single(Directory.GetDirectories(_folder["a"]));
        Assert.InRange(new FileInfo(Path.Combine(part, "model.safetensors")).Length, 0, 3 * (4 << 20));

        CountReads(); // of these each is of a piece
        long there = new FileInfo(Path.Combine(part, "model.safetensors")).Length;
        using (LocatedModel located = await Catalog("a").LocateAsync("large", "model", Stop))
        {
            Assert.Equal(ModelFingerprint.Compute(_folder["large"]), ModelFingerprint.Compute(located.Folder));
        }

        Assert.Equal((int)Math.Ceiling((length - there) / (double)(4 << 20)), _reads);

        // What a power cut tore: the right length, and zeros.
        Directory.Move(Assert.Single(Directory.GetDirectories(_folder["a"])), part);
        using (FileStream torn = File.OpenWrite(Path.Combine(part, "model.safetensors")))
        {
            torn.SetLength(length / 2);
            torn.Write(new byte[1 << 20]);
        }

        using (LocatedModel located = await Catalog("a").LocateAsync("large", "model", Stop))
        {
            Assert.Equal(ModelFingerprint.Compute(_folder["large"]), ModelFingerprint.Compute(located.Folder));
        }

        Assert.Equal([part[..^".part".Length]], Directory.GetDirectories(_folder["a"]));
    }

    [Fact]
    public async Task A_download_that_is_not_what_was_uploaded_is_refused_and_leaves_nothing()
    {
        await PushAsync("one", "small");
        NamedModel model = (await new StoredModels(_store, new ModelCache(_folder["a"])).FindAsync("small", Stop))!;
        string weights = model.Model.Artifact("small", "model.safetensors");
        byte[] content = File.ReadAllBytes(_folder["one/model.safetensors"]);
        content[^1] ^= 1;
        foreach (byte[] wrong in new[] { content, content[..^1], [.. content, 0] })
        {
            await _store.DeleteAsync(weights, Stop);
            await _store.WriteIfAbsentAsync(weights, (stream, stop) => stream.WriteAsync(wrong, stop).AsTask(), Stop);
            await Assert.ThrowsAsync<InvalidDataException>(() => Catalog("a").LocateAsync("small", "model", Stop));
            Assert.Empty(Directory.GetDirectories(_folder["a"]));
        }
    }

    /// <summary>A cache of size 0 is none: the weights are read from the store, block by block, into the memory that they are used in.</summary>
    [Fact]
    public async Task Without_a_cache_weights_go_from_the_store_into_memory_and_are_the_same()
    {
        RandomModelFolder.Write(_folder["large"], layers: 2, heads: 2, width: 640, vocabulary: 2000, context: 16, seed: 1);
        await PushAsync("large", "large");
        using Transformer expected = ModelFolder.Load(_folder["large"], ScalarType.Float32, CPU);
        ModelCatalog catalog = Catalog("none", gib: 0);
        string folder;
        using (LocatedModel located = await catalog.LocateAsync("large", "model", Stop))
        {
            folder = located.Folder;
            Assert.Equal(["config.json"], Directory.GetFiles(folder).Select(Path.GetFileName));
            Assert.Equal(ModelFingerprint.Compute(_folder["large"]), located.Fingerprint());
            Assert.Equal(ModelFolder.Inspect(_folder["large"]).Parameters, ModelFolder.Inspect(folder, located.Weights).Parameters);
        }

        Assert.False(Directory.Exists(folder));
        CountReads();
        using var models = new LoadedModels(catalog, threads: 1);
        using LoadedModels.Lease lease = await models.LendAsync(new ModelSource("large", ModelFingerprint.Compute(_folder["large"]), "float32", "cpu"), Stop);
        Assert.True(lease.Use(model =>
        {
            using var scope = NewDisposeScope();
            return model.Weights.All().Zip(expected.Weights.All()).All(weight => weight.First.equal(weight.Second).all().item<bool>());
        }));
        long blocks = (new FileInfo(_folder["large/model.safetensors"]).Length + StoredModelFile.BlockBytes - 1) / StoredModelFile.BlockBytes;
        Assert.InRange(_reads, blocks, 2 * blocks); // fewer than so many are held at a time: hardly any is read twice
        Assert.False(Directory.Exists(_folder["none"]));
    }

    [Fact]
    public async Task Without_a_cache_a_damaged_byte_is_noticed_and_its_tensor_named()
    {
        RandomModelFolder.Write(_folder["large"], layers: 2, heads: 2, width: 640, vocabulary: 2000, context: 16, seed: 1);
        await PushAsync("large", "large");
        NamedModel model = (await new StoredModels(_store, new ModelCache(_folder["a"])).FindAsync("large", Stop))!;
        string weights = model.Model.Artifact("large", "model.safetensors");
        byte[] content = File.ReadAllBytes(_folder["large/model.safetensors"]);
        SafetensorsEntry last;
        using (SafetensorsFile file = SafetensorsFile.Open(_folder["large/model.safetensors"]))
        {
            last = file.Tensors.Values.MaxBy(tensor => tensor.Begin)!;
        }

        byte[] flipped = [.. content[..^1], (byte)(content[^1] ^ 1)];
        foreach (var (wrong, what) in new[] { (flipped, last.Name), (content[..^1], "ends before byte"), ([.. content[..100], (byte)(content[100] ^ 1), .. content[101..]], "its header among them") })
        {
            await _store.DeleteAsync(weights, Stop);
            await _store.WriteIfAbsentAsync(weights, (stream, stop) => stream.WriteAsync(wrong, stop).AsTask(), Stop);
            using var models = new LoadedModels(Catalog("none", gib: 0), threads: 1);
            string message = (await Assert.ThrowsAsync<InvalidDataException>(
                () => models.LendAsync(new ModelSource("large", model.Model.Fingerprint, "float32", "cpu"), Stop))).Message;
            Assert.Contains("'large' in the store is not what was uploaded: model.safetensors", message, StringComparison.Ordinal);
            Assert.Contains(what, message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_model_that_was_uploaded_without_hashes_of_blocks_is_read_by_way_of_a_disk_and_the_same_push_adds_them()
    {
        await PushAsync("one", "small");
        string manifest = StoredModel.Manifest("small");
        JsonNode older = JsonNode.Parse((await _store.ReadTextAsync(manifest, Stop))!.Text)!;
        foreach (JsonNode? file in older["files"]!.AsArray())
        {
            Assert.True(file!.AsObject().Remove("blocks"));
        }

        await _store.ReplaceTextAsync(manifest, older.ToJsonString(), Stop);
        (await Catalog("a").LocateAsync("small", "model", Stop)).Dispose();
        Fault fault = (await Assert.ThrowsAsync<InvalidInputException>(() => Catalog("none", gib: 0).LocateAsync("small", "model", Stop))).Faults[0];
        Assert.Contains("headpatch model push FOLDER small", fault.Message, StringComparison.Ordinal);

        int before = _store.Written.Count;
        await PushAsync("one", "small");
        Assert.Equal(before, _store.Written.Count); // the files were there
        (await Catalog("none", gib: 0).LocateAsync("small", "model", Stop)).Dispose();
    }

    /// <summary>Opens an empty store for one test.</summary>
    protected abstract Task<IArtifactStore> OpenEmptyAsync();

    /// <summary>A folder of the test's own.</summary>
    protected string FolderOf(string name) => _folder[name];

    private void WriteModel(string name, int seed) =>
        RandomModelFolder.Write(_folder[name], layers: 2, heads: 2, width: 32, vocabulary: 50, context: 16, seed);

    private async Task PushAsync(string folder, string name) =>
        await (await ModelUpload.PrepareAsync(_folder[folder], name, DateTimeOffset.UnixEpoch, Stop)).RunAsync(_store, replace: false, cancellationToken: Stop);

    private ActivityTable Activities(string worker, LoadedModels models) => new(_store, Catalog(worker), models, reports: [], TimeProvider.System);

    /// <summary>Runs an upload, and something else in the moment before the last of its files is written.</summary>
    private async Task BetweenAsync(Func<Task> other, Func<Task> upload)
    {
        bool done = false;
        _store.Before = name =>
        {
            if (name.EndsWith("/model.safetensors", StringComparison.Ordinal))
            {
                _store.Before = _ => { };
                done = true;
                other().GetAwaiter().GetResult();
            }
        };
        await upload();
        Assert.True(done);
    }

    private async Task AssertIsAsync(string folder)
    {
        using LocatedModel located = await Catalog(folder).LocateAsync("small", "model", Stop);
        Assert.Equal(ModelFingerprint.Compute(_folder[folder]), ModelFingerprint.Compute(located.Folder));
    }

    private ModelCatalog Catalog(string cache, double gib = ModelCache.DefaultGiB) =>
        new(stored: new StoredModels(_store, new ModelCache(_folder[cache], gib, "the setting")));

    private Task<IReadOnlyList<string>> NamesAsync() => new StoredModels(_store, new ModelCache(_folder["none"])).NamesAsync(Stop);

    /// <summary>Counts from now on how often weights are read out of the store.</summary>
    private void CountReads() => _store.Before = name =>
    {
        if (name.EndsWith(".safetensors", StringComparison.Ordinal))
        {
            Interlocked.Increment(ref _reads);
        }
    };
}
