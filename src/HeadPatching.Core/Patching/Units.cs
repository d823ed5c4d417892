using HeadPatching.Core.Models;

namespace HeadPatching.Core.Patching;

/// <summary>What a patch is made of, one at a time: heads, key/value heads, or layers as a whole.</summary>
public static class Units
{
    /// <summary>Whether the patch replaces something of a layer as a whole, not of each of its heads.</summary>
    public static bool IsOfLayer(this Patch patch) => patch >= Patch.AttnOut;

    /// <summary>
    /// How many patches a layer has: its heads; for keys and values its key/value heads, which are fewer in a grouped-query model; one for
    /// a layer as a whole.
    /// </summary>
    public static int Of(ModelConfig config, Patch patch) => patch switch
    {
        Patch.K or Patch.V => config.KeyValueHeads,
        _ => patch.IsOfLayer() ? 1 : config.Heads,
    };
}
