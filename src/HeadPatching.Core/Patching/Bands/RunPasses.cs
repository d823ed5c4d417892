using HeadPatching.Core.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Bands;

/// <summary>Some of the patched runs of a chunk, one after another, that are made in one batch.</summary>
/// <param name="First">The first of them.</param>
/// <param name="Count">How many they are.</param>
/// <param name="Start">The first position that is recomputed.</param>
/// <param name="Tile">How many of them, times pairs, are computed at a time.</param>
internal readonly record struct RunBatch(int First, int Count, int Start, int Tile);

/// <summary>Makes the patched runs of a batch and measures them, in a pass over the layers that other batches may share (<see cref="LayerPass"/>).</summary>
/// <param name="batch">The batch.</param>
/// <param name="measured">Given their metric, [runs, pairs].</param>
/// <returns>Each layer before it is gone through.</returns>
internal delegate IEnumerable<int> MeasureBatch(RunBatch batch, Action<Tensor> measured);

/// <summary>
/// The patched runs of a chunk, in batches that fit into memory. A batch is a pass over the layers by itself; or, where each pass reads the weights, as many
/// batches as can be held go through the layers together. They are cut as they would be one after another, so that their numbers are the same.
/// </summary>
/// <param name="model">The model.</param>
/// <param name="budget">How much memory a pass may take.</param>
/// <param name="pairs">How many pairs each run is on.</param>
/// <param name="length">Positions of the prompt.</param>
internal sealed class RunPasses(Transformer model, MemoryBudget budget, int pairs, int length)
{
    /// <summary>What goes through each layer before the runs of a pass do.</summary>
    public Func<IEnumerable<IEnumerable<int>>> Before { get; init; } = () => [];

    /// <summary>How many streams a run holds at the most.</summary>
    public int StreamsOfRun { get; init; } = 1;

    /// <summary>Makes all of them.</summary>
    /// <param name="count">How many runs there are.</param>
    /// <param name="alike">Of a run, how many from it on may be in a batch with it, and their first position that is recomputed.</param>
    /// <param name="measure">Makes and measures the runs of a batch.</param>
    /// <param name="take">Given each batch when its pass is made, and the metric of its runs, [run * pair].</param>
    /// <param name="tooLittle">What to throw where a run does not fit by itself.</param>
    /// <param name="cancellation">Looked at before each pass.</param>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public void Run(
        int count,
        Func<int, (int Alike, int Start)> alike,
        MeasureBatch measure,
        Action<RunBatch, double[]> take,
        Func<RunBatch, Exception, Exception> tooLittle,
        CancellationToken cancellation)
    {
        List<RunBatch> pass = [];
        HalvingBatches.Run(model, count, budget.Batch(model), CutPass, (_, _) => RunPass(), cause => tooLittle(pass[0], cause), cancellation);

        BatchCut CutPass(int left, BatchMemory memory)
        {
            pass = [];
            var takes = new BatchMemory(0, 0);
            for (int at = count - left; at < count; at += pass[^1].Count)
            {
                var (rest, start) = alike(at);
                BatchCut batch = MemoryBudget.Cut(
                    model.Config, model.Dtype, model.Device.type == DeviceType.CPU, rest, pairs, length - start, length, memory with { Held = memory.Held / StreamsOfRun });
                long held = StreamsOfRun * batch.Takes.Held;
                if (pass.Count > 0 && (model.Weights.Streamed is null || takes.Held + held > memory.Held))
                {
                    break;
                }

                pass.Add(new RunBatch(at, batch.Count, start, batch.Tile));
                takes = new BatchMemory(takes.Held + held, Math.Max(takes.Step, batch.Takes.Step));
            }

            return new BatchCut(pass.Sum(batch => batch.Count), pass.Max(batch => batch.Tile), takes);
        }

        int RunPass()
        {
            double[][] measured = new double[pass.Count][];
            using (inference_mode())
            using (NewDisposeScope())
            {
                LayerPass.Run([.. Before(), .. pass.Select((batch, index) => measure(batch, one => measured[index] = [.. one.to(ScalarType.Float64).cpu().data<double>()]))]);
            }

            foreach (var (batch, metric) in pass.Zip(measured))
            {
                take(batch, metric);
            }

            return pass.Count;
        }
    }
}
