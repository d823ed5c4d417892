using HeadPatching.Core.Models.Safetensors;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Models;

public class SafetensorsWriterTests
{
    [Theory]
    [InlineData(ScalarType.Float64)]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float16)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Int64)]
    [InlineData(ScalarType.Int32)]
    [InlineData(ScalarType.Int16)]
    [InlineData(ScalarType.Int8)]
    [InlineData(ScalarType.Byte)]
    [InlineData(ScalarType.Bool)]
    public void What_was_written_is_read_again(ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        var matrix = linspace(0, 11, 12, dtype: ScalarType.Float64).reshape(3, 4).to(dtype);
        using var file = Open(Write(("matrix", matrix), ("scalar", matrix[1, 1]), ("empty", zeros(0, 5, dtype: dtype))));
        foreach (var (name, expected) in new[] { ("matrix", matrix), ("scalar", matrix[1, 1]), ("empty", zeros(0, 5, dtype: dtype)) })
        {
            var read = file.Read(name, dtype, CPU);
            Assert.Equal(dtype, read.dtype);
            Assert.Equal(expected.shape, read.shape);
            Assert.True(read.Equals(expected));
        }
    }

    [Fact]
    public void Float16_and_bfloat16_weights_are_converted_on_reading()
    {
        using var scope = NewDisposeScope();
        var values = tensor(new[] { 1.5f, -0.25f, 1024f });
        using var file = Open(Write(("half", values.to(ScalarType.Float16)), ("brain", values.to(ScalarType.BFloat16))));
        Assert.True(file.Read("half", ScalarType.Float32, CPU).Equals(values));
        Assert.True(file.Read("brain", ScalarType.Float64, CPU).Equals(values.to(ScalarType.Float64)));
    }

    [Fact]
    public void A_transposed_or_strided_tensor_is_written_as_it_is_seen()
    {
        using var scope = NewDisposeScope();
        var matrix = linspace(0, 23, 24, dtype: ScalarType.Float32).reshape(4, 6);
        using var file = Open(Write(("transposed", matrix.t()), ("columns", matrix.narrow(1, 2, 3)), ("trained", matrix.clone().requires_grad_(true))));
        Assert.True(file.Read("transposed", ScalarType.Float32, CPU).Equals(matrix.t()));
        Assert.True(file.Read("columns", ScalarType.Float32, CPU).Equals(matrix.narrow(1, 2, 3)));
        Assert.True(file.Read("trained", ScalarType.Float32, CPU).Equals(matrix));
    }

    [Fact]
    public void A_tensor_larger_than_one_piece_is_whole()
    {
        using var scope = NewDisposeScope();
        var values = linspace(0, 2_500_000, 2_500_001, dtype: ScalarType.Float32);
        using var file = Open(Write(("long", values), ("longer", values.to(ScalarType.Float64))));
        Assert.True(file.Read("long", ScalarType.Float32, CPU).Equals(values));
        Assert.True(file.Read("longer", ScalarType.Float64, CPU).Equals(values.to(ScalarType.Float64)));
    }

    [Fact]
    public void The_same_tensors_in_another_order_give_the_same_bytes()
    {
        using var scope = NewDisposeScope();
        var (a, b) = (linspace(0, 2, 3, dtype: ScalarType.Float32), linspace(0, 4, 5, dtype: ScalarType.Int64));
        Assert.Equal(Write(("a", a), ("b", b)), Write(("b", b), ("a", a)));
    }

    [Fact]
    public void The_data_and_every_tensor_are_aligned()
    {
        using var scope = NewDisposeScope();
        var bytes = Write(("a", zeros(3, dtype: ScalarType.Byte)), ("b", zeros(3, dtype: ScalarType.Float16)), ("c", zeros(1, dtype: ScalarType.Float64)));
        Assert.Equal(0UL, BitConverter.ToUInt64(bytes) % 8);
        using var file = Open(bytes);
        Assert.All(file.Tensors.Values, entry => Assert.Equal(0, entry.Begin % (entry.ByteCount / Math.Max(entry.ElementCount, 1))));
    }

    [Fact]
    public void Metadata_and_names_in_any_script_come_back()
    {
        using var scope = NewDisposeScope();
        using var stream = new MemoryStream();
        SafetensorsWriter.Write(stream, [("größe \"q\"", zeros(2))], new Dictionary<string, string> { ["作者"] = "a\nb" });
        using var file = Open(stream.ToArray());
        Assert.Equal("a\nb", file.Metadata["作者"]);
        Assert.True(file.Tensors.ContainsKey("größe \"q\""));
    }

    [Fact]
    public void No_tensors_at_all_give_a_file_that_opens()
    {
        using var file = Open(Write());
        Assert.Empty(file.Tensors);
    }

    [Theory]
    [InlineData("twin", "twin")]
    [InlineData("a", "__metadata__")]
    public void A_name_twice_or_a_reserved_one_is_refused(string first, string second)
    {
        using var scope = NewDisposeScope();
        Assert.Throws<ArgumentException>(() => Write((first, zeros(1)), (second, zeros(1))));
    }

    [Fact]
    public void A_type_that_the_format_lacks_is_refused()
    {
        using var scope = NewDisposeScope();
        var complex = zeros(1, dtype: ScalarType.ComplexFloat32);
        Assert.Contains("'phase'", Assert.Throws<ArgumentException>(() => Write(("phase", complex))).Message, StringComparison.Ordinal);
    }

    private static byte[] Write(params (string Name, Tensor Tensor)[] tensors)
    {
        using var stream = new MemoryStream();
        SafetensorsWriter.Write(stream, tensors);
        return stream.ToArray();
    }

    private static SafetensorsFile Open(byte[] bytes) => SafetensorsFile.Open(new MemoryStream(bytes), "test.safetensors");
}
