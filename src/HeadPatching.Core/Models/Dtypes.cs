using static TorchSharp.torch;

namespace HeadPatching.Core.Models;

/// <summary>The types a model can be run in, under the names that options and results have for them.</summary>
public static class Dtypes
{
    private static readonly (string Name, ScalarType Type, int Bytes)[] Known =
    [
        ("float32", ScalarType.Float32, 4),
        ("float64", ScalarType.Float64, 8),
        ("bfloat16", ScalarType.BFloat16, 2),
        ("float16", ScalarType.Float16, 2),
    ];

    /// <summary>Every name, for messages.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Known.Select(known => known.Name)];

    /// <summary>The type of a name.</summary>
    /// <exception cref="InvalidOperationException">Not one of <see cref="Names"/>.</exception>
    public static ScalarType Parse(string name) => Known.First(known => known.Name == name).Type;

    /// <summary>The name of a type.</summary>
    /// <exception cref="InvalidOperationException">Not a type that models are run in.</exception>
    public static string Name(this ScalarType type) => Known.First(known => known.Type == type).Name;

    /// <summary>
    /// The type of the residual stream and of all that is no matrix product of a weight (norms, attention, biases, metrics): float32 where weights have
    /// less. Such products round what they are of to the weights' type.
    /// </summary>
    /// <param name="type">The type of the weights' matrices.</param>
    public static ScalarType OfStream(this ScalarType type) => type == ScalarType.Float64 ? ScalarType.Float64 : ScalarType.Float32;

    /// <summary>The bytes of one element.</summary>
    /// <exception cref="InvalidOperationException">Not a type that models are run in.</exception>
    public static int Bytes(this ScalarType type) => Known.First(known => known.Type == type).Bytes;
}
