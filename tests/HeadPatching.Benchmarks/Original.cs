using HeadPatching.Core.Circuits;
using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using static TorchSharp.torch;

namespace HeadPatching.Benchmarks;

/// <summary>
/// The ways in which head patching is done today, in the same library and on the same weights, so that only the algorithm differs.
/// A patched run is a full forward pass over all positions and the whole vocabulary, its z replaced in one head as a hook does it.
/// </summary>
internal static class Original
{
    /// <summary>Three full passes for one head and pair: a clean one and a corrupted one that cache everything, and the patched one.</summary>
    public static double ThreePasses(Transformer model, TokenPair pair, int layer, int head, int? position)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        var clean = new List<Tensor>();
        var corrupted = new List<Tensor>();
        Tensor[] cleanZ = Forward(model, pair.Clean, clean, null, out _);
        Forward(model, pair.Corrupted, corrupted, null, out _);
        return Patched(model, pair, cleanZ[layer], layer, head, position);
    }

    /// <summary>The z of every layer of the clean run, to be made once a pair.</summary>
    public static Tensor[] CleanZ(Transformer model, TokenPair pair)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        return [.. Forward(model, pair.Clean, null, null, out _).Select(z => z.MoveToOuterDisposeScope())];
    }

    /// <summary>One full pass for one head and pair, the clean run's z at hand.</summary>
    public static double Patched(Transformer model, TokenPair pair, Tensor cleanZ, int layer, int head, int? position)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        Forward(model, pair.Corrupted, null, Hook, out Tensor logits);
        Tensor last = logits[0, -1];                                          // [vocabulary]
        return Value(last[pair.Correct.Ids[0]]) - Value(last[pair.Incorrect.Ids[0]]);

        static double Value(Tensor scalar) => scalar.to(ScalarType.Float64).item<double>();

        Tensor Hook(int l, Tensor z)
        {
            if (l == layer)
            {
                z = z.clone();
                Tensor target = position is int p ? z[0, head, p] : z[0, head];
                target.copy_(position is int q ? cleanZ[0, head, q] : cleanZ[0, head]);
            }

            return z;
        }
    }

    /// <summary>What every node writes in the clean run less what it writes in the corrupted one, [1, position, d_model]; to be made once a pair.</summary>
    public static IReadOnlyDictionary<Node, Tensor> Changes(Transformer model, TokenPair pair)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        var changes = new Dictionary<Node, Tensor>();
        List<(Tensor Pre, Tensor Z, Tensor MlpOut)> clean = [], corrupted = [];
        PassWith(model, pair.Clean, null, null, clean.Add);
        PassWith(model, pair.Corrupted, null, null, corrupted.Add);
        changes[Node.Embedding] = clean[0].Pre - corrupted[0].Pre;
        for (int layer = 0; layer < model.Config.Layers; layer++)
        {
            Tensor z = clean[layer].Z - corrupted[layer].Z;                   // [1, heads, position, d_head]
            changes[Node.OfMlp(layer)] = clean[layer].MlpOut - corrupted[layer].MlpOut;
            for (int head = 0; head < model.Config.Heads; head++)
            {
                int first = head * model.Config.HeadWidth;
                changes[Node.OfHead(layer, head)] = z.select(1, head).matmul(model.Weights.Layers[layer].OutputWeight.narrow(0, first, model.Config.HeadWidth));
            }
        }

        foreach (Tensor change in changes.Values)
        {
            change.MoveToOuterDisposeScope();
        }

        return changes;
    }

    /// <summary>One full pass for one edge and pair, what senders write in both runs at hand.</summary>
    public static double EdgePatched(Transformer model, TokenPair pair, Edge edge, Tensor change)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        Tensor last = PassWith(model, pair.Corrupted, edge.Receiver, change, null)[0, -1]; // [vocabulary]
        return (last[pair.Correct.Ids[0]] - last[pair.Incorrect.Ids[0]]).to(ScalarType.Float64).item<double>();
    }

    /// <summary>A full pass over all positions and the whole vocabulary in which one receiver reads the stream with a change.</summary>
    private static Tensor PassWith(
        Transformer model, IReadOnlyList<int> ids, Receiver? receiver, Tensor? change, Action<(Tensor Pre, Tensor Z, Tensor MlpOut)>? each)
    {
        Tensor resid = model.Embed(tensor(ids.Select(id => (long)id).ToArray(), device: model.Device).unsqueeze(0));
        for (int layer = 0; layer < model.Config.Layers; layer++)
        {
            Tensor pre = resid;
            var (q, k, v) = model.QueryKeyValue(layer, pre);
            if (receiver?.Layer == layer && receiver.Input != ReceiverInput.Mlp)
            {
                Tensor normed = model.AttentionNorm(layer, pre.Plus(change!));
                var (into, own) = receiver.Input switch
                {
                    ReceiverInput.Q => (q, model.QueryOf(layer, normed, receiver.Head)),
                    ReceiverInput.K => (k, model.KeyOf(layer, normed, receiver.Head)),
                    _ => (v, model.ValueOf(layer, normed, receiver.Head)),
                };
                into.narrow(1, receiver.Head, 1).copy_(own);
            }

            Tensor z = model.Pattern(layer, q, k).matmul(v);
            Tensor mid = pre.Plus(model.AttentionOut(layer, z));
            Tensor mlpOut = model.MlpOut(layer, receiver == Receiver.OfMlp(layer) ? mid.Plus(change!) : mid);
            resid = mid.Plus(mlpOut);
            each?.Invoke((pre, z, mlpOut));
        }

        return model.Unembed(model.FinalNorm(receiver?.IsLogits == true ? resid.Plus(change!) : resid)); // [1, position, vocabulary]
    }

    /// <summary>A full pass with the pattern made, as TransformerLens makes it; every activation copied where a cache is given.</summary>
    private static Tensor[] Forward(Transformer model, IReadOnlyList<int> ids, List<Tensor>? cache, Func<int, Tensor, Tensor>? hook, out Tensor logits)
    {
        Tensor resid = model.Embed(tensor(ids.Select(id => (long)id).ToArray(), device: model.Device).unsqueeze(0));
        var allZ = new Tensor[model.Config.Layers];
        for (int layer = 0; layer < model.Config.Layers; layer++)
        {
            var (q, k, v) = model.QueryKeyValue(layer, resid);
            Tensor pattern = model.Pattern(layer, q, k);
            Tensor z = pattern.matmul(v);
            z = hook?.Invoke(layer, z) ?? z;
            allZ[layer] = z;
            Tensor attentionOut = model.AttentionOut(layer, z);
            Tensor mid = resid.Plus(attentionOut);
            Tensor mlpOut = model.MlpOut(layer, mid);
            cache?.AddRange([resid.clone(), q.clone(), k.clone(), v.clone(), pattern.clone(), z.clone(), attentionOut.clone(), mid.clone(), mlpOut.clone()]);
            resid = mid.Plus(mlpOut);
        }

        logits = model.Unembed(model.FinalNorm(resid));                       // [1, position, vocabulary]
        return allZ;
    }
}
