using static TorchSharp.torch;

namespace HeadPatching.Core.Models.Safetensors;

/// <summary>What is known of each <see cref="SafetensorsDtype"/>.</summary>
internal static class SafetensorsDtypes
{
    /// <summary>Whether its numbers are floating-point ones.</summary>
    public static bool IsFloat(this SafetensorsDtype dtype) =>
        dtype is SafetensorsDtype.F64 or SafetensorsDtype.F32 or SafetensorsDtype.F16 or SafetensorsDtype.BF16;

    /// <summary>Bytes an element.</summary>
    public static int Size(this SafetensorsDtype dtype) => dtype switch
    {
        SafetensorsDtype.F64 or SafetensorsDtype.I64 or SafetensorsDtype.U64 => 8,
        SafetensorsDtype.F32 or SafetensorsDtype.I32 or SafetensorsDtype.U32 => 4,
        SafetensorsDtype.F16 or SafetensorsDtype.BF16 or SafetensorsDtype.I16 or SafetensorsDtype.U16 => 2,
        SafetensorsDtype.I8 or SafetensorsDtype.U8 or SafetensorsDtype.BOOL => 1,
        _ => throw new ArgumentOutOfRangeException(nameof(dtype), dtype, null),
    };

    /// <summary>The tensor type with the same bytes, or null where TorchSharp has none.</summary>
    public static ScalarType? ToScalarType(this SafetensorsDtype dtype) => dtype switch
    {
        SafetensorsDtype.F64 => ScalarType.Float64,
        SafetensorsDtype.F32 => ScalarType.Float32,
        SafetensorsDtype.F16 => ScalarType.Float16,
        SafetensorsDtype.BF16 => ScalarType.BFloat16,
        SafetensorsDtype.I64 => ScalarType.Int64,
        SafetensorsDtype.I32 => ScalarType.Int32,
        SafetensorsDtype.I16 => ScalarType.Int16,
        SafetensorsDtype.I8 => ScalarType.Int8,
        SafetensorsDtype.U8 => ScalarType.Byte,
        SafetensorsDtype.BOOL => ScalarType.Bool,
        _ => null,
    };

    /// <summary>How a tensor of this type is stored, or null where the format has no such type.</summary>
    public static SafetensorsDtype? FromScalarType(ScalarType type) =>
        Enum.GetValues<SafetensorsDtype>().Cast<SafetensorsDtype?>().FirstOrDefault(dtype => dtype!.Value.ToScalarType() == type);
}
