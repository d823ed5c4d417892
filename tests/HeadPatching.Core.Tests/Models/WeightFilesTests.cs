using System.Text.Json;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Testing;
using TorchSharp;

namespace HeadPatching.Core.Tests.Models;

public class WeightFilesTests
{
    private const string Single = "model.safetensors";
    private const string Index = "model.safetensors.index.json";

    [Fact]
    public void One_file_of_weights_is_read()
    {
        using var folder = new TemporaryFolder();
        folder.Write(Single, SafetensorsBytes.Vectors(("a", 3), ("b", 4)));
        using var weights = WeightFiles.Open(folder.Path);
        Assert.True(weights.Has("a"));
        Assert.False(weights.Has("c"));
        Assert.Equal(["a", "b"], weights.Names.Order());
        Assert.Equal(7, weights.ParameterCount);
        Assert.Equal([3], weights.Entry("a").Shape);
        using var tensor = weights.Read("b", [4], torch.ScalarType.Float64, torch.CPU);
        Assert.Equal(torch.ScalarType.Float64, tensor.dtype);
    }

    [Fact]
    public void Shards_are_read_by_their_index()
    {
        using var folder = new TemporaryFolder();
        folder.Write("model-1.safetensors", SafetensorsBytes.Vectors(("a", 3), ("b", 4)));
        folder.Write("model-2.safetensors", SafetensorsBytes.Vectors(("c", 5)));
        folder.Write(Index, WeightMap(("a", "model-1.safetensors"), ("b", "model-1.safetensors"), ("c", "model-2.safetensors")));
        using var weights = WeightFiles.Open(folder.Path);
        Assert.Equal(["a", "b", "c"], weights.Names.Order());
        Assert.Equal(12, weights.ParameterCount);
        using var tensor = weights.Read("c", [5], torch.ScalarType.Float32, torch.CPU);
        Assert.Equal([5], tensor.shape);
    }

    [Theory]
    [InlineData("../secret.safetensors")]
    [InlineData("/etc/secret.safetensors")]
    [InlineData("sub/secret.safetensors")]
    [InlineData("..\\secret.safetensors")]
    [InlineData("C:secret.safetensors")]
    [InlineData("secret\0.safetensors")]
    [InlineData("..")]
    [InlineData("")]
    [InlineData("config.json")]
    public void A_shard_outside_the_folder_is_refused(string shard)
    {
        using var folder = new TemporaryFolder();
        folder.Write("secret.safetensors", SafetensorsBytes.Vectors(("a", 1)));
        var inner = Directory.CreateDirectory(Path.Combine(folder.Path, "model")).FullName;
        File.WriteAllText(Path.Combine(inner, Index), WeightMap(("a", shard)));
        var fault = Assert.Single(Assert.Throws<InvalidInputException>(() => WeightFiles.Open(inner)).Faults);
        Assert.Equal((FaultKinds.Malformed, Path.Combine(inner, Index)), (fault.Kind, fault.Where));
    }

    [Fact]
    public void Missing_shards_and_missing_tensors_are_all_named()
    {
        using var folder = new TemporaryFolder();
        folder.Write("model-1.safetensors", SafetensorsBytes.Vectors(("a", 3)));
        folder.Write(Index, WeightMap(("a", "model-1.safetensors"), ("b", "model-1.safetensors"), ("c", "model-2.safetensors"), ("d", "model-3.safetensors")));
        var faults = Assert.Throws<InvalidInputException>(() => WeightFiles.Open(folder.Path)).Faults;
        Assert.Equal(3, faults.Count);
        Assert.Contains(faults, fault => fault.Kind == FaultKinds.InvalidWeights && fault.Message.Contains("'b'", StringComparison.Ordinal));
        Assert.Contains(faults, fault => fault.Kind == FaultKinds.NotFound && fault.Where == Path.Combine(folder.Path, "model-2.safetensors"));
        Assert.Contains(faults, fault => fault.Kind == FaultKinds.NotFound && fault.Where == Path.Combine(folder.Path, "model-3.safetensors"));
    }

    [Theory]
    [InlineData("{")]
    [InlineData("{}")]
    [InlineData("{\"weight_map\": []}")]
    [InlineData("{\"weight_map\": {}}")]
    [InlineData("{\"weight_map\": {\"a\": 7}}")]
    [InlineData("{\"weight_map\": {\"a\": \"x.safetensors\", \"a\": \"y.safetensors\"}}")]
    [InlineData("{\"weight_map\": {\"a\": \"\\udc00\"}}")]
    public void An_index_without_a_sound_weight_map_is_refused(string index)
    {
        using var folder = new TemporaryFolder();
        folder.Write(Index, index);
        Assert.Equal(FaultKinds.Malformed, Assert.Single(Assert.Throws<InvalidInputException>(() => WeightFiles.Open(folder.Path)).Faults).Kind);
    }

    [Fact]
    public void A_tensor_of_another_shape_is_refused_with_both_shapes()
    {
        using var folder = new TemporaryFolder();
        folder.Write(Single, SafetensorsBytes.Vectors(("ln_f.weight", 3)));
        using var weights = WeightFiles.Open(folder.Path);
        var fault = ReadFault(weights, "ln_f.weight", 48, 2);
        Assert.Equal(FaultKinds.InvalidWeights, fault.Kind);
        Assert.Contains("'ln_f.weight' has the shape [3]", fault.Message, StringComparison.Ordinal);
        Assert.Contains("[48, 2]", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_tensor_is_named()
    {
        using var folder = new TemporaryFolder();
        folder.Write(Single, SafetensorsBytes.Vectors(("a", 3)));
        using var weights = WeightFiles.Open(folder.Path);
        Assert.Contains("'wte.weight'", ReadFault(weights, "wte.weight", 3).Message, StringComparison.Ordinal);
        Assert.Throws<InvalidInputException>(() => weights.Entry("wte.weight"));
    }

    [Fact]
    public void A_quantized_weight_is_refused()
    {
        using var folder = new TemporaryFolder();
        var bytes = SafetensorsBytes.Make("{" + SafetensorsBytes.Entry("a", "I8", "[4]", "[0,4]") + "}", 4);
        folder.Write(Single, bytes);
        using var weights = WeightFiles.Open(folder.Path);
        Assert.Contains("I8", ReadFault(weights, "a", 4).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Weights_only_in_a_pickle_are_refused_with_the_way_to_convert_them()
    {
        using var folder = new TemporaryFolder();
        folder.Write("pytorch_model.bin", [1, 2, 3]);
        var fault = Assert.Single(Assert.Throws<InvalidInputException>(() => WeightFiles.Open(folder.Path)).Faults);
        Assert.Contains("safe_serialization=True", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_without_weights_and_no_folder_at_all_are_refused()
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(FaultKinds.NotFound, Assert.Single(Assert.Throws<InvalidInputException>(() => WeightFiles.Open(folder.Path)).Faults).Kind);
        var none = Path.Combine(folder.Path, "none");
        Assert.Equal(none, Assert.Single(Assert.Throws<InvalidInputException>(() => WeightFiles.Open(none)).Faults).Where);
    }

    private static Fault ReadFault(WeightFiles weights, string name, params long[] shape) => Assert.Single(
        Assert.Throws<InvalidInputException>(() => weights.Read(name, shape, torch.ScalarType.Float32, torch.CPU)).Faults);

    private static string WeightMap(params (string Tensor, string Shard)[] map) => JsonSerializer.Serialize(
        new { metadata = new { total_size = 48 }, weight_map = map.ToDictionary(item => item.Tensor, item => item.Shard) });
}
