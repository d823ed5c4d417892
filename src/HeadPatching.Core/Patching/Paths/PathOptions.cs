using HeadPatching.Core.Circuits;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Bands;

namespace HeadPatching.Core.Patching.Paths;

/// <summary>Which nodes a sweep takes paths from.</summary>
public enum Senders
{
    /// <summary>Heads.</summary>
    Heads,

    /// <summary>Heads, MLPs and the embedding.</summary>
    All,
}

/// <summary>Which paths are patched, where, and which way. The senders are all heads of all layers in turn, as in a head sweep, or every layer's MLP, or the embedding.</summary>
public sealed record PathOptions
{
    /// <summary>What the paths start from: of each layer every head, or its MLP; or the embedding, which is taken to be layer 0's.</summary>
    public NodeKind From { get; init; } = NodeKind.Head;

    /// <summary>Where the paths end: the logits alone, or inputs of one or more heads and MLPs, which then receive together.</summary>
    public required IReadOnlyList<Receiver> Receivers { get; init; }

    /// <summary>
    /// Whether MLPs stay as they are in the run that is patched, so that a path is the residual stream alone. Default: they react to the
    /// change, and paths through them count (as in Wang et al. 2022).
    /// </summary>
    public bool FreezeMlps { get; init; }

    /// <summary>Where what the sender writes (a head's z) is replaced. Default: all positions at once.</summary>
    public Positions Positions { get; init; } = Positions.All;

    /// <summary>Which run is patched. Default: denoise, clean into corrupted.</summary>
    public Direction Direction { get; init; } = Direction.Denoise;

    /// <summary>The receivers that a path leads to from a layer's senders. Where there are none, the effect is 0 and nothing needs to be run.</summary>
    /// <param name="senderLayer">The senders' layer.</param>
    public IEnumerable<Receiver> ReceiversOf(int senderLayer) => Receivers.Where(receiver => From switch
    {
        NodeKind.Head => receiver.IsAfter(senderLayer),
        NodeKind.Mlp => receiver.IsLogits || receiver.Layer > senderLayer,
        _ => senderLayer == 0,
    });

    /// <summary>Whether any path leads from a layer's senders to a receiver.</summary>
    /// <param name="senderLayer">The senders' layer.</param>
    public bool Reaches(int senderLayer) => ReceiversOf(senderLayer).Any();

    /// <summary>
    /// How much of what a layer's senders write can reach the metric. On the way to the logits, and to queries and the MLP of the last layer, nothing
    /// looks from one position at another, and the metric is read at the last.
    /// </summary>
    /// <param name="layers">How many layers the model has.</param>
    /// <param name="senderLayer">The layer.</param>
    public Reach Reach(int layers, int senderLayer) => !Reaches(senderLayer) ? Bands.Reach.Nothing
        : ReceiversOf(senderLayer).All(receiver =>
            receiver.IsLogits || (receiver.Layer == layers - 1 && receiver.Input is ReceiverInput.Q or ReceiverInput.Mlp)) ? Bands.Reach.LastPosition
        : Bands.Reach.EveryPosition;

    /// <summary>How many residual streams a patched run holds at the most: between the first receiver and the last there are those of both stages.</summary>
    public int StreamsOfRun => Receivers.Select(receiver => receiver.Layer).Distinct().Count() > 1 ? 2 : 1;

    /// <summary>What makes the receivers impossible in a model, all of it; empty where they are possible.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="where">The JSON path of the list of receivers, or the option's name.</param>
    public IReadOnlyList<Fault> Faults(ModelConfig config, string where = "receivers")
    {
        if (Receivers.Count == 0)
        {
            return [new Fault(FaultKinds.Missing, where, "Name at least one receiver. " + Receiver.Form)];
        }

        var faults = new List<Fault>();
        for (int i = 0; i < Receivers.Count; i++)
        {
            string here = $"{where}[{i}]";
            faults.AddRange(Receivers[i].Faults(config, here));
            if (Receivers.Take(i).Contains(Receivers[i]))
            {
                faults.Add(new Fault(FaultKinds.InvalidOption, here, $"{Receivers[i]} is named twice."));
            }
            else if (Receivers[i].IsLogits && Receivers.Count > 1)
            {
                faults.Add(new Fault(FaultKinds.InvalidOption, here, "\"logits\" stands alone: make a second sweep for the inputs of heads and MLPs."));
            }
        }

        return faults;
    }
}
