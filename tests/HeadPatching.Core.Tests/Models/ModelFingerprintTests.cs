using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Testing;

namespace HeadPatching.Core.Tests.Models;

public class ModelFingerprintTests
{
    private const string Weights = "model.safetensors";

    [Fact]
    public void The_same_files_in_another_folder_have_the_same_fingerprint()
    {
        using var first = MakeModel();
        using var second = MakeModel();
        var fingerprint = ModelFingerprint.Compute(first.Path);
        Assert.Matches("^[0-9a-f]{64}$", fingerprint);
        Assert.Equal(fingerprint, ModelFingerprint.Compute(second.Path));
    }

    [Fact]
    public void Another_weight_gives_another_fingerprint()
    {
        using var model = MakeModel();
        var before = ModelFingerprint.Compute(model.Path);
        var bytes = File.ReadAllBytes(Path.Combine(model.Path, Weights));
        bytes[^1] ^= 1;
        model.Write(Weights, bytes);
        File.SetLastWriteTimeUtc(Path.Combine(model.Path, Weights), DateTime.UtcNow.AddMinutes(1));
        Assert.NotEqual(before, ModelFingerprint.Compute(model.Path));
    }

    [Fact]
    public void Another_config_gives_another_fingerprint()
    {
        using var model = MakeModel();
        var before = ModelFingerprint.Compute(model.Path);
        model.Write("config.json", "{\"layer_norm_epsilon\": 1e-6}");
        Assert.NotEqual(before, ModelFingerprint.Compute(model.Path));
    }

    [Fact]
    public void A_file_that_is_neither_config_nor_weights_does_not_count()
    {
        using var model = MakeModel();
        var before = ModelFingerprint.Compute(model.Path);
        model.Write("README.md", "A model.");
        Assert.Equal(before, ModelFingerprint.Compute(model.Path));
    }

    [Fact]
    public void Every_shard_counts()
    {
        using var model = new TemporaryFolder();
        model.Write("config.json", "{}");
        model.Write("model.safetensors.index.json", "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}");
        model.Write("1.safetensors", SafetensorsBytes.Vectors(("a", 1)));
        model.Write("2.safetensors", SafetensorsBytes.Vectors(("b", 1)));
        var before = ModelFingerprint.Compute(model.Path);
        model.Write("2.safetensors", SafetensorsBytes.Vectors(("b", 2)));
        Assert.NotEqual(before, ModelFingerprint.Compute(model.Path));
    }

    [Fact]
    public void A_folder_without_config_is_refused()
    {
        using var folder = new TemporaryFolder();
        folder.Write(Weights, SafetensorsBytes.Vectors(("a", 1)));
        Assert.Equal(FaultKinds.NotFound, Assert.Single(Assert.Throws<InvalidInputException>(() => ModelFingerprint.Compute(folder.Path)).Faults).Kind);
    }

    private static TemporaryFolder MakeModel()
    {
        var folder = new TemporaryFolder();
        folder.Write("config.json", "{}");
        folder.Write(Weights, SafetensorsBytes.Vectors(("a", 3)));
        return folder;
    }
}
