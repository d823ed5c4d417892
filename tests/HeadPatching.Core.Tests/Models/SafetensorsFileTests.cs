using HeadPatching.Core.Faults;
using HeadPatching.Core.Models.Safetensors;
using HeadPatching.Core.Tests.Golden;
using HeadPatching.Testing;
using TorchSharp;
using static HeadPatching.Core.Tests.Models.SafetensorsBytes;

namespace HeadPatching.Core.Tests.Models;

public class SafetensorsFileTests
{
    private const string Name = "model.safetensors";

    [Fact]
    public void A_missing_file_is_refused_by_its_path()
    {
        using var folder = new TemporaryFolder();
        var path = Path.Combine(folder.Path, Name);
        var fault = Assert.Single(Assert.Throws<InvalidInputException>(() => SafetensorsFile.Open(path)).Faults);
        Assert.Equal(FaultKinds.NotFound, fault.Kind);
        Assert.Equal(path, fault.Where);
    }

    [Fact]
    public void A_file_too_short_for_a_length_is_refused() => AssertRefused(new byte[5], "too few");

    [Fact]
    public void A_truncated_file_is_refused()
    {
        var whole = Vectors(("a", 4), ("b", 4));
        AssertRefused(whole[..^1], "'b'", "cut off");
        AssertRefused(whole[..40], "header", "cut off");
    }

    [Fact]
    public void A_header_longer_than_the_file_is_refused() => AssertRefused(WithLength(1000, "{}"u8.ToArray(), 0), "1000 bytes");

