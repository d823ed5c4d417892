using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Testing;
using static TorchSharp.torch;

namespace HeadPatching.Sweeps.Tests.Engine;

/// <summary>Sweeps of a small random model in float64, over three chunks and prompts of two lengths.</summary>
internal sealed class SmallSweeps : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public SmallSweeps()
    {
        RandomModelFolder.Write(_folder["models/small"], layers: 2, heads: 4, width: 32, vocabulary: 60, context: 16, seed: 5);
    }

    /// <summary>Twelve pairs of 9 tokens and three of 6; a chunk holds eight pairs at the most.</summary>
    public static SweepRequest Request() => new()
    {
        Model = "small",
        Dtype = "float64",
        Pairs = [.. Enumerable.Range(0, 15).Select(i => Pair(i, length: i < 12 ? 9 : 6))],
    };

    /// <summary>The pairs of a result, as the model sees them.</summary>
    public static IReadOnlyList<TokenPair> Pairs(SweepResult result) =>
        [.. result.Pairs.Select(pair => new TokenPair(pair.Index, pair.CleanTokens, pair.CorruptedTokens, pair.Correct, pair.Incorrect))];

    public Transformer LoadModel() => ModelFolder.Load(_folder["models/small"], ScalarType.Float64, CPU);

    public async Task<SweepResult> SweepAsync(SweepRequest request)
    {
        SweepStatus status = await RunAsync(request);
        Assert.True(status.Status == SweepState.Completed, status.Error?.Message);
        var store = new LocalArtifactStore(_folder["store"]);
        return await store.RequireJsonAsync<SweepResult>(SweepArtifacts.Result(status.Id, "results.json"), TestContext.Current.CancellationToken);
    }

    public async Task<SweepStatus> RunAsync(SweepRequest request)
    {
        await using var engine = new InProcessEngine(new LocalArtifactStore(_folder["store"]), new ModelCatalog(_folder["models"]), reports: []);
        return await engine.RunAsync(SweepIds.New(), request, TestContext.Current.CancellationToken);
    }

    public void Dispose() => _folder.Dispose();

    private static PromptPair Pair(int i, int length)
    {
        int[] clean = [.. Enumerable.Range(0, length).Select(p => ((i * 7) + (p * 5)) % 50)];
        int[] corrupted = [.. clean];
        corrupted[1 + (i % 3)] += 1;
        return new PromptPair(Prompt.Of(clean), Prompt.Of(corrupted), Answer.Of(1), Answer.Of(2));
    }
}
