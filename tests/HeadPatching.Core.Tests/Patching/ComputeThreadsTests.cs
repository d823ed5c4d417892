using System.Globalization;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Testing;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Patching;

/// <summary>Threads that compute a piece each are as many as libtorch was told; where libtorch starts helpers for each of them, they take the cores from each other.</summary>
[Collection(nameof(RunsAlone))]
public sealed class ComputeThreadsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly int _threadsBefore = get_num_threads();

    [Fact]
    public void No_more_threads_compute_than_libtorch_was_told()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "What each thread computed is read from /proc.");
        RandomModelFolder.Write(_folder["model"], layers: 6, heads: 8, width: 256, vocabulary: 100, context: 32, seed: 1);
        using Transformer model = ModelFolder.Load(_folder["model"], ScalarType.Float32, CPU);
        int[] ids = [.. Enumerable.Range(0, 32)];
        TokenPair[] pairs = [.. Enumerable.Range(0, 8).Select(index => new TokenPair(index, ids, [.. ids.Select((id, at) => at == 1 ? 99 - index : id)], 1, 2))];

        set_num_threads(2);
        Dictionary<string, long> before = Computed();
        InMemorySweep.Run(model, pairs, new PatchOptions(), new LogitDifference(), MemoryBudget.Default);
        Assert.InRange(Computed().Count(thread => thread.Value > before.GetValueOrDefault(thread.Key)), 1, 2);
    }

    public void Dispose()
    {
        set_num_threads(_threadsBefore);
        _folder.Dispose();
    }

    /// <summary>The processor time of each such thread, in clock ticks; a helper has the name of the thread that it helps.</summary>
    private static Dictionary<string, long> Computed() => Directory.GetDirectories("/proc/self/task")
        .Select(thread => (thread, Stat: File.ReadAllText($"{thread}/stat")))
        .Where(one => one.Stat.Contains("(Compute)", StringComparison.Ordinal))
        .ToDictionary(one => one.thread, one => one.Stat[(one.Stat.IndexOf(')', StringComparison.Ordinal) + 2)..].Split(' ')[11..13].Sum(ticks => long.Parse(ticks, CultureInfo.InvariantCulture)));
}
