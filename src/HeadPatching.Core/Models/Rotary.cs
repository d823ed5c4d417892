namespace HeadPatching.Core.Models;

/// <summary>
/// Rotary position embedding (Su et al. 2021, "RoFormer"): pair i of a head's query and key is turned by position * frequency_i, with
/// frequency_i = <see cref="Base"/>^(-2i / <see cref="Width"/>). Pair i is made of the entries i and i + Width/2 (the halves convention
/// of GPT-NeoX and Llama; GPT-J's neighbouring entries are another).
/// </summary>
public sealed record Rotary
{
    /// <summary>How many entries of each query and key are turned, the first ones; even, at most d_head.</summary>
    public required int Width { get; init; }

    /// <summary>The base of the frequencies (<c>rope_theta</c>, <c>rotary_emb_base</c>).</summary>
    public required double Base { get; init; }

    /// <summary>What frequencies are divided by, so that a longer context fits: 1 for none.</summary>
    public double Factor { get; init; } = 1;

    /// <summary>Which frequencies <see cref="Factor"/> divides; null for all of them alike (config.json: <c>linear</c>).</summary>
    public RotaryBands? Bands { get; init; }
}
