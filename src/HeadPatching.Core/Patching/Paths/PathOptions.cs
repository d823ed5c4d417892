using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Bands;

namespace HeadPatching.Core.Patching.Paths;

/// <summary>Which paths are patched, where, and which way. The senders are all heads of all layers in turn, as in a head sweep.</summary>
public sealed record PathOptions
{
    /// <summary>Where the paths end: the logits alone, or inputs of one or more heads and MLPs, which then receive together.</summary>
    public required IReadOnlyList<Receiver> Receivers { get; init; }

    /// <summary>
    /// Whether MLPs stay as they are in the run that is patched, so that a path is the residual stream alone. Default: they react to the
    /// change, and paths through them count (as in Wang et al. 2022).
    /// </summary>
    public bool FreezeMlps { get; init; }

    /// <summary>Where the sender's z is replaced. Default: all positions at once.</summary>
    public Positions Positions { get; init; } = Positions.All;

    /// <summary>Which run is patched. Default: denoise, clean into corrupted.</summary>
    public Direction Direction { get; init; } = Direction.Denoise;

    /// <summary>Whether any path leads from a layer's heads to a receiver. Where none does, their effect is 0 and nothing needs to be run.</summary>
    /// <param name="senderLayer">The senders' layer.</param>
    public bool Reaches(int senderLayer) => Receivers.Any(receiver => receiver.IsAfter(senderLayer));

    /// <summary>
    /// How much of what a layer's heads write can reach the metric. On the way to the logits, and to queries and the MLP of the last layer, nothing
    /// looks from one position at another, and the metric is read at the last.
    /// </summary>
    /// <param name="layers">How many layers the model has.</param>
    /// <param name="senderLayer">The layer.</param>
    public Reach Reach(int layers, int senderLayer) => !Reaches(senderLayer) ? Bands.Reach.Nothing
        : Receivers.Where(receiver => receiver.IsAfter(senderLayer)).All(receiver =>
            receiver.IsLogits || (receiver.Layer == layers - 1 && receiver.Input is ReceiverInput.Q or ReceiverInput.Mlp)) ? Bands.Reach.LastPosition
        : Bands.Reach.EveryPosition;

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
