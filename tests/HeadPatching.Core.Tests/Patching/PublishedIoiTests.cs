using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Tests.Golden;
using HeadPatching.Testing;
using Xunit.Sdk;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Patching;

/// <summary>
/// The published matrices of GPT-2 small on indirect-object sentences come out of our sweep. The weights are not part of the repository:
/// the check runs where HEADPATCHING_GPT2_DIR names a folder with them. That it would notice a mistake is held by a small random model,
/// whose matrices come from whole forward passes, one pair and one head at a time.
/// </summary>
public sealed class PublishedIoiTests : IDisposable
{
    private const string Variable = "HEADPATCHING_GPT2_DIR";

    private readonly Transformer _small = Small();

    [Fact]
    [NeedsShared]
    public void GPT_2_small_has_the_published_matrices()
    {
        string? folder = Environment.GetEnvironmentVariable(Variable);
        if (string.IsNullOrEmpty(folder))
        {
            Assert.Skip($"{Variable} names no folder with GPT-2 small (config.json, model.safetensors, its tokenizer), which is not part of the repository.");
        }

        string published = SharedFolder.Require("golden/published/ioi-gpt2-small.json");

        // The saved figures are float32's of TransformerLens, whose folded norms and centred weights change no logit difference: what is
        // left between them and ours is rounding, and the four decimals of the two means that they were divided by.
        using Transformer model = ModelFolder.Load(folder, ScalarType.Float32, CPU);
        PublishedMatrices.Read(published).AssertReproducedBy(model, TextTokenizer.Load(folder), strongest: 10, bound: 1e-3);
    }

    [Fact]
    public void A_small_models_matrices_are_those_of_plain_forward_passes() =>
        PlainMatrices().AssertReproducedBy(_small, tokenizer: null, strongest: 10, bound: 1e-9);

    [Fact]
    public void Matrices_that_are_not_the_models_are_noticed()
    {
        PublishedMatrices matrices = PlainMatrices();
        foreach (PublishedMatrices wrong in new[]
        {
            matrices with { Z = matrices.Q },
            matrices with { K = [.. matrices.K.Reverse()] },
            matrices with { Pattern = [.. matrices.Pattern.Select(layer => layer.Reverse().ToArray())] },
            matrices with { CorruptedLogitDifference = -matrices.CleanLogitDifference },
        })
        {
            Assert.ThrowsAny<XunitException>(() => wrong.AssertReproducedBy(_small, tokenizer: null, strongest: 10, bound: 1e-3));
        }
    }

    public void Dispose() => _small.Dispose();

    private static Transformer Small()
    {
        using var folder = new TemporaryFolder();
        RandomModelFolder.Write(folder.Path, layers: 3, heads: 4, width: 32, vocabulary: 60, context: 16, seed: 5);
        return ModelFolder.Load(folder.Path, ScalarType.Float64, CPU);
    }

    /// <summary>Answers that are not the neighbour's turned around, so that clean and corrupted means are not each other's negative.</summary>
    private PublishedMatrices PlainMatrices()
    {
        var matrices = new PublishedMatrices
        {
            CleanLogitDifference = 0,
            CorruptedLogitDifference = 0,
            Prompts =
            [
                new(Prompt.Of([0, 7, 12, 33, 7, 41, 5]), [Answer.Of(12), Answer.Of(7)]),
                new(Prompt.Of([0, 7, 12, 33, 12, 41, 5]), [Answer.Of(8), Answer.Of(30)]),
                new(Prompt.Of([0, 51, 22, 3, 51, 18, 9]), [Answer.Of(22), Answer.Of(51)]),
                new(Prompt.Of([0, 51, 22, 3, 22, 18, 9]), [Answer.Of(14), Answer.Of(2)]),
            ],
            Z = [],
            Q = [],
            K = [],
            V = [],
            Pattern = [],
        };
        IReadOnlyList<TokenPair> pairs = matrices.Pairs(_small, tokenizer: null);
        double clean = pairs.Average(pair => Run(pair, pair.Clean, null, null));
        double corrupted = pairs.Average(pair => Run(pair, pair.Corrupted, null, null));
        return matrices with
        {
            CleanLogitDifference = clean,
            CorruptedLogitDifference = corrupted,
            Z = Matrix("z"),
            Q = Matrix("q"),
            K = Matrix("k"),
            V = Matrix("v"),
            Pattern = Matrix("pattern"),
        };

        double[][] Matrix(string what) => [.. Enumerable.Range(0, _small.Config.Layers).Select(layer =>
            Enumerable.Range(0, _small.Config.Heads).Select(head => (pairs.Average(pair => Patched(pair, what, layer, head)) - corrupted) / (clean - corrupted)).ToArray())];
    }

    /// <summary>The logit difference of a corrupted run with one activation of one head taken from the clean run.</summary>
    private double Patched(TokenPair pair, string what, int layer, int head)
    {
        using var scope = NewDisposeScope();
        Tensor? kept = null;
        Run(pair, pair.Clean, $"{layer}.{what}", x => kept = x.clone().MoveToOuterDisposeScope());
        return Run(pair, pair.Corrupted, $"{layer}.{what}", x => x.select(0, head).copy_(kept!.select(0, head)));
    }

    /// <summary>A whole forward pass over one prompt; <paramref name="at"/> sees the tensor of one hook, [heads, position, ..], and may write into it.</summary>
    private double Run(TokenPair pair, IReadOnlyList<int> ids, string? hook, Action<Tensor>? at)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        Tensor resid = _small.Embed(tensor(ids.Select(id => (long)id).ToArray()).unsqueeze(0));
        for (int layer = 0; layer < _small.Config.Layers; layer++)
        {
            var (q, k, v) = _small.QueryKeyValue(layer, resid);
            Touch("q", q);
            Touch("k", k);
            Touch("v", v);
            Tensor pattern = _small.Pattern(layer, q, k);
            Touch("pattern", pattern);
            Tensor z = pattern.matmul(v);
            Touch("z", z);
            resid = _small.ResidPost(layer, resid, z);

            void Touch(string what, Tensor x)
            {
                if (hook == $"{layer}.{what}")
                {
                    at!(x.squeeze(0));
                }
            }
        }

        Tensor logits = _small.Unembed(_small.FinalNorm(resid))[0, -1];
        return (logits[pair.Correct.Ids[0]] - logits[pair.Incorrect.Ids[0]]).item<double>();
    }
}
