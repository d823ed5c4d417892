using HeadPatching.Core.Circuits;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Requests;

namespace HeadPatching.Sweeps.Plans;

/// <summary>What is wrong with the sets of nodes, the circuit, the edges and the senders that a request asks for.</summary>
internal static class SetFaults
{
    /// <summary>What is wrong with them whatever the model.</summary>
    /// <param name="request">What is asked for.</param>
    /// <param name="places">How faults name places.</param>
    public static IReadOnlyList<Fault> OfOptions(SweepRequest request, FaultPlaces places)
    {
        var faults = new List<Fault>();
        _ = Sets(request, places, faults);
        _ = GivenCircuit(request, places, faults);
        return faults;
    }

    /// <summary>What is wrong with them for a model and its pairs.</summary>
    /// <param name="request">What is asked for.</param>
    /// <param name="config">The model's shape.</param>
    /// <param name="pairs">The pairs.</param>
    /// <param name="places">How faults name places.</param>
    public static IReadOnlyList<Fault> Of(SweepRequest request, ModelConfig config, IReadOnlyList<TokenPair> pairs, FaultPlaces places)
    {
        var faults = new List<Fault>();
        foreach (var (set, where) in Sets(request, places, faults))
        {
            faults.AddRange(set.Faults(config, pairs, where));
            faults.AddRange(request.Ablation is null ? [] : set.FaultsOfAblation(where));
        }

        faults.AddRange(GivenCircuit(request, places, faults)?.Faults(config, pairs, places.Option("circuitGiven")) ?? []);
        int nodes = config.Layers * (config.Heads + (request.Circuit == CircuitOf.HeadsAndMlps ? 1 : 0));
        if (request.CircuitSizes?.FirstOrDefault(size => size > nodes) is int larger and > 0)
        {
            faults.Add(new Fault(FaultKinds.OutOfRange, places.Option("circuitSizes"), $"There are {nodes} nodes to make circuits of, so none of {larger}."));
        }

        if (request.EdgeWork() is EdgeWork work && Edge.All(config, work.Ungrouped).Count() is var edges && (edges > SetRounds.MostEdges || (long)edges * pairs.Count > SetRounds.MostRuns))
        {
            faults.Add(new Fault(
                FaultKinds.TooLarge,
                places.Option("edges"),
                edges > SetRounds.MostEdges
                    ? $"The model has {edges:N0} edges; up to {SetRounds.MostEdges:N0} are looked at. Patch paths to the receivers that matter (receivers)."
                    : $"{edges:N0} edges on {pairs.Count:N0} pairs are more than {SetRounds.MostRuns:N0} runs: choose {SetRounds.MostRuns / edges:N0} pairs (count, pairIndices)."));
        }

        if (request.Senders == Senders.All && PathSenders.At(PathSenders.BesideHeads(config), request.Positions, PairShapes.Of(pairs)).Count is var senders && (long)senders * pairs.Count > SetRounds.MostRuns)
        {
            faults.Add(new Fault(
                FaultKinds.TooLarge,
                places.Option("senders"),
                $"MLPs and the embedding send from {senders:N0} places, on {pairs.Count:N0} pairs more than {SetRounds.MostRuns:N0} runs: choose {SetRounds.MostRuns / senders:N0} pairs (count, pairIndices), or positions that are not each in turn."));
        }

        if (request.RunsSets() && pairs.Count > SetRounds.MostPairs)
        {
            faults.Add(new Fault(
                FaultKinds.TooLarge, places.Option(request.Circuit is not null ? "circuit" : request.PatchSets is not null ? "patchSets" : request.Edges is not null ? "edges" : "senders"), $"Sets of nodes are run on up to {SetRounds.MostPairs} pairs; these are {pairs.Count}. Choose some (count, pairIndices)."));
        }

        return faults;
    }

    /// <summary>The sets of nodes that a request names, each with the place of its text; what is wrong with one is added to the faults.</summary>
    private static List<(PatchSet Set, string Where)> Sets(SweepRequest request, FaultPlaces places, List<Fault> faults) =>
    [
        .. (request.PatchSets ?? []).Select((text, index) =>
        {
            string where = $"{places.Option("patchSets")}[{index}]";
            if (text.Length > OptionType.NodeSets.LongestSet)
            {
                faults.Add(new Fault(FaultKinds.TooLarge, where, $"A set has {OptionType.NodeSets.LongestSet} characters at the most; it has {text.Length}."));
                return (PatchSet.Of([]), where);
            }

            return (PatchSet.Parse(text, where, faults), where);
        }),
    ];

    private static PatchSet? GivenCircuit(SweepRequest request, FaultPlaces places, List<Fault> faults)
    {
        if (request.CircuitGiven is not string text)
        {
            return null;
        }

        string where = places.Option("circuitGiven");
        int before = faults.Count;
        PatchSet given = PatchSet.Parse(text, where, faults);
        if (faults.Count > before)
        {
            return null;
        }

        if (given.Nodes.Count == 0 || given.Nodes.DistinctBy(patched => patched.Node).Count() < given.Nodes.Count)
        {
            faults.Add(new Fault(FaultKinds.InvalidOption, where, given.Nodes.Count == 0 ? "There is no node in it." : "A node is there twice."));
        }

        foreach (PatchedNode patched in given.Nodes)
        {
            if (patched.Positions != Positions.All)
            {
                faults.Add(new Fault(FaultKinds.InvalidOption, where, $"{patched}: a circuit's nodes are whole. Leave the position out."));
            }
            else if (patched.Node.Kind == NodeKind.Embedding || (patched.Node.Kind == NodeKind.Mlp && request.Circuit == CircuitOf.Heads))
            {
                faults.Add(new Fault(
                    FaultKinds.InvalidOption,
                    where,
                    patched.Node.Kind == NodeKind.Mlp
                        ? $"{patched.Node}: this circuit is made of heads, and MLPs are left to themselves. Make it of {CircuitOf.HeadsAndMlps.NameOf()}, or leave the MLP out."
                        : "embed: the embedding is always as it is. Leave it out."));
            }
        }

        return given;
    }
}
