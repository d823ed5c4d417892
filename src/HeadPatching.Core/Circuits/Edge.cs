using System.Text.Json;
using System.Text.Json.Serialization;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Paths;

namespace HeadPatching.Core.Circuits;

/// <summary>
/// An edge of the model's computation: what a receiver reads in the residual stream of what a sender writes into it. As text, and in JSON,
/// <c>L0H3->L9H6.q</c>, <c>embed->L2.mlp</c> or <c>M5->logits</c>.
/// </summary>
/// <param name="Sender">What writes.</param>
/// <param name="Receiver">What reads.</param>
[JsonConverter(typeof(EdgeJsonConverter))]
public readonly record struct Edge(Node Sender, Receiver Receiver)
{
    /// <summary>What a text must be, for messages.</summary>
    public const string Form = $"An edge is a sender, -> and a receiver, such as L0H3->L9H6.q. {Node.Form} {Receiver.Form}";

    /// <summary>
    /// Every edge of a model, by receivers in the order in which they read (of each layer the queries, keys and values of its heads, then its MLP; the
    /// logits last), each with the nodes that it reads (<see cref="Receiver.Reads"/>) in the order in which they write.
    /// <para>
    /// They are counted as EAP-IG does (Hanna et al. 2024, "Have Faith in Faithfulness"; <c>Graph</c> in github.com/hannamw/EAP-IG): with L layers of H heads,
    /// one MLP after each layer's attention and N(l) = 1 + l (H + 1) nodes before layer l, L layers have sum 3 H N(l) edges into heads, sum (N(l) + H) into
    /// MLPs (N(l) where blocks are parallel) and N(L) into the logits: 32,491 in GPT-2 small.
    /// </para>
    /// </summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="ungrouped">
    /// Where query heads share key/value heads, there is one receiver of keys and one of values for each key/value head: as many as the model has matrices.
    /// EAP-IG, with TransformerLens, takes them apart and counts one for each query head: the keys as this head alone sees them. That is ungrouped.
    /// </param>
    public static IEnumerable<Edge> All(ModelConfig config, bool ungrouped = false)
    {
        Node[] nodes = [.. Node.All(config)];
        return Receivers(config, ungrouped).SelectMany(receiver => nodes.Where(node => receiver.Reads(node, config)).Select(node => new Edge(node, receiver)));
    }

    /// <summary>Every receiver of a model, in the order in which they read.</summary>
    /// <inheritdoc cref="All"/>
    public static IEnumerable<Receiver> Receivers(ModelConfig config, bool ungrouped = false)
    {
        int keyValueHeads = ungrouped ? config.Heads : config.KeyValueHeads;
        return
        [
            .. Enumerable.Range(0, config.Layers).SelectMany(layer =>
                Of(layer, ReceiverInput.Q, config.Heads)
                    .Concat(Of(layer, ReceiverInput.K, keyValueHeads))
                    .Concat(Of(layer, ReceiverInput.V, keyValueHeads))
                    .Append(Receiver.OfMlp(layer))),
            Receiver.Logits,
        ];

        static IEnumerable<Receiver> Of(int layer, ReceiverInput input, int heads) => Enumerable.Range(0, heads).Select(head => Receiver.Of(layer, head, input));
    }

    /// <summary>Why a model has no such edge; none where it has it.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="where">Where it was given, for the fault.</param>
    /// <param name="ungrouped">As for <see cref="All"/>.</param>
    public IEnumerable<Fault> Faults(ModelConfig config, string where, bool ungrouped = false)
    {
        int heads = Receiver.Input == ReceiverInput.Q || ungrouped ? config.Heads : config.KeyValueHeads;
        if (!Sender.IsOf(config) || Receiver.Layer >= config.Layers || Receiver.Head >= heads)
        {
            yield return new Fault(
                FaultKinds.OutOfRange,
                where,
                $"{this}: the model has layers 0 to {config.Layers - 1}, each of {config.Heads} heads"
                + $"{(config.KeyValueHeads == config.Heads || ungrouped ? "" : $", which share the keys and values of {config.KeyValueHeads}, 0 to {config.KeyValueHeads - 1}")}.");
        }
        else if (!Receiver.Reads(Sender, config))
        {
            yield return new Fault(FaultKinds.InvalidOption, where, $"{this}: {Receiver} reads the stream before {Sender} writes into it.");
        }
    }

    /// <summary>Throws where a model does not have all of some edges.</summary>
    internal static void ThrowIfNone(IReadOnlyList<Edge> edges, ModelConfig config, bool ungrouped)
    {
        Fault[] faults = [.. edges.SelectMany((edge, index) => edge.Faults(config, $"edges[{index}]", ungrouped))];
        if (faults.Length > 0)
        {
            throw new InvalidInputException(faults);
        }
    }

    /// <summary>Reads an edge.</summary>
    public static bool TryParse(string text, out Edge edge)
    {
        edge = default;
        string[] ends = text.Split("->");
        if (ends.Length != 2 || !Node.TryParse(ends[0], out Node sender) || !Receiver.TryParse(ends[1], out Receiver receiver))
        {
            return false;
        }

        edge = new Edge(sender, receiver);
        return true;
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Sender}->{Receiver}";

    private sealed class EdgeJsonConverter : JsonConverter<Edge>
    {
        public override Edge Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.TokenType == JsonTokenType.String && TryParse(reader.GetString()!, out Edge edge) ? edge : throw new JsonException(Form);

        public override void Write(Utf8JsonWriter writer, Edge value, JsonSerializerOptions options) => writer.WriteStringValue(value.ToString());
    }
}