    [Theory]
    [InlineData(100_000_001UL)]
    [InlineData(long.MaxValue)]
    [InlineData(ulong.MaxValue)]
    public void A_header_longer_than_the_format_allows_is_refused(ulong length) =>
        AssertRefused(WithLength(length, "{}"u8.ToArray(), 0), "the format allows");

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("not json")]
    [InlineData("{\"a\":1,}")]
    [InlineData("{} {}")]
    [InlineData("[]")]
    [InlineData("7")]
    [InlineData("{\"\\ud800\":{}}")]
    public void A_header_that_is_no_JSON_object_is_refused(string header) => AssertRefused(Make(header, 0), "The header is not");

    [Fact]
    public void A_header_that_is_not_UTF8_is_refused() => AssertRefused(Make([(byte)'{', (byte)'"', 0xFF, (byte)'"', (byte)':', (byte)'1', (byte)'}'], 0), "header");

    [Fact]
    public void A_header_nested_without_end_is_refused() => AssertRefused(Make("{\"a\":" + new string('[', 100_000), 0), "header");

    [Fact]
    public void A_name_that_stands_twice_is_refused()
    {
        var entry = Entry("twin", "F32", "[1]", "[0,4]");
        AssertRefused(Make($"{{{entry},{entry}}}", 4), "'twin'");
    }

    [Theory]
    [InlineData("3")]
    [InlineData("\"dtype\"")]
    [InlineData("{}")]
    [InlineData("{\"dtype\":\"F32\",\"shape\":[1]}")]
    public void A_tensor_that_is_not_described_is_refused(string description) =>
        AssertRefused(Make($"{{\"a\":{description}}}", 4), "'a'", "dtype, shape and data_offsets");

    [Theory]
    [InlineData("F33")]
    [InlineData("f32")]
    [InlineData("3")]
    [InlineData("F32, F16")]
    [InlineData("")]
    public void An_unknown_dtype_is_refused(string dtype) =>
        AssertRefused(Make("{" + Entry("a", dtype, "[1]", "[0,4]") + "}", 4), "'a'", "unknown dtype", $"'{dtype}'");

    [Theory]
    [InlineData("7")]
    [InlineData("[-1]")]
    [InlineData("[1.5]")]
    [InlineData("[\"1\"]")]
    [InlineData("[null]")]
    [InlineData("[9223372036854775808]")]
    [InlineData("[1e400]")]
    public void A_shape_that_is_no_list_of_counts_is_refused(string shape) =>
        AssertRefused(Make("{" + Entry("a", "F32", shape, "[0,4]") + "}", 4), "'a'", "shape");

    [Theory]
    [InlineData("[4294967296,4294967296]")]
    [InlineData("[9223372036854775807]")]
    [InlineData("[0,9223372036854775807]")]
    [InlineData("[3037000500,3037000500,4]")]
    public void A_shape_that_overflows_is_refused(string shape) =>
        AssertRefused(Make("{" + Entry("a", "F32", shape, "[0,4]") + "}", 4), "'a'", "more than any file can hold");

    [Fact]
    public void A_shape_of_too_many_dimensions_is_refused() =>
        AssertRefused(Make("{" + Entry("a", "F32", "[" + string.Join(",", Enumerable.Repeat(1, 1000)) + "]", "[0,4]") + "}", 4), "'a'", "1000 dimensions");

    [Theory]
    [InlineData("[0,1000]", "only 4 bytes of data")]
    [InlineData("[9223372036854775800,9223372036854775804]", "only 4 bytes of data")]
    [InlineData("[4,0]", "after its end")]
    [InlineData("[-4,0]", "data_offsets")]
    [InlineData("[0]", "two, begin and end")]
    [InlineData("[0,4,8]", "two, begin and end")]
    [InlineData("[0,99999999999999999999]", "data_offsets")]
    [InlineData("[0,3]", "takes 4")]
    public void Offsets_that_cannot_be_are_refused(string offsets, string why) =>
        AssertRefused(Make("{" + Entry("a", "F32", "[1]", offsets) + "}", 4), "'a'", why);

    [Fact]
    public void A_tensor_larger_than_what_memory_is_kept_for_is_read_whole_into_pages_as_large_as_the_system_has()
    {
        const int Length = 9 << 20; // 36 MiB
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, Name);
        using var scope = torch.NewDisposeScope();
        torch.Tensor written = torch.rand(Length);
        using (FileStream stream = File.Create(path))
        {
            SafetensorsWriter.Write(stream, [("a", written)]);
        }

        using SafetensorsFile file = SafetensorsFile.Open(path);
        Assert.Equal(0, (file.Read("a") - written).abs().max().item<float>());
        if (File.Exists("/sys/kernel/mm/transparent_hugepage/enabled"))
        {
            // "hg": asked for; whether it has them is the system's.
            Assert.Contains(File.ReadLines("/proc/self/smaps"), line => line.StartsWith("VmFlags:", StringComparison.Ordinal) && line.Split(' ').Contains("hg"));
        }
    }

    [Fact]
    public void A_size_that_is_not_that_of_the_shape_is_refused() =>
        AssertRefused(Make("{" + Entry("a", "F16", "[2,3]", "[0,8]") + "}", 8), "'a'", "has 8 bytes", "F16 of shape [2, 3] takes 12");

    [Fact]
    public void Overlapping_tensors_are_refused() => AssertRefused(
        Make("{" + Entry("a", "F32", "[2]", "[0,8]") + "," + Entry("b", "F32", "[2]", "[4,12]") + "}", 12), "'b'", "inside the tensor before it");

    [Fact]
    public void A_hole_between_tensors_is_refused() => AssertRefused(
        Make("{" + Entry("a", "F32", "[1]", "[0,4]") + "," + Entry("b", "F32", "[1]", "[8,12]") + "}", 12), "'b'", "no holes");

    [Fact]
    public void Bytes_after_the_last_tensor_are_refused() =>
        AssertRefused(Make("{" + Entry("a", "F32", "[1]", "[0,4]") + "}", 5), "its tensors end at byte 4");

    [Theory]
    [InlineData("{\"__metadata__\":7}")]
    [InlineData("{\"__metadata__\":{\"a\":7}}")]
    public void Metadata_that_are_not_texts_are_refused(string header) => AssertRefused(Make(header, 0), "__metadata__");

    [Fact]
    public void A_name_with_a_line_break_cannot_break_the_message_into_lines()
    {
        var refused = Assert.Throws<InvalidInputException>(
            () => Open(Make("{" + Entry("a\\nb\\u001b[31m" + new string('x', 10_000), "F33", "[1]", "[0,4]") + "}", 4)));
        var message = Assert.Single(refused.Faults).Message;
        Assert.DoesNotContain(message, char.IsControl);
        Assert.True(message.Length < 500);
    }

    [Fact]
    public void Metadata_empty_tensors_and_trailing_spaces_are_allowed()
    {
        var header = "{\"__metadata__\":{\"format\":\"pt\"}," + Entry("none", "F32", "[0,3]", "[4,4]") + "," + Entry("one", "F32", "[]", "[0,4]") + "}   ";
        using var file = Open(Make(header, 4));
        Assert.Equal("pt", file.Metadata["format"]);
        Assert.Equal(["none", "one"], file.Tensors.Keys.Order());
        using var none = file.Read("none", torch.ScalarType.Float32, torch.CPU);
        Assert.Equal([0, 3], none.shape);
        using var one = file.Read("one", torch.ScalarType.Float64, torch.CPU);
        Assert.Empty(one.shape);
        Assert.Equal(BitConverter.ToSingle([0, 1, 2, 3]), one.item<double>());
    }

    [Fact]
    public void Reading_a_tensor_that_is_not_there_names_it()
    {
        using var file = Open(Vectors(("a", 1)));
        var fault = Assert.Single(Assert.Throws<InvalidInputException>(() => file.Read("wte.weight", torch.ScalarType.Float32, torch.CPU)).Faults);
        Assert.Equal(FaultKinds.InvalidWeights, fault.Kind);
        Assert.Contains("'wte.weight'", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_dtype_that_cannot_be_read_is_listed_and_refused_when_read()
    {
        using var file = Open(Make("{" + Entry("ids", "U32", "[1]", "[0,4]") + "}", 4));
        Assert.Equal(SafetensorsDtype.U32, file.Tensors["ids"].Dtype);
        var fault = Assert.Single(Assert.Throws<InvalidInputException>(() => file.Read("ids", torch.ScalarType.Int64, torch.CPU)).Faults);
        Assert.Contains("U32", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Bytes_of_a_bool_tensor_are_true_wherever_they_are_not_zero()
    {
        using var file = Open(Make("{" + Entry("mask", "BOOL", "[3]", "[0,3]") + "}", 3));
        using var mask = file.Read("mask", torch.ScalarType.Float32, torch.CPU);
        Assert.Equal([0f, 1f, 1f], mask.data<float>().ToArray());
    }

    [Fact]
    public void A_file_that_shrinks_after_it_was_opened_is_refused()
    {
        var stream = new MemoryStream();
        stream.Write(Vectors(("a", 100)));
        using var file = SafetensorsFile.Open(stream, Name);
        stream.SetLength(stream.Length - 1);
        var fault = Assert.Single(Assert.Throws<InvalidInputException>(() => file.Read("a", torch.ScalarType.Float32, torch.CPU)).Faults);
        Assert.Equal(FaultKinds.Malformed, fault.Kind);
    }

    [Theory]
    [InlineData("gpt2-golden-a", "wte.weight", 101, 48)]
    [InlineData("gpt2-golden-b", "wte.weight", 257, 64)]
    [InlineData("gpt-neox-golden", "gpt_neox.embed_in.weight", 131, 64)]
    [InlineData("llama-golden", "model.embed_tokens.weight", 151, 64)]
    public void The_reference_models_open(string model, string embedding, int vocabulary, int width)
    {
        using var scope = torch.NewDisposeScope();
        using var file = SafetensorsFile.Open(Path.Combine(GoldenModel.Folder(model), Name));
        var weights = file.Read(embedding, torch.ScalarType.Float64, torch.CPU);
        Assert.Equal([vocabulary, width], weights.shape);
        Assert.True(weights.isfinite().all().item<bool>());
        Assert.True(weights.std().item<double>() > 0);
    }

    private static SafetensorsFile Open(byte[] bytes) => SafetensorsFile.Open(new MemoryStream(bytes), Name);

    private static void AssertRefused(byte[] bytes, params string[] messageParts)
    {
        var fault = Assert.Single(Assert.Throws<InvalidInputException>(() => Open(bytes)).Faults);
        Assert.Equal(FaultKinds.Malformed, fault.Kind);
        Assert.Equal(Name, fault.Where);
        foreach (var part in messageParts)
        {
            Assert.Contains(part, fault.Message, StringComparison.Ordinal);
        }
    }
}
