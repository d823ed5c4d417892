using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Paths;

namespace HeadPatching.Core.Results;

/// <summary>What a sweep does in a few words, the same on the terminal, in pictures and in the report.</summary>
public static class SweepTitle
{
    /// <summary>Such as <c>Activation patching of z, head by head</c>.</summary>
    /// <param name="patch">What is replaced.</param>
    /// <param name="ablation">What is put in, where it is not the other run's.</param>
    /// <param name="receivers">With path patching, where the paths end.</param>
    /// <param name="method">How effects are found.</param>
    public static string Of(Patch patch, Ablation? ablation, IReadOnlyList<Receiver>? receivers, Method method)
    {
        string unit = patch.IsOfLayer() ? "layer by layer" : "head by head";
        if (receivers is not null)
        {
            return $"Path patching of {patch.NameOf()} to {string.Join(", ", receivers)}, {unit}";
        }

        string what = ablation is Ablation ablated ? $"{Capital(ablated.NameOf())} ablation" : method switch
        {
            Method.Exact => "Activation patching",
            Method.Attribution => "Attribution patching",
            Method.Adaptive => "Adaptive patching",
            _ => "Screened patching",
        };
        return $"{what} of {patch.NameOf()}, {unit}";
    }

    private static string Capital(string name) => char.ToUpperInvariant(name[0]) + name[1..];
}
