using System.Globalization;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Attribution;
using static TorchSharp.torch;

namespace HeadPatching.Benchmarks;

/// <summary>How far the estimates of both gradients are from the exact effects, over all heads of a model.</summary>
internal static class EstimateErrors
{
    public static int Run(ModelWithPairs measured)
    {
        using Transformer model = ModelFolder.Load(measured.Folder, ScalarType.Float32, CPU);
        Console.WriteLine($"{measured.Name}, {measured.Pairs.Count} pairs, logit difference, all positions: |estimated effect - exact effect| over heads.");
        Console.WriteLine("| patch, direction | strongest | exact | frozen-norms | plain | mean error, frozen-norms | plain | largest error, frozen-norms | plain |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|---|");
        foreach (Patch patch in AttributionRun.Patches)
        {
            foreach (Direction direction in Enum.GetValues<Direction>())
            {
                var options = new PatchOptions { Patch = patch, Direction = direction };
                double[] exact = measured.Effects(model, options, InMemorySweep.Run(model, measured.Pairs, options, new LogitDifference(), MemoryBudget.Default));
                double[] frozen = Estimated(Gradient.FrozenNorms), plain = Estimated(Gradient.Plain);
                int strongest = Array.IndexOf(exact, exact.MaxBy(Math.Abs));
                int columns = exact.Length / model.Config.Layers;
                var (frozenMean, frozenLargest) = ModelWithPairs.Distance(frozen, exact);
                var (plainMean, plainLargest) = ModelWithPairs.Distance(plain, exact);
                Console.WriteLine(
                    $"| {patch}, {direction} | L{strongest / columns}H{strongest % columns} | {Text(exact[strongest])} | {Text(frozen[strongest])} | {Text(plain[strongest])} "
                    + $"| {Text(frozenMean)} | {Text(plainMean)} | {Text(frozenLargest)} | {Text(plainLargest)} |");

                double[] Estimated(Gradient gradient) => measured.Effects(
                    model, options, InMemorySweep.Estimate(model, measured.Pairs, options, new LogitDifference(), MemoryBudget.Default, gradient));
            }
        }

        return 0;
    }

    private static string Text(double value) => value.ToString("F4", CultureInfo.InvariantCulture);
}
