using System.Globalization;
using HeadPatching.Core.Faults;
using HeadPatching.Sweeps.Engine;
using Microsoft.AspNetCore.Http;

namespace HeadPatching.Http.Requests;

/// <summary>Which page of the list of sweeps is asked for.</summary>
/// <param name="Limit">The most sweeps of a page.</param>
/// <param name="After">Where the page before ended; null for the first.</param>
internal sealed record ListQuery(int Limit, string? After)
{
    /// <summary>The query parameter <see cref="Limit"/>.</summary>
    public const string LimitName = "limit";

    /// <summary>The query parameter <see cref="After"/>.</summary>
    public const string AfterName = "after";

    /// <summary>The limit where the query says none.</summary>
    public const int DefaultLimit = 100;

    /// <summary>The largest limit.</summary>
    public const int MostLimit = 1000;

    /// <summary>Reads the query.</summary>
    /// <exception cref="RefusedRequestException">A parameter cannot be.</exception>
    public static ListQuery Read(IQueryCollection query)
    {
        var faults = new FaultList();
        string? limit = query[LimitName], after = query[AfterName];
        int number = DefaultLimit;
        if (limit is not null && !(int.TryParse(limit, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number is >= 1 and <= MostLimit))
        {
            faults.Add(FaultKinds.InvalidOption, LimitName, $"The limit is a whole number from 1 to {MostLimit}.");
        }

        if (after is not null && !SweepPage.IsPlace(after))
        {
            faults.Add(FaultKinds.InvalidOption, AfterName, "The page after which to go on is named by the link 'next' of the page before.");
        }

        return faults.Count == 0 ? new ListQuery(number, after) : throw new RefusedRequestException(faults.First, faults.Count);
    }
}
