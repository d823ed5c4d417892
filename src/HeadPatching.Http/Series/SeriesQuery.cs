using System.Globalization;
using HeadPatching.Core.Faults;
using HeadPatching.Http.Requests;
using HeadPatching.Sweeps.Engine;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;

namespace HeadPatching.Http.Series;

/// <summary>Which page of the list of series is asked for.</summary>
/// <param name="Limit">The most of a page.</param>
/// <param name="After">Where the page before ended; null for the first.</param>
internal sealed record SeriesQuery(int Limit, string? After)
{
    /// <summary>The limit where the query says none.</summary>
    public const int DefaultLimit = 20;

    /// <summary>The largest limit: each series of a page has all of its models.</summary>
    public const int MostLimit = 100;

    private static readonly string[] Known = [ListQuery.LimitName, ListQuery.TokenName];

    /// <summary>Reads the query.</summary>
    /// <exception cref="RefusedRequestException">There is a parameter that is not known, or one that cannot be.</exception>
    public static SeriesQuery Read(IQueryCollection query)
    {
        var faults = new FaultList();
        foreach (string unknown in query.Keys.Where(name => !Known.Contains(name) && !FunctionKey.Names.Contains(name)))
        {
            faults.Add(FaultKinds.UnknownProperty, unknown, $"The list has no such parameter. Known: {string.Join(", ", Known)}.");
        }

        string? limit = query[ListQuery.LimitName], token = query[ListQuery.TokenName];
        int number = DefaultLimit;
        if (limit is not null && !(int.TryParse(limit, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number is >= 1 and <= MostLimit))
        {
            faults.Add(FaultKinds.InvalidOption, ListQuery.LimitName, $"The limit is a whole number from 1 to {MostLimit}.");
        }

        if (token is not null && !SweepPage.IsPlace(token))
        {
            faults.Add(FaultKinds.InvalidOption, ListQuery.TokenName, $"The page after which to go on is named by the member '{ListQuery.TokenName}' of the page before.");
        }

        return faults.Count == 0 ? new SeriesQuery(number, token) : throw new RefusedRequestException(faults.First, faults.Count);
    }

    /// <summary>The address of the page that begins after a place.</summary>
    public string AddressAfter(string place, string pathBase) => QueryHelpers.AddQueryString($"{pathBase}/api/series", new Dictionary<string, string?>
    {
        [ListQuery.LimitName] = Limit.ToString(CultureInfo.InvariantCulture),
        [ListQuery.TokenName] = place,
    });
}
