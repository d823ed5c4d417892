namespace HeadPatching.Core.Patching;

/// <summary>What is put in place of a head's z where it is not the other run's.</summary>
public enum Ablation
{
    /// <summary>Zeros, of z as it is: the head writes nothing, not even its value bias.</summary>
    Zero,

    /// <summary>
    /// The head's value bias b_V, which is its z wherever all values are their bias. It is what zero means where value biases are folded into b_O,
    /// as TransformerLens does by default.
    /// </summary>
    ValueBias,

    /// <summary>The mean over other prompts of the head's z at that place, in the run that is patched.</summary>
    Mean,

    /// <summary>The z that the head has in the same run of another pair, drawn with the sweep's seed.</summary>
    Resample,
}

/// <summary>What ablations are, in words.</summary>
public static class AblationDetails
{
    /// <summary>What is put in, as results say it, with which of two zeros it is.</summary>
    /// <param name="ablation">The ablation.</param>
    /// <param name="reference">The name of the prompts that means and donors are taken from; null: the swept pairs themselves.</param>
    public static string Of(Ablation ablation, string? reference) => InShort(ablation, reference) + ablation switch
    {
        Ablation.Zero => ", of z itself: the head's value bias goes too",
        Ablation.ValueBias => ": zeros where value biases are folded into b_O, as TransformerLens folds them by default",
        Ablation.Mean when reference is null => ", each pair's without itself",
        _ => "",
    };

    /// <summary>What is put in, in a few words: <c>zeros</c>.</summary>
    /// <inheritdoc cref="Of"/>
    public static string InShort(Ablation ablation, string? reference) => ablation switch
    {
        Ablation.Zero => "zeros",
        Ablation.ValueBias => "its value bias",
        Ablation.Mean => $"its mean over {reference ?? "the other pairs"}",
        _ => reference is null ? "another pair's" : $"a prompt's of {reference}",
    };
}
