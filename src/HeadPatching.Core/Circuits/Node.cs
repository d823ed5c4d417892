using System.Globalization;
using System.Text.RegularExpressions;
using HeadPatching.Core.Models;

namespace HeadPatching.Core.Circuits;

/// <summary>What a node of the model's computation is.</summary>
public enum NodeKind
{
    /// <summary>The embedding: resid_pre of layer 0.</summary>
    Embedding,

    /// <summary>A head's z.</summary>
    Head,

    /// <summary>A layer's mlp_out.</summary>
    Mlp,
}

/// <summary>
/// A node of the model's computation: something that writes into the residual stream. As text <c>embed</c>, <c>L9H6</c> or <c>M8</c>.
/// </summary>
/// <param name="Kind">What it is.</param>
/// <param name="Layer">Its layer, from 0; 0 for the embedding.</param>
/// <param name="Head">The head, from 0; 0 for what is none.</param>
public readonly partial record struct Node(NodeKind Kind, int Layer, int Head)
{
    /// <summary>What a text must be, for messages.</summary>
    public const string Form = "A node is a head such as L9H6, the MLP of a layer such as M8, or embed.";

    /// <summary>The embedding.</summary>
    public static Node Embedding => new(NodeKind.Embedding, 0, 0);

    /// <summary>A head.</summary>
    public static Node OfHead(int layer, int head) => new(NodeKind.Head, layer, head);

    /// <summary>A layer's MLP.</summary>
    public static Node OfMlp(int layer) => new(NodeKind.Mlp, layer, 0);

    /// <summary>Every node of a model, in the order in which they write: the embedding, then of each layer its heads and its MLP.</summary>
    public static IEnumerable<Node> All(ModelConfig config) =>
    [
        Embedding,
        .. Enumerable.Range(0, config.Layers).SelectMany(layer =>
            Enumerable.Range(0, config.Heads).Select(head => OfHead(layer, head)).Append(OfMlp(layer))),
    ];

    /// <summary>Reads <c>embed</c>, <c>L9H6</c> or <c>M8</c>.</summary>
    public static bool TryParse(string text, out Node node)
    {
        node = Embedding;
        if (text == "embed")
        {
            return true;
        }

        Match match = HeadOrMlp().Match(text);
        bool isHead = match.Groups["head"].Success;
        int head = 0;
        if (!match.Success || !Number("layer", out int layer) || (isHead && !Number("head", out head)))
        {
            return false;
        }

        node = isHead ? OfHead(layer, head) : OfMlp(layer);
        return true;

        bool Number(string group, out int number) => int.TryParse(match.Groups[group].Value, NumberStyles.None, CultureInfo.InvariantCulture, out number);
    }

    /// <summary>Whether a model has it.</summary>
    public bool IsOf(ModelConfig config) => Layer < config.Layers && Head < config.Heads;

    /// <inheritdoc/>
    public override string ToString() => Kind switch
    {
        NodeKind.Embedding => "embed",
        NodeKind.Head => string.Create(CultureInfo.InvariantCulture, $"L{Layer}H{Head}"),
        _ => string.Create(CultureInfo.InvariantCulture, $"M{Layer}"),
    };

    [GeneratedRegex(@"\A(L(?<layer>[0-9]+)H(?<head>[0-9]+)|M(?<layer>[0-9]+))\z")]
    private static partial Regex HeadOrMlp();
}
