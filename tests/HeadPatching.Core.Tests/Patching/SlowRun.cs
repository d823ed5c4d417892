using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Patching;

/// <summary>A full pass with one activation of one head moved a little way to the other run's: what a gradient is held to.</summary>
internal static class SlowRun
{
    private const double Step = 1e-5;

    /// <summary>
    /// Each metric's slope, by central differences, as the activation goes from the patched run's to the source run's, at one position
    /// at a time: [metric][pair][position].
    /// </summary>
    public static double[][][] Slopes(
        Transformer model, IReadOnlyList<TokenPair> pairs, PatchOptions options, IReadOnlyList<IMetric> metrics, int layer, int head)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        int count = pairs.Count, length = pairs[0].Length;
        Tensor clean = Ids(pair => pair.Clean), corrupted = Ids(pair => pair.Corrupted);
        bool denoise = options.Direction == Direction.Denoise;
        Tensor patchedIds = denoise ? corrupted : clean;
        var (sourceFinal, source) = Run(denoise ? clean : corrupted, null);
        var (patchedFinal, patched) = Run(patchedIds, null);
        var measured = new MeasuredPairs(pairs, denoise ? sourceFinal : patchedFinal);

        // A run for every position and pair, moved at that position only: [position * pairs, position, ..]
        Tensor moves = (eye(length, dtype: model.Dtype).reshape(length, 1, length, 1) * (source - patched)).flatten(0, 1) * tensor(Step);
        Tensor everywhere = patchedIds.repeat(length, 1);
        Tensor further = Run(everywhere, moves).Final.reshape(length, count, -1), back = Run(everywhere, -moves).Final.reshape(length, count, -1);
        return [.. metrics.Select(Slope)];

        double[][] Slope(IMetric metric)
        {
            Tensor slopes = (metric.Measure(model, further, measured) - metric.Measure(model, back, measured)) / tensor(2 * Step); // [position, pairs]
            return [.. slopes.t().contiguous().data<double>().ToArray().Chunk(length)];
        }

        Tensor Ids(Func<TokenPair, IReadOnlyList<int>> prompt) => tensor(pairs.SelectMany(prompt).Select(id => (long)id).ToArray()).reshape(count, length);

        (Tensor Final, Tensor Activation) Run(Tensor ids, Tensor? move)
        {
            Tensor resid = model.Embed(ids);
            Tensor activation = resid;
            for (int l = 0; l < model.Config.Layers; l++)
            {
                var (q, k, v) = model.QueryKeyValue(l, resid);
                Touch(Patch.Q, q);
                Touch(Patch.K, k);
                Touch(Patch.V, v);
                Tensor pattern = model.Pattern(l, q, k);
                Touch(Patch.Pattern, pattern);
                Tensor z = pattern.matmul(v);
                Touch(Patch.Z, z);
                resid = resid.Plus(model.AttentionOut(l, z));
                resid = resid.Plus(model.MlpOut(l, resid));

                // [batch, heads, position, ..]
                void Touch(Patch patch, Tensor all)
                {
                    if (l == layer && patch == options.Patch)
                    {
                        Tensor own = all.select(1, head);
                        activation = own.clone();
                        _ = move is null ? own : own.AddInPlace(move);
                    }
                }
            }

            return (resid.select(1, -1), activation);
        }
    }
}
