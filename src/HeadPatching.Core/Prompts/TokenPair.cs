using System.Text.Json.Serialization;
using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts;

/// <summary>A pair as the model sees it: validated token ids.</summary>
/// <param name="Index">Its index in the dataset or pairs file, from 0 (kept when pairs are chosen with <c>--pair-indices</c>).</param>
/// <param name="Clean">Token ids of the clean prompt, BOS included.</param>
/// <param name="Corrupted">Token ids of the corrupted prompt, as many as the clean one's.</param>
/// <param name="Correct">The right answer, or several, as token ids.</param>
/// <param name="Incorrect">The answer that it is measured against, or several.</param>
public sealed record TokenPair(int Index, IReadOnlyList<int> Clean, IReadOnlyList<int> Corrupted, TokenAnswers Correct, TokenAnswers Incorrect)
{
    /// <summary>Positions by their roles (<see cref="Prompts.Roles"/>), from 0, the same in both prompts; null where the pair names none.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, int>? Roles { get; init; }

    /// <summary>What the pair was made from, the same text in all pairs of one form; null where it says nothing of it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Template { get; init; }

    /// <summary>How many tokens each of the two prompts has.</summary>
    public int Length => Clean.Count;

    /// <summary>
    /// The first position at which the prompts differ: before it, causal attention makes every activation the same in both runs.
    /// <see cref="Length"/> where the prompts are the same.
    /// </summary>
    public int FirstDifference
    {
        get
        {
            for (int p = 0; p < Length; p++)
            {
                if (Clean[p] != Corrupted[p])
                {
                    return p;
                }
            }

            return Length;
        }
    }

    /// <summary>The position of a role, from 0; null where the pair does not name it.</summary>
    public int? PositionOf(string role) => Roles is not null && Roles.TryGetValue(role, out int position) ? position : null;

    /// <summary>The pair's roles by position, and by name where two name the same one; none where it names none.</summary>
    public IReadOnlyList<(string Name, int Position)> RolesInOrder() =>
        Roles is null ? [] : [.. Roles.Select(role => (role.Key, role.Value)).OrderBy(role => role.Value).ThenBy(role => role.Key, StringComparer.Ordinal)];
}

/// <summary>Pairs as the model sees them, without those that cannot be swept.</summary>
/// <param name="Pairs">Those that can, at least one.</param>
/// <param name="LeftOutCount">How many were left out.</param>
/// <param name="LeftOut">Those that were left out, the first 100 of them.</param>
public sealed record TokenizedPairs(IReadOnlyList<TokenPair> Pairs, int LeftOutCount, IReadOnlyList<LeftOutPair> LeftOut);

/// <summary>A pair that cannot be swept.</summary>
/// <param name="Index">Its index in the dataset or pairs file, from 0.</param>
/// <param name="Fault">What is wrong with it, and where; the first where it is several things.</param>
public sealed record LeftOutPair(int Index, Fault Fault);
