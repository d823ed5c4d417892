using System.Globalization;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Patching;

namespace HeadPatching.Core.Results.Comparing;

/// <summary>
/// The cells whose effects are compared: every head (or key/value head, or layer as a whole) at every place that both sweeps tell apart. Numbers
/// of all cells are laid out as [place, layer, head].
/// </summary>
internal sealed record ComparedCells
{
    /// <summary>Of more cells than this, each head's strongest place alone is compared.</summary>
    public const int MostCells = 20_000;

    private readonly SweepResult _a;

    private ComparedCells(SweepResult a, IReadOnlyList<ComparedPlace>? places)
    {
        _a = a;
        Places = places ?? [ComparedPlace.Whole];
        OfStrongest = places is null;
    }

    /// <summary>The places.</summary>
    public IReadOnlyList<ComparedPlace> Places { get; }

    /// <summary>Whether the cells are heads, each at the strongest of its places, which need not be the same in both sweeps.</summary>
    public bool OfStrongest { get; }

    /// <summary>How many cells there are at a place.</summary>
    public int AtPlace => _a.Heads.Count;

    /// <summary>How many cells there are.</summary>
    public int Count => Places.Count * AtPlace;

    /// <summary>The cells that two sweeps have in common.</summary>
    /// <exception cref="InvalidInputException">They have not as many layers and heads.</exception>
    public static ComparedCells Of(SweepResult a, SweepResult b)
    {
        SweepResult[] broken = [.. new[] { a, b }.Where(result => result.Heatmap is not [{ Length: > 0 }, ..] || result.Heads.Count != result.Heatmap.Length * result.Heatmap[0].Length)];
        if (broken.Length > 0)
        {
            throw new InvalidInputException([.. broken.Select(result => new Fault(FaultKinds.Malformed, result.SweepId, "This is not a whole result: it has not as many heads as its heatmap has cells."))]);
        }

        if (Shape(a) != Shape(b))
        {
            throw new InvalidInputException(
                FaultKinds.OutOfRange,
                "compare",
                $"Heads are compared with heads, and layers with layers, of models of one shape. {a.SweepId} has {Said(a)}, {b.SweepId} {Said(b)}.");
        }

        return new ComparedCells(a, CommonPlaces(a, b));
    }

    /// <summary>The place of a cell.</summary>
    public ComparedPlace PlaceOf(int cell) => Places[cell / AtPlace];

    /// <summary>The head of a cell, as the first sweep has it.</summary>
    public HeadResult HeadOf(int cell) => _a.Heads[cell % AtPlace];

    /// <summary>What one of the things that were patched is called.</summary>
    public static string UnitOf(SweepResult result) => result.Patch.IsOfLayer() ? "layer" : IsGrouped(result) ? "key/value head" : "head";

    private static ComparedPlace[]? CommonPlaces(SweepResult a, SweepResult b)
    {
        if (!IsByPlace(a) && !IsByPlace(b))
        {
            return [ComparedPlace.Whole];
        }

        ComparedPlace[] places = [];
        if (ByRole(a) && ByRole(b))
        {
            places = [.. a.Roles!.Select(role => role.Name).Intersect(b.Roles!.Select(role => role.Name)).Select(role => new ComparedPlace(null, role))];
        }
        else if (!ByRole(a) && !ByRole(b) && a.HeatmapByPosition is { Length: > 0 } of && b.HeatmapByPosition is { Length: > 0 } with)
        {
            int length = Math.Min(of[0].Length, with[0].Length);
            places = [.. Enumerable.Range(0, length).Select(position => new ComparedPlace(position - length, null))];
        }

        return places.Length > 0 && (long)places.Length * a.Heads.Count <= MostCells ? places : null;
    }

    private static bool IsByPlace(SweepResult result) => result.Positions.IsEach || result.Positions.IsEachRole;

    // As each head's strongest place is one.
    private static bool ByRole(SweepResult result) => result.HeatmapByRole is not null && (result.HeatmapByPosition is null || result.Heads.Any(head => head.Role is not null));

    private static bool IsGrouped(SweepResult result) => result.Patch is Patch.K or Patch.V && result.Model.KeyValueHeads is not null;

    private static (int Layers, int Units, string Unit) Shape(SweepResult result) => (result.Heatmap.Length, result.Heatmap[0].Length, UnitOf(result));

    private static string Said(SweepResult result) => string.Create(
        CultureInfo.InvariantCulture,
        $"{result.Patch.NameOf()} in {result.Heatmap.Length} layers{(result.Patch.IsOfLayer() ? " as a whole" : $" of {result.Heatmap[0].Length} {UnitOf(result)}s")}");
}
