using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Engine;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Testing;
using static TorchSharp.torch;

namespace HeadPatching.Sweeps.Tests.Engine;

/// <summary>Ablations of z as a sweep, over several chunks and prompts of two lengths, held against plain runs of the whole model.</summary>
public sealed class AblationTests : IDisposable
{
    private readonly SmallSweeps _sweeps = new();

    [Theory]
    [InlineData(Ablation.Zero, null)]
    [InlineData(Ablation.Mean, null)]
    [InlineData(Ablation.Resample, null)]
    [InlineData(Ablation.Mean, Direction.Denoise)]
    [InlineData(Ablation.Resample, Direction.Denoise)]
    public async Task Every_head_is_ablated_as_a_plain_run_would(Ablation ablation, Direction? direction)
    {
        var request = SmallSweeps.Request() with { Ablation = ablation, Direction = direction };
        SweepResult result = await _sweeps.SweepAsync(request);
        Assert.Equal(direction ?? Direction.Noise, result.Direction); // the clean run is what is ablated, unless told otherwise
        Assert.Equal(ablation, result.Ablation);

        using Transformer model = _sweeps.LoadModel();
        using var scope = NewDisposeScope();
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
        SweepRequest request = SmallSweeps.Request() with { Ablation = Ablation.Resample, Seed = 1 };
        SweepResult one = await _sweeps.SweepAsync(request), again = await _sweeps.SweepAsync(request), other = await _sweeps.SweepAsync(request with { Seed = 2 });
        Assert.Equal(one.Heatmap, again.Heatmap);
        Assert.NotEqual(one.Heatmap, other.Heatmap);
    }

    [Fact]
    public async Task What_cannot_be_ablated_is_refused_before_anything_runs()
    {
        SweepStatus z = await _sweeps.RunAsync(SmallSweeps.Request() with { Ablation = Ablation.Zero, Patch = Patch.V });
        Assert.Equal("ablation", Assert.Single(z.Error!.Faults).Where);

        SweepStatus alone = await _sweeps.RunAsync(SmallSweeps.Request() with { Ablation = Ablation.Resample, PairIndices = [0, 12] });
        Assert.Contains("pair 0, 12", Assert.Single(alone.Error!.Faults).Message, StringComparison.Ordinal);
    }

    public void Dispose() => _sweeps.Dispose();
}
