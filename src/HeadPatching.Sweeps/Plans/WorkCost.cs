using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;

namespace HeadPatching.Sweeps.Plans;

/// <summary>Counts what parts of a sweep cost, in floating-point operations: every matrix product, nothing for norms and activations.</summary>
internal static class WorkCost
{
    /// <summary>Both runs over a prompt.</summary>
    public static double Caching(ModelConfig config, int length) => 2.0 * config.Layers * length * PerPosition(config, length);

    /// <summary>The patched runs of a band of layers on one pair.</summary>
    public static double Band(ModelConfig config, ChunkWork work, TokenPair pair, int firstLayer, int lastLayer)
    {
        double perPosition = PerPosition(config, pair.Length);
        if (work is ChunkWork.Estimates)
        {
            return 3.0 * config.Layers * pair.Length * perPosition;           // forwards once, backwards twice that
        }

        var (positions, units, start) = work switch
        {
            ChunkWork.Heads heads => (heads.Options.Positions, Units.Of(config, heads.Options.Patch), heads.Options.Ablation is null ? pair.FirstDifference : 0),
            ChunkWork.Paths paths => (paths.Options.Positions, config.Heads, pair.FirstDifference),
            _ => throw new ArgumentOutOfRangeException(nameof(work), work, "There is no such work."),
        };
        double live = positions.In(pair).Sum(position => Math.Max(0, pair.Length - Math.Max(start, position ?? 0)));
        double cost = 0;
        for (int layer = firstLayer; layer <= lastLayer; layer++)
        {
            int run = work is ChunkWork.Heads { Only: { } only } ? only.GetValueOrDefault(layer)?.Length ?? 0 : units;
            cost += run * live * perPosition * (config.Layers - layer - 0.4); // its own MLP and all later layers
        }

        return cost;
    }

    /// <summary>The bytes of a pair's activations, both runs of every layer.</summary>
    public static long Bytes(ModelConfig config, int length, int bytesPerNumber, int layers) =>
        2L * layers * length * (config.Width + (2L * (config.Heads + config.KeyValueHeads) * config.HeadWidth)) * bytesPerNumber;

    private static double PerPosition(ModelConfig config, int length)
    {
        double heads = (double)config.Heads * config.HeadWidth, keyValues = (double)config.KeyValueHeads * config.HeadWidth;
        double attention = (2 * config.Width * (heads + (2 * keyValues))) + (2 * heads * config.Width) + (4 * heads * length);
        return attention + (2.0 * (config.GatedMlp ? 3 : 2) * config.Width * config.MlpWidth);
    }
}
