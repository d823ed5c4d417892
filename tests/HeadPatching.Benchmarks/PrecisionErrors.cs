using System.Globalization;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using static TorchSharp.torch;

namespace HeadPatching.Benchmarks;

/// <summary>How far the effects of a lower precision are from those of float64, over all heads of a model.</summary>
internal static class PrecisionErrors
{
    private static readonly ScalarType[] Lower = [ScalarType.Float32, ScalarType.BFloat16];

    public static int Run(ModelWithPairs measured)
    {
        Console.WriteLine($"{measured.Name}, {measured.Pairs.Count} pairs, logit difference, all positions: |effect - effect in float64| over heads.");
        using Transformer exactModel = ModelFolder.Load(measured.Folder, ScalarType.Float64, CPU);
        Console.WriteLine("| dtype | patch, direction | largest effect | mean error | largest error |");
        Console.WriteLine("|---|---|---|---|---|");
        foreach (ScalarType dtype in Lower)
        {
            using Transformer model = ModelFolder.Load(measured.Folder, dtype, CPU);
            foreach (Patch patch in (Patch[])[Patch.Z, Patch.Pattern, Patch.V, Patch.Q, Patch.K])
            {
                foreach (Direction direction in Enum.GetValues<Direction>())
                {
                    var options = new PatchOptions { Patch = patch, Direction = direction };
                    double[] exact = Effects(exactModel, options);
                    var (mean, largest) = ModelWithPairs.Distance(Effects(model, options), exact);
                    Console.WriteLine(string.Create(
                        CultureInfo.InvariantCulture, $"| {dtype.Name()} | {patch}, {direction} | {exact.Max(Math.Abs):F3} | {mean:E1} | {largest:E1} |"));
                }
            }
        }

        return 0;

        double[] Effects(Transformer model, PatchOptions options) =>
            measured.Effects(model, options, InMemorySweep.Run(model, measured.Pairs, options, new LogitDifference(), MemoryBudget.Default));
    }
}
