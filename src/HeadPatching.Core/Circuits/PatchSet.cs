using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;

namespace HeadPatching.Core.Circuits;

/// <summary>A node and the positions at which it is patched: all, one, or each pair's own of a role.</summary>
/// <param name="Node">The node.</param>
/// <param name="Positions">Where.</param>
public readonly record struct PatchedNode(Node Node, Positions Positions)
{
    /// <inheritdoc/>
    public override string ToString() => Positions == Positions.All ? Node.ToString() : $"{Node}@{Positions}";
}

/// <summary>
/// Nodes that are patched together in one run: each takes what it was in the source run, and everything between and after them is computed
/// from that. As text <c>L9H6,M8@-1,L7H3@S2</c>: nodes, each with a position or a role if it is not patched at all positions.
/// </summary>
/// <param name="Nodes">The nodes; none is the run as it was.</param>
public sealed record PatchSet(IReadOnlyList<PatchedNode> Nodes)
{
    /// <summary>What a text must be, for messages.</summary>
    public const string Form = $"A set is nodes with commas between them, each with @ and a position or a role where it is not patched everywhere: L9H6,M8@-1. {Node.Form}";

    /// <summary>Nodes that are patched at all positions.</summary>
    public static PatchSet Of(IEnumerable<Node> nodes) => new([.. nodes.Select(node => new PatchedNode(node, Positions.All))]);

    /// <summary>Reads a set.</summary>
    /// <param name="text">Its text; empty for none.</param>
    /// <param name="where">Where it was given, for the fault.</param>
    /// <param name="faults">What is wrong with it is added to these.</param>
    public static PatchSet Parse(string text, string where, List<Fault> faults)
    {
        var nodes = new List<PatchedNode>();
        foreach (string part in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            string[] at = part.Split('@', 2);
            Positions positions = Positions.All;
            if (!Node.TryParse(at[0], out Node node) || (at.Length == 2 && (!Positions.TryParse(at[1], out positions) || positions.IsEach || positions.IsEachRole)))
            {
                faults.Add(new Fault(FaultKinds.InvalidOption, where, $"\"{part}\" is no node to patch. {Form}"));
            }
            else
            {
                nodes.Add(new PatchedNode(node, positions));
            }
        }

        return new PatchSet(nodes);
    }

    /// <summary>The nodes that a model does not have, and the positions that pairs do not have.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="pairs">The pairs.</param>
    /// <param name="where">Where it was given, for the faults.</param>
    public IEnumerable<Fault> Faults(ModelConfig config, IReadOnlyList<TokenPair> pairs, string where)
    {
        foreach (PatchedNode patched in Nodes)
        {
            if (!patched.Node.IsOf(config))
            {
                yield return new Fault(
                    FaultKinds.OutOfRange, where, $"The model has no {patched.Node}: it has {config.Layers} layers of {config.Heads} heads, counted from 0.");
            }

            if (patched.Positions.Index is int index && pairs.FirstOrDefault(pair => !patched.Positions.AreIn(pair)) is TokenPair pair)
            {
                yield return new Fault(FaultKinds.OutOfRange, where, $"{patched}: pair {pair.Index} has {pair.Length} tokens, so no position {index}.");
            }

            if (patched.Positions.Role is string role && pairs.FirstOrDefault(one => !patched.Positions.AreIn(one)) is TokenPair without)
            {
                string[] known = [.. PairShapes.Of(pairs).Roles.Select(one => one.Name)];
                string roles = known.Length > 0 ? $" Roles that pairs name: {string.Join(", ", known)}." : "";
                yield return new Fault(FaultKinds.OutOfRange, where, $"{patched}: pair {without.Index} names no role {role}.{Suggestion.DidYouMean(role, known)}{roles}");
            }
        }
    }

    /// <summary>The nodes that an ablation cannot be put into.</summary>
    /// <param name="where">Where it was given, for the faults.</param>
    public IEnumerable<Fault> FaultsOfAblation(string where) => Nodes
        .Where(patched => patched.Node.Kind != NodeKind.Head)
        .Select(patched => new Fault(FaultKinds.InvalidOption, where, $"{patched.Node}: an ablation is put into heads' z, and into nothing else. Leave it out, or the ablation."));

    /// <inheritdoc/>
    public override string ToString() => string.Join(',', Nodes);
}
