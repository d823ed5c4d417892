using System.Globalization;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;

namespace HeadPatching.Core.Results.OverPairs;

/// <summary>One place of a result by position or role.</summary>
/// <param name="Position">Counted from the end: -1 is the last; null where the place is a role, or all that was patched.</param>
/// <param name="Role">The role; null where the place is a position, or all that was patched.</param>
/// <param name="Pairs">How many pairs have it.</param>
public sealed record Cell(int? Position, string? Role, int Pairs)
{
    /// <summary>The position's number or the role's name.</summary>
    public string Name => Role ?? Position?.ToString(CultureInfo.InvariantCulture) ?? "all";

    /// <summary>The row of a pair's metrics (<see cref="LayerPatches.PatchedMetric"/>) that is of this place; null where the pair has none.</summary>
    /// <param name="positions">What was patched: each position or each role in turn, or one row for all.</param>
    /// <param name="pair">The pair.</param>
    public int? RowOf(Positions positions, TokenPair pair)
    {
        if (Role is not null)
        {
            return pair.PositionOf(Role) is not int position ? null
                : positions.IsEach ? position
                : pair.RolesInOrder().Index().First(of => of.Item.Name == Role).Index;
        }

        return Position is not int fromEnd ? 0 : pair.Length + fromEnd is >= 0 and int row ? row : null;
    }
}

/// <summary>The places of a result: one where all was patched at once, otherwise one for each position or role.</summary>
public static class Cells
{
    /// <summary>A mean over fewer pairs than this says so, and is no head's strongest place where others are over as many.</summary>
    public const int FewPairs = 5;

    /// <summary>
    /// The places that the pairs share. With positions <c>each</c> these are positions counted from the end, where all pairs have their answer;
    /// but roles where the pairs name some and positions are not the same place in all of them (<see cref="PairShapes.Misalignment"/>).
    /// </summary>
    public static IReadOnlyList<Cell> Of(Positions positions, PairShapes pairs)
    {
        if (!positions.IsEach && !positions.IsEachRole)
        {
            return [new Cell(null, null, pairs.Count)];
        }

        if (OfRoles(positions, pairs) is { Count: > 0 } roles && (positions.IsEachRole || pairs.Misalignment() is not null))
        {
            return roles;
        }

        return OfPositions(pairs);
    }

    /// <summary>The positions of the longest pair, the first one first; each had by the pairs that are long enough, counted from the end.</summary>
    public static IReadOnlyList<Cell> OfPositions(PairShapes pairs) =>
        [.. Enumerable.Range(0, pairs.Longest).Select(position => pairs.Longest - position).Select(fromEnd => new Cell(-fromEnd, null, pairs.WithLength(fromEnd)))];

    /// <summary>The roles that the pairs name, in the order in which they first come; none where positions are neither <c>each</c> nor <c>each-role</c>.</summary>
    public static IReadOnlyList<Cell> OfRoles(Positions positions, PairShapes pairs) =>
        positions.IsEach || positions.IsEachRole ? [.. pairs.Roles.Select(role => new Cell(null, role.Name, role.Pairs))] : [];

    /// <summary>
    /// The places from which a head's strongest is taken: those that five pairs have, or all pairs where there are fewer. A few pairs' mean is
    /// large by chance more easily than a mean over many.
    /// </summary>
    public static IReadOnlyList<Cell> WithEnoughPairs(IReadOnlyList<Cell> cells, int pairs)
    {
        Cell[] enough = [.. cells.Where(cell => cell.Pairs >= Math.Min(FewPairs, pairs))];
        return enough.Length > 0 ? enough : cells;
    }

    /// <summary>What to know of places that few pairs have; none where there is nothing to say.</summary>
    public static IEnumerable<string> Warnings(Positions positions, PairShapes pairs)
    {
        IReadOnlyList<Cell> cells = Of(positions, pairs);
        bool fromEnd = positions.Index < -1 || (positions.IsEach && cells[0].Role is null); // at -1 all pairs have their answer
        if (fromEnd && pairs.Misalignment() is string why)
        {
            string instead = pairs.Roles.Count > 0
                ? $"These pairs name roles: {string.Join(", ", pairs.Roles.Select(role => role.Name))}."
                : "Name roles (\"roles\": {\"S2\": 10}), and use positions each-role or a role.";
            yield return $"A position counted from the end need not be the same place in every pair: {why}. {instead}";
        }

        Cell[] few = [.. cells.Except(WithEnoughPairs(cells, pairs.Count)).OrderByDescending(cell => cell.Pairs)];
        if (few.Length > 0)
        {
            string some = string.Join(", ", few.Take(10).Select(cell => $"{cell.Name} ({cell.Pairs})")) + (few.Length > 10 ? $" and {few.Length - 10} more" : "");
            yield return $"Fewer than {FewPairs} pairs have {(few[0].Role is null ? "the positions" : "the roles")} {some}; no head's strongest is taken from there.";
        }
    }
}
