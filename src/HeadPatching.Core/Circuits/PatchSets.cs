using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Bands;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Circuits;

/// <summary>What the runs of many sets gave.</summary>
/// <param name="Baselines">The unpatched metrics of each pair, in the order of the pairs.</param>
/// <param name="Patched">The metric of each set on each pair, [set][pair].</param>
public sealed record PatchSetRuns(IReadOnlyList<Baseline> Baselines, double[][] Patched);

/// <summary>Runs of patched sets of nodes, in one call: many sets and pairs a batch, one chunk's activations held at a time.</summary>
public static class PatchSets
{
    /// <summary>Runs every set on every pair.</summary>
    /// <param name="model">The model.</param>
    /// <param name="pairs">The pairs; their lengths may differ from pair to pair.</param>
    /// <param name="sets">The sets.</param>
    /// <param name="direction">Denoise: the corrupted run, with the set's nodes as they are in the clean one. Noise: the other way round.</param>
    /// <param name="metric">What is measured.</param>
    /// <param name="budget">How much memory it may take beside the weights.</param>
    /// <param name="progress">Told after each batch how many patched runs it made.</param>
    /// <param name="putIn">What heads take instead of the other run's z; null: that.</param>
    /// <param name="cancellation">Looked at before each step of a batch.</param>
    /// <exception cref="InvalidInputException">The model has no such node, or a pair no such position; or a metric is not finite.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="InsufficientMemoryException">Not even one set on one pair fits into the device's memory.</exception>
    public static PatchSetRuns Run(
        Transformer model,
        IReadOnlyList<TokenPair> pairs,
        IReadOnlyList<PatchSet> sets,
        Direction direction,
        IMetric metric,
        MemoryBudget budget,
        Action<long>? progress = null,
        PutIn? putIn = null,
        CancellationToken cancellation = default)
    {
        Fault[] faults = [.. sets.SelectMany((set, index) => set.Faults(model.Config, pairs, $"sets[{index}]").Concat(putIn is null ? [] : set.FaultsOfAblation($"sets[{index}]")))];
        if (faults.Length > 0)
        {
            throw new InvalidInputException(faults);
        }

        Dictionary<int, int> places = pairs.Index().ToDictionary(pair => pair.Item.Index, pair => pair.Index);
        double[][] patched = [.. sets.Select(_ => new double[pairs.Count])];
        int[] patching = [.. Enumerable.Range(0, sets.Count).Where(set => sets[set].Nodes.Count > 0)];
        InMemorySweep.Chunked chunked = InMemorySweep.OverChunks(model, pairs, metric, budget, fromFirstPosition: putIn is not null, Patch, cancellation, attribute: false, runsItself: model.Weights.Streamed is not null);
        return new PatchSetRuns([.. pairs.Select(pair => chunked.Baselines[pair.Index])], patched);

        void Patch(ChunkCaching caching)
        {
            IReadOnlyList<TokenPair> chunk = caching.Pairs;
            int[] at = [.. chunk.Select(pair => places[pair.Index])];
            int length = chunk[0].Length, start = caching.Activations.Start;
            int[] running = start == length ? [] : patching;
            using var run = new PatchSetRun(model, chunk, caching.Activations, direction, putIn);
            var passes = new RunPasses(model, budget, chunk.Count, length) { Before = () => [caching.Steps(cancellation), .. run.Before()] };
            passes.Run(running.Length, first => (running.Length - first, start), Measure, Take, (_, cause) => OutOfMemory.OfOneHead(0, chunk.Count, length, model.Device, cause), cancellation);
            caching.Run(cancellation);                                        // where no set was run
            foreach (double[] own in patched.Index().Where(set => !running.Contains(set.Index)).Select(set => set.Item))
            {
                for (int pair = 0; pair < chunk.Count; pair++)
                {
                    own[at[pair]] = caching.Baselines[pair].FromTo(direction).From;
                }
            }

            IEnumerable<int> Measure(RunBatch batch, Action<Tensor> measured)
            {
                Tensor final = null!;                                         // [sets, pairs, d_model]
                foreach (int layer in run.Steps([.. running[batch.First..(batch.First + batch.Count)].Select(set => sets[set])], batch.Tile, ends => final = ends, cancellation))
                {
                    yield return layer;
                }

                yield return model.Config.Layers;                             // the unembedding, after all layers of all batches
                measured(metric.Measure(model, final, caching.Measured));
            }

            void Take(RunBatch batch, double[] values)
            {
                if (Array.FindIndex(values, value => !double.IsFinite(value)) is >= 0 and int broken)
                {
                    throw FiniteNumbers.OfSet(chunk[broken % chunk.Count].Index, $"{sets[running[batch.First + (broken / chunk.Count)]]}");
                }

                for (int value = 0; value < values.Length; value++)
                {
                    patched[running[batch.First + (value / chunk.Count)]][at[value % chunk.Count]] = values[value];
                }

                progress?.Invoke(values.Length);
            }
        }
    }
}
