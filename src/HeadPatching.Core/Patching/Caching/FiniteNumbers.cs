using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Caching;

/// <summary>
/// A run whose numbers grow beyond what its type can hold has no effects to report. It is refused, and where it happened is said: the same
/// model and prompts come to the same numbers every time.
/// </summary>
internal static class FiniteNumbers
{
    /// <summary>The unpatched metrics, if all are finite.</summary>
    /// <exception cref="InvalidInputException">They are not; a fault for each pair says in which run and layer it began.</exception>
    public static IReadOnlyList<Baseline> Checked(IReadOnlyList<Baseline> baselines, Transformer model, IMetric metric, IReadOnlyList<TokenPair> pairs)
    {
        Fault[] faults =
        [
            .. pairs.Zip(baselines)
                .Where(pair => !double.IsFinite(pair.Second.Clean) || !double.IsFinite(pair.Second.Corrupted))
                .Select(pair => Fault(pair.First.Index, $"{Beginning(model, pair.First)}, so that its {metric.Name} is no number")),
        ];
        return faults.Length == 0 ? baselines : throw new InvalidInputException(faults);
    }

    /// <summary>The metrics of patched runs, [pair][position][unit], if all are finite.</summary>
    /// <exception cref="InvalidInputException">They are not; a fault for each pair names the first patch.</exception>
    public static double[][][] Checked(double[][][] patched, int layer, IReadOnlyList<int> pairs)
    {
        Fault[] faults = [.. pairs.Zip(patched, OfPair).OfType<Fault>()];
        return faults.Length == 0 ? patched : throw new InvalidInputException(faults);

        Fault? OfPair(int pair, double[][] positions)
        {
            int position = Array.FindIndex(positions, units => units.Any(value => !double.IsFinite(value)));
            return position < 0
                ? null
                : Fault(pair, $"With patch {Array.FindIndex(positions[position], value => !double.IsFinite(value))} of layer {layer} "
                    + $"{(positions.Length > 1 ? $"at position {position} " : "")}the run's numbers grow beyond what its type can hold");
        }
    }

    /// <summary>What to throw where a run with a set of nodes patched is not finite.</summary>
    /// <param name="pair">The pair's index.</param>
    /// <param name="set">The set.</param>
    public static InvalidInputException OfSet(int pair, string set) => new([Fault(pair, $"With the set {(set.Length > 100 ? $"{set[..100]}…" : set)} patched the run's numbers grow beyond what its type can hold")]);

    private static Fault Fault(int pair, string what) =>
        new(FaultKinds.NotFinite, $"pair {pair}", $"{what}. float64 reaches further; if it is not enough, the weights are not those of a working model.");

    /// <summary>Where the pair's runs stop being finite: found by running them again, layer by layer.</summary>
    private static string Beginning(Transformer model, TokenPair pair)
    {
        using var run = new CachingRun(model, [pair], start: 0);
        for (int layer = 0; layer < model.Config.Layers; layer++)
        {
            using LayerActivations activations = run.NextLayer();
            foreach (var (name, ofRun) in new[] { ("clean", activations.Clean), ("corrupted", activations.Corrupted) })
            {
                if (!IsFinite(ofRun.ResidPre!))
                {
                    return layer == 0 ? $"The {name} run is not finite from the embedding on" : Grows(name, layer - 1);
                }

                if (!IsFinite(ofRun.Z!))
                {
                    return Grows(name, layer);
                }
            }
        }

        using FinalResiduals final = run.Final();
        return !IsFinite(final.Clean) ? Grows("clean", model.Config.Layers - 1)
            : !IsFinite(final.Corrupted) ? Grows("corrupted", model.Config.Layers - 1)
            : $"The numbers of a run grow beyond what {model.Dtype.Name()} can hold after the last layer";

        string Grows(string name, int layer) => $"The {name} run's numbers grow beyond what {model.Dtype.Name()} can hold in layer {layer}";
    }

    private static bool IsFinite(Tensor tensor)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        return tensor.isfinite().all().item<bool>();
    }
}
