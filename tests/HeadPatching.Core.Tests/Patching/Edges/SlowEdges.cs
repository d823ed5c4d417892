using HeadPatching.Core.Circuits;
using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Tests.Models;
using static TorchSharp.torch;

namespace HeadPatching.Core.Tests.Patching.Edges;

/// <summary>Whole passes with one edge changed, one prompt at a time and with no shortcut: what patched edges and their estimates are held against.</summary>
internal static class SlowEdges
{
    /// <summary>
    /// logit[correct] - logit[incorrect] with the edge patched, in loops over doubles that share no line with the code under test. Keys and values are
    /// those of query heads where <paramref name="sharing"/> is 1, else of so many that share them.
    /// </summary>
    public static Func<Edge, double> Plain(PlainTransformer model, TokenPair pair, Direction direction, int sharing)
    {
        IReadOnlyList<int> patched = direction == Direction.Denoise ? pair.Corrupted : pair.Clean;
        PlainTransformer.Written source = model.WrittenBy(direction == Direction.Denoise ? pair.Clean : pair.Corrupted), own = model.WrittenBy(patched);
        return edge => Plain(model, pair, patched, edge, Of(edge.Sender, source), Of(edge.Sender, own), sharing);

        static double[][] Of(Node node, PlainTransformer.Written all) => node.Kind switch
        {
            NodeKind.Embedding => all.Embedding,
            NodeKind.Head => all.Heads[node.Layer][node.Head],
            _ => all.Mlps[node.Layer],
        };
    }

    private static double Plain(PlainTransformer model, TokenPair pair, IReadOnlyList<int> patched, Edge edge, double[][] source, double[][] own, int sharing)
    {
        double[] logits = model.Forward(patched, read: Read).LastLogits;
        return logits[pair.Correct.Ids[0]] - logits[pair.Incorrect.Ids[0]];

        double[][] Read(int layer, string part, int head, double[][] stream)
        {
            bool reads = edge.Receiver.Input switch
            {
                null => part == "logits",
                ReceiverInput.Mlp => part == "mlp" && layer == edge.Receiver.Layer,
                ReceiverInput input => layer == edge.Receiver.Layer && part.Equals($"{input}", StringComparison.OrdinalIgnoreCase)
                    && edge.Receiver.Head == (input == ReceiverInput.Q ? head : head / sharing),
            };
            return reads ? [.. stream.Select((x, p) => x.Select((value, i) => value + source[p][i] - own[p][i]).ToArray())] : stream;
        }
    }

    /// <summary>The same in whole passes of the model's own parts, for families that are not written out in loops.</summary>
    /// <param name="model">The model, in float64.</param>
    /// <param name="pair">The pair.</param>
    /// <param name="edge">The edge; keys and values are those of key/value heads.</param>
    /// <param name="direction">Which way.</param>
    /// <param name="step">How far what is read moves to what the sender writes in the source run.</param>
    /// <param name="alpha">The run in which it is: 0 the one that is patched, 1 the source run, between them by their embeddings.</param>
    public static double LogitDifference(Transformer model, TokenPair pair, Edge edge, Direction direction, double step = 1, double alpha = 0)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        bool denoise = direction == Direction.Denoise;
        Tensor from = Embedded(denoise ? pair.Corrupted : pair.Clean), to = Embedded(denoise ? pair.Clean : pair.Corrupted);
        var (patched, _) = Run(model, from, (_, x) => x);
        var (source, _) = Run(model, to, (_, x) => x);
        Tensor change = Change(model, edge, patched, source) * tensor(step);
        var (_, final) = Run(model, from.Plus((to - from) * tensor(alpha)), (receiver, stream) => receiver == edge.Receiver ? stream.Plus(change) : stream);
        Tensor logits = model.Unembed(model.FinalNorm(final))[0, -1];
        return (logits[pair.Correct.Ids[0]] - logits[pair.Incorrect.Ids[0]]).item<double>();

