using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using HeadPatching.Testing;
using static TorchSharp.torch;

namespace HeadPatching.Sweeps.Tests.Engine;

/// <summary>Ablations of z as a sweep, over several chunks and prompts of two lengths, held against plain runs of the whole model.</summary>
public sealed class AblationTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Theory]
    [InlineData(Ablation.Zero, null)]
    [InlineData(Ablation.Mean, null)]
    [InlineData(Ablation.Resample, null)]
    [InlineData(Ablation.Mean, Direction.Denoise)]
    [InlineData(Ablation.Resample, Direction.Denoise)]
    public async Task Every_head_is_ablated_as_a_plain_run_would(Ablation ablation, Direction? direction)
    {
        var request = Request() with { Ablation = ablation, Direction = direction };
        SweepResult result = await SweepAsync(request);
        Assert.Equal(direction ?? Direction.Noise, result.Direction); // the clean run is what is ablated, unless told otherwise
        Assert.Equal(ablation, result.Ablation);

        using Transformer model = ModelFolder.Load(_folder["models/small"], ScalarType.Float64, CPU);
        TokenPair[] pairs = [.. result.Pairs.Select(pair => new TokenPair(pair.Index, pair.CleanTokens, pair.CorruptedTokens, pair.Correct, pair.Incorrect))];
        IReadOnlyList<int> Prompt(TokenPair pair) => result.Direction == Direction.Noise ? pair.Clean : pair.Corrupted;
        Tensor[][] z = [.. pairs.Select(pair => PlainRun.Z(model, Prompt(pair)))]; // [pair][layer], each [heads, position, d_head]
        IReadOnlyList<int> donors = Donors.Draw(pairs, request.Seed);
        for (int p = 0; p < pairs.Length; p++)
        {
            for (int layer = 0; layer < model.Config.Layers; layer++)
            {
                for (int head = 0; head < model.Config.Heads; head++)
                {
                    double expected = PlainRun.LogitDifference(model, pairs[p], Prompt(pairs[p]), (l, own) =>
                    {
                        if (l != layer)
                        {
                            return own;
                        }

                        Tensor changed = own.clone();
                        for (int position = 0; position < pairs[p].Length; position++)
                        {
                            changed[head, position].copy_(PutIn(p, layer, head, position));
                        }

                        return changed;
                    });
                    Assert.Equal(expected, result.Pairs[p].PatchedMetric![layer][head], 1e-9);
                }
            }
        }

        Tensor PutIn(int pair, int layer, int head, int position) => ablation switch
        {
            Ablation.Zero => zeros_like(z[pair][layer][head, position]),
            Ablation.Mean => stack(z.Where(of => of[layer].shape[1] > position).Select(of => of[layer][head, position])).mean([0]),
            _ => z[donors[pair]][layer][head, position],
        };
    }

    [Fact]
    public async Task The_seed_draws_who_gives_to_whom()
    {
        SweepRequest request = Request() with { Ablation = Ablation.Resample, Seed = 1 };
        SweepResult one = await SweepAsync(request), again = await SweepAsync(request), other = await SweepAsync(request with { Seed = 2 });
        Assert.Equal(one.Heatmap, again.Heatmap);
        Assert.NotEqual(one.Heatmap, other.Heatmap);
    }

    [Fact]
    public async Task What_cannot_be_ablated_is_refused_before_anything_runs()
    {
        SweepStatus z = await RunAsync(Request() with { Ablation = Ablation.Zero, Patch = Patch.V });
        Assert.Equal("ablation", Assert.Single(z.Error!.Faults).Where);

        SweepStatus alone = await RunAsync(Request() with { Ablation = Ablation.Resample, PairIndices = [0, 12] });
        Assert.Contains("pair 0, 12", Assert.Single(alone.Error!.Faults).Message, StringComparison.Ordinal);
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>Twelve pairs of 9 tokens and three of 6; a chunk holds eight pairs at the most.</summary>
    private static SweepRequest Request() => new()
    {
        Model = "small",
        Dtype = "float64",
        Pairs = [.. Enumerable.Range(0, 15).Select(i => Pair(i, length: i < 12 ? 9 : 6))],
    };

    private static PromptPair Pair(int i, int length)
    {
        int[] clean = [.. Enumerable.Range(0, length).Select(p => ((i * 7) + (p * 5)) % 50)];
        int[] corrupted = [.. clean];
        corrupted[1 + (i % 3)] += 1;
        return new PromptPair(Prompt.Of(clean), Prompt.Of(corrupted), Answer.Of(1), Answer.Of(2));
    }

    private async Task<SweepResult> SweepAsync(SweepRequest request)
    {
        SweepStatus status = await RunAsync(request);
        Assert.True(status.Status == SweepState.Completed, status.Error?.Message);
        var store = new LocalArtifactStore(_folder["store"]);
        return await store.RequireJsonAsync<SweepResult>(SweepArtifacts.Result(status.Id, "results.json"), TestContext.Current.CancellationToken);
    }

    private async Task<SweepStatus> RunAsync(SweepRequest request)
    {
        if (!Directory.Exists(_folder["models/small"]))
        {
            RandomModelFolder.Write(_folder["models/small"], layers: 2, heads: 4, width: 32, vocabulary: 60, context: 16, seed: 5);
        }

        await using var engine = new InProcessEngine(new LocalArtifactStore(_folder["store"]), new ModelCatalog(_folder["models"]));
        return await engine.RunAsync(SweepIds.New(), request, TestContext.Current.CancellationToken);
    }
}
