namespace HeadPatching.Core.Patching.Ablations;

/// <summary>The mean for a position: what it is over.</summary>
/// <param name="Sum">The sum that it is taken from; -1 where there are no others.</param>
/// <param name="Others">Over how many other prompts.</param>
/// <param name="FromStart">Whether they are aligned from the first token.</param>
/// <param name="OfTemplate">Whether they are those of the prompt's own template.</param>
public readonly record struct MeanPlace(int Sum, int Others, bool FromStart, bool OfTemplate);

/// <summary>
/// Over which positions of which prompts the mean for a position is taken, and how many they are; no z is needed to say it. The places are
/// aligned by role where the position has one that others name too; otherwise counted from the end, where all prompts have their answer; and
/// where no other prompt reaches that far, from the first token. Others of the same template come before all others, where there are five of
/// them (Wang et al. 2022 take means by template). A prompt never is in a mean of its own.
/// </summary>
public sealed class MeanPlaces
{
    /// <summary>A mean over fewer others than this says more about them than about the head.</summary>
    public const int Few = 5;

    private readonly Dictionary<string, Group> _groups = [];
    private readonly Group _all = new();
    private readonly Dictionary<Place, int> _rows = [];
    private readonly Dictionary<string, int> _same = [];

    /// <summary>Works out the places.</summary>
    /// <param name="members">The prompts whose z the means are over.</param>
    /// <param name="targets">The prompts for whose positions means are wanted. They may be members too.</param>
    public MeanPlaces(IReadOnlyList<AblationPrompt> members, IReadOnlyList<AblationPrompt> targets)
    {
        foreach (AblationPrompt member in members)
        {
            _all.Add(member);
            if (member.Template is string template)
            {
                (_groups.TryGetValue(template, out Group? group) ? group : _groups[template] = new Group()).Add(member);
            }

            string key = Key(member);
            _same[key] = _same.GetValueOrDefault(key) + 1;
        }

        foreach (AblationPrompt target in targets)
        {
            int same = Same(target);
            for (int position = 0; position < target.Length; position++)
            {
                if (Find(target, position, same) is (Place place, > 0))
                {
                    _rows.TryAdd(place, _rows.Count);
                }
            }
        }
    }

    /// <summary>How many sums there are to keep.</summary>
    public int Count => _rows.Count;

    /// <summary>How many of the members are a prompt itself, whose z is left out of its mean.</summary>
    public int Same(AblationPrompt target) => _same.GetValueOrDefault(Key(target));

    /// <summary>The mean for each position of a prompt.</summary>
    public IReadOnlyList<MeanPlace> Of(AblationPrompt target)
    {
        int same = Same(target);
        return
        [
            .. Enumerable.Range(0, target.Length).Select(position => Find(target, position, same) is (Place place, int others and > 0)
                ? new MeanPlace(_rows[place], others, place is { Role: null, Offset: >= 0 }, place.Template is not null)
                : new MeanPlace(-1, 0, false, false)),
        ];
    }

    /// <summary>The sums that each position of a member goes into.</summary>
    internal IEnumerable<(int Position, int Sum)> Into(AblationPrompt member)
    {
        foreach (string? template in member.Template is null ? new string?[] { null } : [null, member.Template])
        {
            for (int position = 0; position < member.Length; position++)
            {
                foreach (Place place in member.RolesAt(position).Select(role => new Place(template, role, 0)).Append(new(template, null, position - member.Length)).Append(new(template, null, position)))
                {
                    if (_rows.TryGetValue(place, out int row))
                    {
                        yield return (position, row);
                    }
                }
            }
        }
    }

    private (Place Place, int Others) Find(AblationPrompt target, int position, int same)
    {
        if (target.Template is string template && _groups.TryGetValue(template, out Group? group) && group.Members - same >= Few
            && InGroup(group, template) is (_, > 0) found)
        {
            return found;
        }

        return InGroup(_all, null);

        (Place Place, int Others) InGroup(Group among, string? name)
        {
            foreach (string role in target.RolesAt(position))
            {
                if (among.Naming(role) - same is int naming and > 0)
                {
                    return (new Place(name, role, 0), naming);
                }
            }

            return among.AtLeast(target.Length - position) - same is int reaching and > 0
                ? (new Place(name, null, position - target.Length), reaching)
                : (new Place(name, null, position), among.AtLeast(position + 1) - same);
        }
    }

    /// <summary>Prompts with the same tokens, roles and template add the same to every sum.</summary>
    private static string Key(AblationPrompt prompt) =>
        $"{string.Join(' ', prompt.Ids)}|{string.Join(' ', (prompt.Roles ?? new Dictionary<string, int>()).OrderBy(role => role.Key, StringComparer.Ordinal))}|{prompt.Template}";

    /// <summary>A place that prompts have in common: a role, or an offset, from the end where negative and else from the first token; of one template, or of all.</summary>
    private readonly record struct Place(string? Template, string? Role, int Offset);

    /// <summary>Members of one template, or all.</summary>
    private sealed class Group
    {
        private readonly SortedDictionary<int, int> _lengths = []; // how many members have each length
        private readonly Dictionary<string, int> _naming = [];
        private int[]? _atLeast;                                   // by length

        public int Members { get; private set; }

        public void Add(AblationPrompt member)
        {
            Members++;
            _lengths[member.Length] = _lengths.GetValueOrDefault(member.Length) + 1;
            foreach (string role in member.Roles?.Keys ?? [])
            {
                _naming[role] = _naming.GetValueOrDefault(role) + 1;
            }
        }

        public int Naming(string role) => _naming.GetValueOrDefault(role);

        /// <summary>How many members have so many tokens or more.</summary>
        public int AtLeast(int length)
        {
            if (_atLeast is null)
            {
                _atLeast = new int[_lengths.Keys.Last() + 1];
                for (int l = _atLeast.Length - 1, count = 0; l >= 0; l--)
                {
                    _atLeast[l] = count += _lengths.GetValueOrDefault(l);
                }
            }

            return length < _atLeast.Length ? _atLeast[length] : 0;
        }
    }
}
