using System.Globalization;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Patching.Patterns;
using Microsoft.AspNetCore.Http;

namespace HeadPatching.Http.Requests;

/// <summary>Whose pattern is asked for.</summary>
/// <param name="Head">The head, such as <c>L9H6</c>.</param>
/// <param name="Pair">The pair's index in the dataset.</param>
internal sealed record PatternQuery(string Head, int Pair)
{
    /// <summary>The query parameter <see cref="Head"/>.</summary>
    public const string HeadName = "head";

    /// <summary>The query parameter <see cref="Pair"/>.</summary>
    public const string PairName = "pair";

    /// <summary>Reads the query.</summary>
    /// <exception cref="RefusedRequestException">A parameter is missing, cannot be, or is not known.</exception>
    public static PatternQuery Read(IQueryCollection query)
    {
        var faults = new FaultList();
        string? head = query[HeadName], pair = query[PairName];
        int index = 0;
        if (head is null || HeadNames.Parse(head) is null)
        {
            faults.Add(head is null ? FaultKinds.Missing : FaultKinds.InvalidOption, HeadName, "Name a head by its layer and number, such as head=L9H6.");
        }

        if (pair is null || !int.TryParse(pair, NumberStyles.None, CultureInfo.InvariantCulture, out index))
        {
            faults.Add(pair is null ? FaultKinds.Missing : FaultKinds.InvalidOption, PairName, "Name a pair by its index in the dataset, such as pair=3.");
        }

        foreach (string unknown in query.Keys.Where(name => name is not (HeadName or PairName)).Take(FaultList.Listed))
        {
            faults.Add(FaultKinds.UnknownProperty, unknown, $"There is no such parameter: patterns have {HeadName} and {PairName}.");
        }

        return faults.Count == 0 ? new PatternQuery(head!, index) : throw new RefusedRequestException(faults.First, faults.Count);
    }
}
