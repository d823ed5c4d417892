using System.Diagnostics;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Prompts;
using TorchSharp;
using static TorchSharp.torch;

namespace HeadPatching.Benchmarks;

/// <summary>The least time that the machine could take: the operations that must be done, at the rate of its own large matrix product.</summary>
internal static class Floor
{
    /// <summary>Floating-point operations a second of a large square product, the median over a second: by the clock, and by processor time.</summary>
    public static (double ByClock, double ByProcessor) MatmulRate(Device device, ScalarType dtype)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        int size = MatmulSize(device);
        Tensor a = Random(), b = Random(), c = Random();
        var rates = new List<double>();
        var processorRates = new List<double>();
        MatmulOut(c, a, b);
        Finish(device);
        long until = Stopwatch.GetTimestamp() + Stopwatch.Frequency;
        while (Stopwatch.GetTimestamp() < until)
        {
            long started = Stopwatch.GetTimestamp();
            double processor = ProcessorSeconds();
            for (int i = 0; i < 5; i++)
            {
                MatmulOut(c, a, b);
            }

            Finish(device);
            double operations = 5 * 2.0 * size * size * size;
            rates.Add(operations / Stopwatch.GetElapsedTime(started).TotalSeconds);
            processorRates.Add(operations / (ProcessorSeconds() - processor));
        }

        return (Median(rates), Median(processorRates));

        static double Median(List<double> values)
        {
            values.Sort();
            return values[values.Count / 2];
        }

        Tensor Random() => randn(size, size).to(dtype, device);

        static void MatmulOut(Tensor into, Tensor left, Tensor right) => into.addmm_(left, right, beta: 0);
    }

    /// <summary>
    /// The processor time of this process so far, in seconds. With one thread the ratio of two such times is what it would be on a quiet machine,
    /// whoever else computes on this one; with several, threads that wait for each other count too.
    /// </summary>
    public static double ProcessorSeconds()
    {
        using var process = Process.GetCurrentProcess();
        return process.TotalProcessorTime.TotalSeconds;
    }

    /// <summary>The side of the product: one that is at full speed on a CPU is too small for a GPU.</summary>
    public static int MatmulSize(Device device) => device.type == DeviceType.CUDA ? 8192 : 1024;

    /// <summary>Waits for a GPU, which works on after a call has returned: a clock is read only after this.</summary>
    public static void Finish(Device device)
    {
        if (device.type == DeviceType.CUDA)
        {
            cuda.synchronize(device);
        }
    }

    /// <summary>The operations of edges over all pairs, in the chunks that they run in; see <see cref="Cost"/>.</summary>
    public static double Operations(ModelConfig config, IReadOnlyList<IReadOnlyList<TokenPair>> chunks, IReadOnlyList<Edge> edges) => chunks.Sum(chunk =>
        Cost.OfCaching(config, chunk.Count, chunk[0].Length, CachingRun.StartOf(chunk)) + Cost.OfEdges(config, edges, ungrouped: false, chunk, CachingRun.StartOf(chunk)));

    /// <summary>The operations of our algorithm over all pairs, in the chunks that they run in; see <see cref="Cost"/>.</summary>
    public static double Operations(ModelConfig config, IReadOnlyList<IReadOnlyList<TokenPair>> chunks, PatchOptions options) => chunks.Sum(chunk =>
        Cost.OfCaching(config, chunk.Count, chunk[0].Length, CachingRun.StartOf(chunk)) + Cost.OfBand(config, options, chunk, 0, config.Layers - 1));
}