        Tensor Embedded(IReadOnlyList<int> ids) => model.Embed(tensor(ids.Select(id => (long)id).ToArray()).unsqueeze(0));
    }

    /// <summary>One layer of a run: resid_pre, z, attn_out, resid_mid, mlp_out and resid_post.</summary>
    private sealed record Layer(Tensor Pre, Tensor Z, Tensor Attention, Tensor Mid, Tensor Mlp, Tensor Post);

    /// <summary>What the receiver reads with the sender as in the source run, less what it reads.</summary>
    private static Tensor Change(Transformer model, Edge edge, Layer[] patched, Layer[] source)
    {
        int layer = edge.Sender.Layer;
        Layer own = patched[layer];
        Tensor z = own.Z.clone();
        z.select(1, edge.Sender.Head).copy_(source[layer].Z.select(1, edge.Sender.Head));
        Tensor attention = model.AttentionOut(layer, z), mlp = source[layer].Mlp;
        if (model.Config.NormPlace != NormPlace.AfterSum)
        {
            return edge.Sender.Kind switch
            {
                NodeKind.Embedding => source[0].Pre - own.Pre,
                NodeKind.Head => attention - own.Attention,
                _ => mlp - own.Mlp,
            };
        }

        // The stream itself is normed: along the skip connection from the sender on, with everything else that is added to it as it was.
        Tensor at = edge.Sender.Kind switch
        {
            NodeKind.Embedding => source[0].Pre,
            NodeKind.Head => model.ResidMid(layer, own.Pre.Plus(attention)),
            _ => model.ResidPost(layer, own.Mid.Plus(mlp)),
        };
        int end = edge.Receiver.IsLogits ? patched.Length : edge.Receiver.Layer;
        for (int l = layer; l < end || edge.Receiver == Receiver.OfMlp(l); l++)
        {
            bool afterAttention = l == layer && edge.Sender.Kind != NodeKind.Embedding, afterMlp = l == layer && edge.Sender.Kind == NodeKind.Mlp;
            at = afterAttention ? at : model.ResidMid(l, at.Plus(patched[l].Attention));
            if (edge.Receiver == Receiver.OfMlp(l))
            {
                return at - patched[l].Mid;
            }

            at = afterMlp ? at : model.ResidPost(l, at.Plus(patched[l].Mlp));
        }

        return at - (edge.Receiver.IsLogits ? patched[^1].Post : patched[end].Pre);
    }

    private static (Layer[] Layers, Tensor Final) Run(Transformer model, Tensor resid, Func<Receiver, Tensor, Tensor> reads)
    {
        var layers = new List<Layer>();
        for (int layer = 0; layer < model.Config.Layers; layer++)
        {
            Tensor pre = resid;
            var (q, k, v) = model.QueryKeyValue(layer, pre);
            (q, k, v) = (q.clone(), k.clone(), v.clone());
            for (int head = 0; head < model.Config.Heads; head++)
            {
                Receive(Receiver.Of(layer, head, ReceiverInput.Q), q, all => all.Q);
                if (head < model.Config.KeyValueHeads)
                {
                    Receive(Receiver.Of(layer, head, ReceiverInput.K), k, all => all.K);
                    Receive(Receiver.Of(layer, head, ReceiverInput.V), v, all => all.V);
                }
            }

            Tensor z = model.Attend(layer, q, k, v), attention = model.AttentionOut(layer, z);
            Tensor mid = model.ResidMid(layer, pre.Plus(attention));
            Tensor mlp = model.MlpOut(layer, reads(Receiver.OfMlp(layer), model.Config.ParallelResidual ? pre : mid));
            resid = model.ResidPost(layer, mid.Plus(mlp));
            layers.Add(new Layer(pre, z, attention, mid, mlp, resid));

            void Receive(Receiver receiver, Tensor into, Func<(Tensor Q, Tensor K, Tensor V), Tensor> part)
            {
                Tensor other = reads(receiver, pre);
                if (!ReferenceEquals(other, pre))
                {
                    into.select(1, receiver.Head).copy_(part(model.QueryKeyValue(layer, other)).select(1, receiver.Head));
                }
            }
        }

        return ([.. layers], reads(Receiver.Logits, resid));
    }
}
