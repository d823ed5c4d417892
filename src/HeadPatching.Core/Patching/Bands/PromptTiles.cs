using HeadPatching.Core.Native;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Bands;

/// <summary>Patched prompts, runs by pairs, a tile at a time: what is computed of a tile lies in the cache, or fits the device.</summary>
internal static class PromptTiles
{
    /// <summary>Whole runs, as many as a tile holds and equally many in each; or, where it does not hold one, some pairs of a run.</summary>
    /// <param name="runs">Patched runs.</param>
    /// <param name="pairs">Pairs that each is run on.</param>
    /// <param name="prompts">How many patched prompts a tile holds.</param>
    /// <param name="compute">Computes a tile on one thread: its first run, runs, first pair, pairs.</param>
    /// <param name="cancellation">Looked at before each tile.</param>
    public static void ForEach(int runs, int pairs, int prompts, Action<int, int, int, int> compute, CancellationToken cancellation)
    {
        int runsAtOnce = Even(runs, Math.Max(1, prompts / pairs)), pairsAtOnce = Even(pairs, Math.Min(pairs, prompts));
        (int Run, int Pair)[] tiles =
        [
            .. from run in Enumerable.Range(0, (runs + runsAtOnce - 1) / runsAtOnce)
               from pair in Enumerable.Range(0, (pairs + pairsAtOnce - 1) / pairsAtOnce)
               select (run * runsAtOnce, pair * pairsAtOnce),
        ];
        ComputeThreads.ForEach(tiles.Length, tile =>
        {
            cancellation.ThrowIfCancellationRequested();
            var (run, pair) = tiles[tile];
            compute(run, Math.Min(runsAtOnce, runs - run), pair, Math.Min(pairsAtOnce, pairs - pair));
        });
    }

    /// <summary>The patched run's keys or values of the positions before, then the patches' own.</summary>
    /// <param name="earlier">[pairs, heads, positions before, d_head]; null where there are none</param>
    /// <param name="own">[runs * pairs, heads, positions, d_head]</param>
    /// <param name="runs">How many runs there are.</param>
    /// <returns>[runs * pairs, heads, all positions, d_head]</returns>
    public static Tensor WithEarlier(Tensor? earlier, Tensor own, int runs) => earlier is null
        ? own
        : cat([earlier.unsqueeze(0).expand(runs, -1, -1, -1, -1), own.unflatten(0, [runs, earlier.shape[0]])], 3).flatten(0, 1);

    private static int Even(int all, int most)
    {
        int parts = Math.Max(1, (all + most - 1) / most);
        return Math.Max(1, (all + parts - 1) / parts);
    }
}
