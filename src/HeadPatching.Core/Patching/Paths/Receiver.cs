using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;

namespace HeadPatching.Core.Patching.Paths;

/// <summary>
/// What reads the residual stream, and where a path or an edge ends: the logits, a head's queries, keys or values, or an MLP. As text, and
/// in JSON, <c>logits</c>, <c>L9H6.q</c> or <c>L8.mlp</c>.
/// </summary>
[JsonConverter(typeof(ReceiverJsonConverter))]
public sealed partial record Receiver
{
    /// <summary>What a text must be, for messages.</summary>
    public const string Form = "A receiver is \"logits\", a head's input such as L9H6.q (q, k or v), or an MLP's such as L8.mlp.";

    /// <summary>The form as a regular expression, for the HTTP contract.</summary>
    public const string Pattern = @"^(logits|L[0-9]+(H[0-9]+\.[qkv]|\.mlp))$";

    private Receiver(int layer, int head, ReceiverInput? input)
    {
        Layer = layer;
        Head = head;
        Input = input;
    }

    /// <summary>The final residual stream, and so the metric itself.</summary>
    public static Receiver Logits { get; } = new(-1, -1, null);

    /// <summary>Its layer, from 0; -1 for the logits.</summary>
    public int Layer { get; }

    /// <summary>The head, from 0 (in a grouped-query model, keys and values are those of a key/value head); -1 for what is none.</summary>
    public int Head { get; }

    /// <summary>The input; null for the logits.</summary>
    public ReceiverInput? Input { get; }

    /// <summary>Whether it is the logits.</summary>
    public bool IsLogits => Input is null;

    /// <summary>An input of a head.</summary>
    /// <param name="layer">Layer, from 0.</param>
    /// <param name="head">Head, from 0; for keys and values the key/value head.</param>
    /// <param name="input">Queries, keys or values.</param>
    public static Receiver Of(int layer, int head, ReceiverInput input) => new(layer, head, input);

    /// <summary>The input of a layer's MLP.</summary>
    public static Receiver OfMlp(int layer) => new(layer, -1, ReceiverInput.Mlp);

    /// <summary>Reads <c>logits</c>, <c>L9H6.q</c> or <c>L8.mlp</c>.</summary>
    public static bool TryParse(string text, out Receiver receiver)
    {
        receiver = Logits;
        if (text == "logits")
        {
            return true;
        }

        Match match = HeadOrMlp().Match(text);
        bool isHead = match.Groups["head"].Success;
        int head = -1;
        if (!match.Success || !Number("layer", out int layer) || (isHead && !Number("head", out head)))
        {
            return false;
        }

        receiver = isHead ? Of(layer, head, Enum.Parse<ReceiverInput>(match.Groups["input"].Value, ignoreCase: true)) : OfMlp(layer);
        return true;

        bool Number(string group, out int number) => int.TryParse(match.Groups[group].Value, NumberStyles.None, CultureInfo.InvariantCulture, out number);
    }

    /// <summary>
    /// Whether a path leads from the heads of a layer to it: heads of a layer, and those of earlier ones, do not read what they write. The layer's own MLP
    /// does, but where blocks are parallel, and there what it reads does not change.
    /// </summary>
    /// <param name="senderLayer">The sender's layer.</param>
    public bool IsAfter(int senderLayer) => IsLogits || Layer > senderLayer || (Input == ReceiverInput.Mlp && Layer == senderLayer);

    /// <summary>
    /// Whether it reads what a node writes. Where attention and MLP of a block stand side by side, an MLP does not read the heads of its layer.
    /// </summary>
    /// <param name="sender">The node.</param>
    /// <param name="config">The model's shape.</param>
    public bool Reads(Node sender, ModelConfig config) => sender.Kind == NodeKind.Embedding || IsLogits || Layer > sender.Layer
        || (Layer == sender.Layer && Input == ReceiverInput.Mlp && sender.Kind == NodeKind.Head && !config.ParallelResidual);

    /// <summary>What makes it impossible in a model, as the end of a path from a head; none where it is possible.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="where">Where it was given, for the fault.</param>
    public IEnumerable<Fault> Faults(ModelConfig config, string where)
    {
        if (IsLogits)
        {
            yield break;
        }

        if (Input == ReceiverInput.Mlp)
        {
            int earliest = config.ParallelResidual ? 1 : 0;
            if (Layer < earliest || Layer >= config.Layers)
            {
                yield return new Fault(FaultKinds.OutOfRange, where, $"{this}: the MLPs of this model that read heads are of layers {earliest} to {config.Layers - 1}.");
            }

            yield break;
        }

        if (Layer < 1 || Layer >= config.Layers)
        {
            yield return new Fault(
                FaultKinds.OutOfRange,
                where,
                config.Layers == 1
                    ? $"{this}: the model has one layer, so no head is before another; its heads' only receiver is \"logits\"."
                    : $"{this}: the receivers of this model are in layers 1 to {config.Layers - 1}; before layer 0 there is no head to send.");
        }

        bool grouped = Input != ReceiverInput.Q && config.KeyValueHeads != config.Heads;
        int heads = Input == ReceiverInput.Q ? config.Heads : config.KeyValueHeads;
        if (Head < 0 || Head >= heads)
        {
            yield return new Fault(
                FaultKinds.OutOfRange,
                where,
                grouped
                    ? $"{this}: the {config.Heads} heads of a layer share {heads} key/value heads, 0 to {heads - 1}; name one of those."
                    : $"{this}: a layer of this model has the heads 0 to {heads - 1}.");
        }
    }

    /// <inheritdoc/>
    public override string ToString() => Input switch
    {
        null => "logits",
        ReceiverInput.Mlp => string.Create(CultureInfo.InvariantCulture, $"L{Layer}.mlp"),
        ReceiverInput input => string.Create(CultureInfo.InvariantCulture, $"L{Layer}H{Head}.{input.ToString().ToLowerInvariant()}"),
    };

    [GeneratedRegex(@"\AL(?<layer>[0-9]+)(H(?<head>[0-9]+)\.(?<input>[qkv])|\.mlp)\z", RegexOptions.CultureInvariant)]
    private static partial Regex HeadOrMlp();

    private sealed class ReceiverJsonConverter : JsonConverter<Receiver>
    {
        public override Receiver Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            reader.TokenType == JsonTokenType.String && TryParse(reader.GetString()!, out Receiver receiver) ? receiver : throw new JsonException(Form);

        public override void Write(Utf8JsonWriter writer, Receiver value, JsonSerializerOptions options) => writer.WriteStringValue(value.ToString());
    }
}
