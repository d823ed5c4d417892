namespace HeadPatching.Core.Prompts;

/// <summary>What the prompts of many pairs have in common: taken in pair by pair, and no larger for more of them.</summary>
public sealed class PairShapes
{
    private readonly SortedDictionary<int, int> _pairsByLength = [];
    private readonly Dictionary<string, (int Pairs, int FirstPlace, int Order)> _roles = [];
    private readonly HashSet<int> _firstDifferences = [];
    private IReadOnlyList<(string Name, int Position)>? _oneRoles;            // those of all pairs so far, while they are the same
    private string? _oneTemplate;
    private bool _allNameRoles = true, _sameRoles = true, _allHaveTemplates = true, _sameTemplate = true;

    /// <summary>The shapes of some pairs.</summary>
    public static PairShapes Of(IEnumerable<TokenPair> pairs)
    {
        var shapes = new PairShapes();
        foreach (var (place, pair) in pairs.Index())
        {
            shapes.Add(place, pair);
        }

        return shapes;
    }

    /// <summary>How many pairs there are.</summary>
    public int Count { get; private set; }

    /// <summary>Tokens of the shortest prompt.</summary>
    public int Shortest => _pairsByLength.First().Key;

    /// <summary>Tokens of the longest prompt.</summary>
    public int Longest => _pairsByLength.Last().Key;

    /// <summary>The roles that any pair names, in the order in which they first come, each with the number of pairs that name it.</summary>
    public IReadOnlyList<(string Name, int Pairs)> Roles =>
        [.. _roles.OrderBy(role => role.Value.FirstPlace).ThenBy(role => role.Value.Order).Select(role => (role.Key, role.Value.Pairs))];

    /// <summary>Takes in a pair.</summary>
    /// <param name="place">Its place among all pairs: the order in which they are taken in does not matter.</param>
    /// <param name="pair">The pair.</param>
    public void Add(int place, TokenPair pair)
    {
        IReadOnlyList<(string Name, int Position)> roles = pair.RolesInOrder();
        _oneRoles = Count == 0 ? roles : _oneRoles;
        _oneTemplate = Count == 0 ? pair.Template : _oneTemplate;
        _allNameRoles &= pair.Roles is not null;
        _sameRoles &= roles.SequenceEqual(_oneRoles!);
        _allHaveTemplates &= pair.Template is not null;
        _sameTemplate &= pair.Template == _oneTemplate;
        _pairsByLength[pair.Length] = _pairsByLength.GetValueOrDefault(pair.Length) + 1;
        int firstDifference = pair.FirstDifference;
        if (firstDifference < pair.Length)
        {
            _firstDifferences.Add(firstDifference);
        }

        foreach (var (order, (name, _)) in roles.Index())
        {
            var known = _roles.GetValueOrDefault(name, (Pairs: 0, FirstPlace: int.MaxValue, Order: 0));
            _roles[name] = place < known.FirstPlace ? (known.Pairs + 1, place, order) : known with { Pairs = known.Pairs + 1 };
        }

        Count++;
    }

    /// <summary>How many pairs have at least so many tokens.</summary>
    public int WithLength(int atLeast) => _pairsByLength.Where(of => of.Key >= atLeast).Sum(of => of.Value);

    /// <summary>
    /// Why a position, counted from the end, need not be the same place in every pair: they differ in length, in where their roles stand, in
    /// their templates or, where they name neither, in where the two prompts first differ. Null where nothing speaks against it.
    /// </summary>
    public string? Misalignment()
    {
        if (Shortest != Longest)
        {
            return $"the pairs have {Shortest} to {Longest} tokens";
        }

        if (_allNameRoles)
        {
            return _sameRoles ? null : "the pairs' roles stand at different positions";
        }

        if (_allHaveTemplates)
        {
            return _sameTemplate ? null : "the pairs are of several templates";
        }

        return _firstDifferences.Count < 2 ? null : "the pairs' prompts first differ at different positions";
    }
}
