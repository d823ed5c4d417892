using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Models.Families.Configs;

/// <summary>
/// Reads a rotary embedding out of a config.json: its base, and what is in <c>rope_scaling</c> (transformers 4) or
/// <c>rope_parameters</c> (transformers 5). A scaling that is not known is refused, and so is any field that is not known within it.
/// </summary>
/// <param name="fields">The whole config.json.</param>
/// <param name="headWidth">d_head, null where that could not be read.</param>
/// <param name="baseField">The family's field of the base.</param>
/// <param name="fractionField">The family's field of how much of d_head is turned.</param>
/// <param name="missingFraction">That fraction where it is not said.</param>
/// <param name="missingBase">The base where it is not said.</param>
internal sealed class RotaryReader(
    ConfigFields fields, int? headWidth, string baseField, string fractionField, double missingFraction, double missingBase = RotaryReader.DefaultBase)
{
    /// <summary>The base in transformers, where a family has no other.</summary>
    public const double DefaultBase = 10_000;

    private static readonly string[] OfEvery = ["rope_type", "type", "rope_theta", "partial_rotary_factor"];

    private static readonly Dictionary<string, string[]> OfType = new(StringComparer.Ordinal)
    {
        ["default"] = [],
        ["linear"] = ["factor"],
        ["llama3"] = ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"],
        ["yarn"] = ["factor", "beta_fast", "beta_slow", "original_max_position_embeddings", "attention_factor", "mscale", "mscale_all_dim", "truncate"],
        ["longrope"] = ["short_factor", "long_factor", "factor", "original_max_position_embeddings", "attention_factor"],
    };

    /// <summary>Reads it; null where config.json is at fault.</summary>
    public Rotary? Read()
    {
        string[] places = ["rope_scaling", "rope_parameters"];
        Rotary[] said = [.. places.Select(fields.Object).OfType<ConfigFields>().Select(Read).OfType<Rotary>()];
        if (said.Distinct().Count() > 1)
        {
            fields.AddFault(FaultKinds.UnsupportedModel, "rope_scaling and rope_parameters say different things; keep the one that is right.");
        }

        return said.Length > 0 ? said[0] : Plain(fields, fields);
    }

    /// <summary>Reads what an object says of a scaling; null where it is at fault.</summary>
    public Rotary? Read(ConfigFields scaling)
    {
        string said = scaling.Text("rope_type") ?? scaling.Text("type") ?? "default";

        // Phi-3's first files call it su, or yarn, and mean the same.
        string type = said == "su" || scaling.Has("short_factor") ? "longrope" : said;
        if (!OfType.TryGetValue(type, out string[]? known))
        {
            scaling.AddFault(FaultKinds.UnsupportedModel, $"rope_type is {Untrusted.Show(said)}; supported are {string.Join(", ", OfType.Keys)}.");
            return null;
        }

        scaling.Refuse([.. scaling.Names.Except([.. OfEvery, .. known])]);
        Rotary? plain = Plain(scaling.Has("rope_theta") ? scaling : fields, scaling.Has("partial_rotary_factor") ? scaling : fields);
        return plain is null ? null : type switch
        {
            "linear" => plain with { Factor = scaling.Positive("factor", missing: null) },
            "llama3" => plain with { Factor = scaling.Positive("factor", missing: null), Bands = ReadBands(scaling) },
            "yarn" => ReadYarn(scaling, plain),
            "longrope" => ReadLongRope(scaling, plain),
            _ => plain,
        };
    }

    /// <summary>The embedding without any scaling; null where config.json is at fault.</summary>
    public Rotary? Plain() => Plain(fields, fields);

    /// <summary>The embedding without any scaling, from where the base and the fraction are said.</summary>
    private Rotary? Plain(ConfigFields withBase, ConfigFields withFraction)
    {
        double @base = withBase.Positive(ReferenceEquals(withBase, fields) ? baseField : "rope_theta", missingBase);
        string fractionName = ReferenceEquals(withFraction, fields) ? fractionField : "partial_rotary_factor";
        double fraction = withFraction.Positive(fractionName, missingFraction);
        if (headWidth is not int head)
        {
            return null;
        }

        double width = head * fraction;
        if (width > head || width < 2 || width % 2 != 0)
        {
            withFraction.AddFault(
                FaultKinds.UnsupportedModel,
                FormattableString.Invariant($"{fractionName} {fraction} of the {head} entries of a head are {width}; it must be an even number, at most {head}."));
            return null;
        }

        return new Rotary { Width = (int)width, Base = @base };
    }

    private static RotaryBands ReadBands(ConfigFields scaling)
    {
        double low = scaling.Positive("low_freq_factor", missing: null);
        double high = scaling.Positive("high_freq_factor", missing: null);
        int original = scaling.Size("original_max_position_embeddings", Limits.Context) ?? 1;
        if (high <= low && scaling.Has("low_freq_factor") && scaling.Has("high_freq_factor"))
        {
            scaling.AddFault(FaultKinds.UnsupportedModel, "high_freq_factor must be above low_freq_factor.");
        }

        return new RotaryBands(low, high, original);
    }

    /// <summary>YaRN (Peng et al. 2023) as transformers has it: from how often a pair turns over the original context to its place.</summary>
    private Rotary ReadYarn(ConfigFields scaling, Rotary plain)
    {
        double factor = scaling.Positive("factor", missing: null);
        double fast = scaling.Positive("beta_fast", missing: 32), slow = scaling.Positive("beta_slow", missing: 1);
        int original = scaling.Integer("original_max_position_embeddings", 1, Limits.Context) ?? MaxPositions();
        double from = Place(fast), to = Place(slow);
        if (scaling.Flag("truncate", missing: true))
        {
            (from, to) = (Math.Floor(from), Math.Ceiling(to));
        }

        from = Math.Max(from, 0);
        to = Math.Min(to, plain.Width - 1);
        double? mscale = Said("mscale"), mscaleOfAll = Said("mscale_all_dim");
        double scale = mscale is double one && mscaleOfAll is double all ? Length(one) / Length(all) : Length(1);
        return plain with
        {
            Factor = factor,
            Ramp = new RotaryRamp(from, from == to ? to + 0.001 : to),
            Scale = scaling.Positive("attention_factor", scale),
        };

        double Place(double turns) => plain.Width * Math.Log(original / (turns * 2 * Math.PI)) / (2 * Math.Log(plain.Base));

        double? Said(string name) => scaling.Has(name) ? scaling.Positive(name, missing: null) : null;

        double Length(double m) => factor <= 1 ? 1 : (0.1 * m * Math.Log(factor)) + 1;
    }

    private Rotary ReadLongRope(ConfigFields scaling, Rotary plain)
    {
        // The original context stands beside rope_scaling in Phi-3's files; where it stands nowhere, nothing was made longer.
        int? beside = fields.Integer("original_max_position_embeddings", 1, Limits.Context);
        int original = beside ?? scaling.Integer("original_max_position_embeddings", 1, Limits.Context) ?? MaxPositions();
        double longer = beside is null && scaling.Has("factor") ? scaling.Positive("factor", missing: null) : (double)MaxPositions() / original;
        double scale = longer <= 1 ? 1 : Math.Sqrt(1 + (Math.Log(longer) / Math.Log(original)));
        return plain with
        {
            PairFactors = new RotaryPairFactors(scaling.Numbers("short_factor", plain.Width / 2), scaling.Numbers("long_factor", plain.Width / 2), original),
            Scale = scaling.Positive("attention_factor", scale),
        };
    }

    private int MaxPositions() => fields.Integer("max_position_embeddings", 1, Limits.Context) ?? 1;
}
