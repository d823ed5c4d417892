using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Models.Families;

/// <summary>
/// Reads the rotary embedding out of a config.json: its base, and what is in <c>rope_scaling</c> (transformers 4) or
/// <c>rope_parameters</c> (transformers 5). A scaling that is not known is refused, and so is any field that is not known within it.
/// </summary>
internal static class RotaryReader
{
    private const double DefaultBase = 10_000; // in transformers, for every family here

    private static readonly string[] Scalings = ["rope_scaling", "rope_parameters"];

    /// <summary>Reads it; null where config.json is at fault.</summary>
    /// <param name="fields">The whole config.json.</param>
    /// <param name="headWidth">d_head, null where that could not be read.</param>
    /// <param name="baseField">The family's field of the base.</param>
    /// <param name="fractionField">The family's field of how much of d_head is turned.</param>
    /// <param name="missingFraction">That fraction where it is not said.</param>
    public static Rotary? Read(ConfigFields fields, int? headWidth, string baseField, string fractionField, double missingFraction)
    {
        Rotary[] said = [.. Scalings.Select(fields.Object).OfType<ConfigFields>().Select(ReadOne).OfType<Rotary>()];
        if (said.Distinct().Count() > 1)
        {
            fields.AddFault(FaultKinds.UnsupportedModel, "rope_scaling and rope_parameters say different things; keep the one that is right.");
        }

        return said.Length > 0 ? said[0] : Make(fields, fields);

        Rotary? ReadOne(ConfigFields scaling)
        {
            string type = scaling.Text("rope_type") ?? scaling.Text("type") ?? "default";
            string[] known = type switch
            {
                "default" => [],
                "linear" => ["factor"],
                "llama3" => ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"],
                _ => [.. scaling.Names],
            };
            if (type is not ("default" or "linear" or "llama3"))
            {
                scaling.AddFault(FaultKinds.UnsupportedModel, $"rope_type is {Untrusted.Show(type)}; supported are default, linear, llama3.");
                return null;
            }

            scaling.Refuse([.. scaling.Names.Except(["rope_type", "type", "rope_theta", "partial_rotary_factor", .. known])]);
            Rotary? plain = Make(scaling.Has("rope_theta") ? scaling : fields, scaling.Has("partial_rotary_factor") ? scaling : fields);
            return plain is null || type == "default"
                ? plain
                : plain with { Factor = scaling.Positive("factor", missing: null), Bands = type == "llama3" ? ReadBands(scaling) : null };
        }

        Rotary? Make(ConfigFields withBase, ConfigFields withFraction)
        {
            double @base = withBase.Positive(ReferenceEquals(withBase, fields) ? baseField : "rope_theta", DefaultBase);
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
}
