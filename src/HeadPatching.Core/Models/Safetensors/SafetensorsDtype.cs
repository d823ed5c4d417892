namespace HeadPatching.Core.Models.Safetensors;

/// <summary>How a tensor's numbers are stored in a safetensors file, named as there.</summary>
public enum SafetensorsDtype
{
    /// <summary>64-bit float.</summary>
    F64,

    /// <summary>32-bit float.</summary>
    F32,

    /// <summary>16-bit float (IEEE half).</summary>
    F16,

    /// <summary>16-bit float with float32's exponent (bfloat16).</summary>
    BF16,

    /// <summary>64-bit signed integer.</summary>
    I64,

    /// <summary>32-bit signed integer.</summary>
    I32,

    /// <summary>16-bit signed integer.</summary>
    I16,

    /// <summary>8-bit signed integer.</summary>
    I8,

    /// <summary>8-bit unsigned integer.</summary>
    U8,

    /// <summary>One byte a truth value.</summary>
    BOOL,

    /// <summary>16-bit unsigned integer; listed, but cannot be read.</summary>
    U16,

    /// <summary>32-bit unsigned integer; listed, but cannot be read.</summary>
    U32,

    /// <summary>64-bit unsigned integer; listed, but cannot be read.</summary>
    U64,
}
