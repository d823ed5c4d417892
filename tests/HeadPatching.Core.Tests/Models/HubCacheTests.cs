using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using HeadPatching.Testing;

namespace HeadPatching.Core.Tests.Models;

public sealed class HubCacheTests : IDisposable
{
    private const string First = "11c5a3d5811f50298f278a704980280950aedb10", Second = "607a30d783dfa663caf39e06633721c8d4cfcd7e";

    private readonly TemporaryFolder _cache = new();

    public void Dispose() => _cache.Dispose();

    [Fact]
    public void A_repository_is_the_snapshot_that_main_names_and_its_files_are_read_through_their_links()
    {
        string repository = Repository("models--openai-community--gpt2", main: Second, First, Second);
        string snapshot = Path.Combine(repository, "snapshots", Second), blobs = Directory.CreateDirectory(Path.Combine(repository, "blobs")).FullName;
        RandomModelFolder.Write(blobs, layers: 1, heads: 2, width: 8, vocabulary: 60, context: 32, seed: 1);
        foreach (string file in Directory.GetFiles(blobs))
        {
            File.CreateSymbolicLink(Path.Combine(snapshot, Path.GetFileName(file)), Path.Combine("..", "..", "blobs", Path.GetFileName(file)));
        }

        Assert.Equal(snapshot, HubCache.Resolve(repository));
        Assert.Equal(snapshot, HubCache.Resolve(snapshot));
        Assert.Equal(snapshot, HubCache.Find(_cache.Path, "openai-community/gpt2"));
        Assert.Equal("gpt2", HubCache.NameOf(snapshot));
        Assert.Equal("gpt2", HubCache.NameOf(snapshot + Path.DirectorySeparatorChar));
        Assert.Equal(1, ModelFolder.Inspect(snapshot).Config.Layers);
        Assert.Equal(ModelFingerprint.Compute(blobs), ModelFingerprint.Compute(snapshot));
        Assert.Equal(["openai-community/gpt2"], HubCache.Repositories(_cache.Path));
    }

    [Fact]
    public void Without_main_an_only_snapshot_is_meant_and_of_several_none()
    {
        string only = Repository("models--gpt2", main: null, First), two = Repository("models--a--b", main: null, First, Second);
        Assert.Equal(Path.Combine(only, "snapshots", First), HubCache.Resolve(only));
        Assert.Contains($"It has 2 snapshots, and no refs/main that says which one is meant. Name one yourself: '{First}', '{Second}'", FaultOf(() => HubCache.Resolve(two)));
    }

    [Fact]
    public void A_download_that_did_not_get_far_and_the_cache_itself_are_named_as_such()
    {
        string empty = Repository("models--a--empty", main: null), gone = Repository("models--a--gone", main: Second, First);
        Assert.Contains("There is no snapshot in it", FaultOf(() => HubCache.Resolve(empty)));
        Assert.Contains($"It names the snapshot '{Second}', which is not there.", FaultOf(() => HubCache.Resolve(gone)));
        Assert.Contains("This is Hugging Face's cache, not a model; name the folder of a model in it. It has 'a/empty', 'a/gone'", FaultOf(() => HubCache.Resolve(_cache.Path)));
    }

    [Theory]
    [InlineData("../outside")]
    [InlineData("a/../../b")]
    [InlineData("..")]
    [InlineData("/etc")]
    [InlineData("a/b/c")]
    [InlineData("")]
    public void No_name_leads_out_of_the_cache(string name) => Assert.Null(HubCache.Find(_cache.Path, name));

    [Fact]
    public void A_reference_that_leads_elsewhere_is_no_commit()
    {
        string repository = Repository("models--a--b", main: "../../..", First);
        Assert.Contains("which is not there", FaultOf(() => HubCache.Resolve(repository)));
    }

    [Fact]
    public void What_Git_LFS_left_in_place_of_a_file_is_named_as_such()
    {
        const string Pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 548105171\n";
        RandomModelFolder.Write(_cache["model"], layers: 1, heads: 2, width: 8, vocabulary: 60, context: 32, seed: 1);
        File.WriteAllText(_cache["model/tokenizer.json"], Pointer);
        Assert.StartsWith($"{_cache["model/tokenizer.json"]}: This is a Git LFS pointer", FaultOf(() => TextTokenizer.Load(_cache["model"])));
        File.WriteAllText(_cache["model/model.safetensors"], Pointer);
        Assert.StartsWith($"{_cache["model/model.safetensors"]}: This is a Git LFS pointer", FaultOf(() => ModelFolder.Inspect(_cache["model"])));
        Assert.Contains("Run 'git lfs pull' in it, or fetch the model with 'headpatch model pull'.", FaultOf(() => ModelFolder.Inspect(_cache["model"])));
    }

    private string Repository(string name, string? main, params string[] snapshots)
    {
        string folder = Directory.CreateDirectory(_cache[name]).FullName;
        Directory.CreateDirectory(Path.Combine(folder, "refs"));
        Directory.CreateDirectory(Path.Combine(folder, "snapshots"));
        foreach (string snapshot in snapshots)
        {
            Directory.CreateDirectory(Path.Combine(folder, "snapshots", snapshot));
        }

        if (main is not null)
        {
            File.WriteAllText(Path.Combine(folder, "refs", "main"), main);
        }

        return folder;
    }

    private static string FaultOf(Action act) => Assert.Throws<InvalidInputException>(act).Message;
}
