using System.Diagnostics;
using TorchSharp;
using static TorchSharp.torch;

namespace HeadPatching.Benchmarks;

/// <summary>The least time that the machine could take: the operations that must be done, at the rate of its own large matrix product.</summary>
internal static class Floor
{
    /// <summary>Floating-point operations a second of a large square product, the median over a second.</summary>
    public static double MatmulRate(Device device, ScalarType dtype)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        int size = MatmulSize(device);
        Tensor a = Random(), b = Random(), c = Random();
        var rates = new List<double>();
        MatmulOut(c, a, b);
        Finish(device);
        long until = Stopwatch.GetTimestamp() + Stopwatch.Frequency;
        while (Stopwatch.GetTimestamp() < until)
        {
            long started = Stopwatch.GetTimestamp();
            for (int i = 0; i < 5; i++)
            {
                MatmulOut(c, a, b);
            }

            Finish(device);
            rates.Add(5 * 2.0 * size * size * size / Stopwatch.GetElapsedTime(started).TotalSeconds);
        }

        rates.Sort();
        return rates[rates.Count / 2];

        Tensor Random() => randn(size, size).to(dtype, device);

        static void MatmulOut(Tensor into, Tensor left, Tensor right) => into.addmm_(left, right, beta: 0);
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

    /// <summary>The operations of our algorithm over all pairs: every product and every attention score, nothing for norms and activations.</summary>
    public static double Operations(Workload w)
    {
        double d = w.Width, mlp = 16 * d * d;                                 // a position's MLP: two products of d x 4d
        double qkv = 6 * d * d, kv = 4 * d * d, q = 2 * d * d, output = 2 * d * d;
        double Attention(double queries) => 4 * queries * w.Tokens * d;       // scores and their sum, each 2 d a key

        double caching = 2 * w.Layers * ((w.Tokens * (qkv + output + mlp)) + Attention(w.Tokens));
        double patching = 0;
        foreach (int start in w.EachPosition ? Enumerable.Range(w.FirstDifference, w.Tokens - w.FirstDifference) : [w.FirstDifference])
        {
            double n = w.Tokens - start;
            for (int layer = 0; layer < w.Layers; layer++)
            {
                bool last = layer == w.Layers - 1;
                if (last && w.EachPosition && n > 1)
                {
                    continue;                                                 // nothing looks at an earlier position's z after the last layer
                }

                double own = last ? 1 : n;                                    // the patched layer: the head's own write, and the MLP
                double perRun = own * ((2 * d * d / w.Heads) + mlp);
                perRun += Math.Max(0, w.Layers - layer - 2) * ((n * (qkv + output + mlp)) + Attention(n));
                perRun += last ? 0 : (n * kv) + q + output + mlp + Attention(1);
                patching += w.Heads * perRun;
            }
        }

        return w.Pairs * (caching + patching);
    }
}
