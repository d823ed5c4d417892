using HeadPatching.Core.Circuits;
using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Patching.Paths;

/// <summary>
/// Path patching said as plainly as possible: whole forward passes over one prompt, with a function at every hook point that may put
/// another tensor in. One pair and one sender at a time, every position, nothing spared.
/// </summary>
internal sealed class HookedForward : IDisposable
{
    private readonly Transformer _model;
    private readonly TokenPair _pair;
    private readonly PathOptions _options;
    private readonly IReadOnlyList<int> _baseIds;
    private readonly Dictionary<string, Tensor> _frozen = [];
    private readonly Dictionary<string, Tensor> _source = [];

    public HookedForward(Transformer model, TokenPair pair, PathOptions options)
    {
        (_model, _pair, _options) = (model, pair, options);
        bool denoise = options.Direction == Direction.Denoise;
        _baseIds = denoise ? pair.Corrupted : pair.Clean;
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        Run(_baseIds, (hook, x) => _frozen[hook] = x.clone().DetachFromDisposeScope());
        Run(denoise ? pair.Clean : pair.Corrupted, (hook, x) => _source[hook] = x.clone().DetachFromDisposeScope());
    }

    /// <summary>The metric when the sender's path to the receivers is patched.</summary>
    public double PatchPath(Node sender, int? position)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        var stageOne = new Dictionary<string, Tensor>();
        double toLogits = Measure(Run(_baseIds, (hook, x) =>
        {
            stageOne[hook] = x;
            bool isMlp = hook.EndsWith(".hook_mlp_out", StringComparison.Ordinal), isZ = hook.EndsWith(".hook_z", StringComparison.Ordinal);
            Tensor own = isZ || (isMlp && _options.FreezeMlps) ? _frozen[hook] : x; // [position, heads, d_head] of z, [position, d_model]
            bool sends = hook == sender.Kind switch
            {
                NodeKind.Embedding => "hook_embed",
                NodeKind.Head => $"{sender.Layer}.hook_z",
                _ => $"{sender.Layer}.hook_mlp_out",
            };
            if (!sends)
            {
                return own;
            }

            own = own.clone();
            OfSender(own).copy_(OfSender(_source[hook]));
            return own;

            // [position, d_head] or [position, d_model], of the positions that are patched
            Tensor OfSender(Tensor all) => (isZ ? all.select(1, sender.Head) : all).narrow(0, position ?? 0, position is null ? _pair.Length : 1);
        }));
        if (_options.Receivers[0].IsLogits)
        {
            return toLogits;
        }

        return Measure(Run(_baseIds, (hook, x) =>
        {
            Receiver[] here = [.. _options.Receivers.Where(receiver => hook == $"{receiver.Layer}.hook_{receiver.Input!.Value.ToString().ToLowerInvariant()}")];
            if (here.Length == 0)
            {
                return x;
            }

            Tensor replaced = x.clone();                                      // [position, heads, d_head]; [position, d_model] at MLPs'
            foreach (Receiver receiver in here)
            {
                Tensor into = receiver.Input == ReceiverInput.Mlp ? replaced : replaced[TensorIndex.Colon, receiver.Head];
                into.copy_(receiver.Input == ReceiverInput.Mlp ? stageOne[hook] : stageOne[hook][TensorIndex.Colon, receiver.Head]);
            }

            return replaced;
        }));

        double Measure(Tensor logits) => (logits[-1, _pair.Correct.Ids[0]] - logits[-1, _pair.Incorrect.Ids[0]]).item<double>();
    }

    public void Dispose()
    {
        foreach (Tensor tensor in _frozen.Values.Concat(_source.Values))
        {
            tensor.Dispose();
        }
    }

    /// <summary>The logits, [position, vocabulary], with every hook's tensor replaced by what <paramref name="at"/> gives for it.</summary>
    private Tensor Run(IReadOnlyList<int> ids, Func<string, Tensor, Tensor> at)
    {
        Tensor resid = at("hook_embed", _model.Embed(tensor(ids.Select(id => (long)id).ToArray()).unsqueeze(0))[0]); // [position, d_model]
        for (int layer = 0; layer < _model.Config.Layers; layer++)
        {
            Tensor mid = _model.ResidMid(layer, resid.Plus(_model.Config.Family == "gpt2" ? Gpt2Attention(layer, resid, at) : Attention(layer, resid, at)));
            resid = _model.ResidPost(layer, mid.Plus(at($"{layer}.hook_mlp_out", _model.MlpOut(layer, at($"{layer}.hook_mlp", _model.Config.ParallelResidual ? resid : mid)))));
        }

        return _model.Unembed(_model.FinalNorm(resid));
    }

    /// <summary>attn_out, [position, d_model], from GPT-2's weights alone.</summary>
    private Tensor Gpt2Attention(int layer, Tensor resid, Func<string, Tensor, Tensor> at)
    {
        long length = resid.shape[0], width = _model.Config.HeadWidth;
        Tensor later = ones(length, length, ScalarType.Bool).triu(1);         // [query, key]
        LayerWeights w = _model.Weights.Layers[layer];
        Tensor[] qkv = _model.AttentionNorm(layer, resid).matmul(w.QueryKeyValueWeight).Plus(w.QueryKeyValueBias!).chunk(3, -1);
        Tensor q = at($"{layer}.hook_q", qkv[0].reshape(length, -1, width)); // [position, heads, d_head]
        Tensor k = at($"{layer}.hook_k", qkv[1].reshape(length, -1, width));
        Tensor v = at($"{layer}.hook_v", qkv[2].reshape(length, -1, width));
        Tensor scores = einsum("qhd,khd->hqk", q, k) / tensor(Math.Sqrt(width));
        Tensor pattern = where(later, tensor(double.NegativeInfinity), scores).softmax(-1); // [heads, query, key]
        Tensor z = at($"{layer}.hook_z", einsum("hqk,khd->qhd", pattern, v));
        return z.reshape(length, -1).matmul(w.OutputWeight).Plus(w.OutputBias!);
    }

    /// <summary>attn_out, [position, d_model], in the pieces of the forward pass, which <see cref="Models.FamilyForwardTests"/> holds.</summary>
    private Tensor Attention(int layer, Tensor resid, Func<string, Tensor, Tensor> at)
    {
        var (q, k, v) = _model.QueryKeyValue(layer, resid.unsqueeze(0));
        Tensor z = _model.Attend(layer, At("q", q), At("k", k), At("v", v));
        return _model.AttentionOut(layer, At("z", z))[0];

        // [1, heads, position, d_head], hooked as [position, heads, d_head]
        Tensor At(string hook, Tensor x) => at($"{layer}.hook_{hook}", x[0].transpose(0, 1)).transpose(0, 1).unsqueeze(0);
    }
}
