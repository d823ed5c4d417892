using System.Globalization;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Results.Comparing;
using HeadPatching.Http.Requests;
using HeadPatching.Sweeps.Requests;
using Microsoft.AspNetCore.Http;

namespace HeadPatching.Http.Comparing;

/// <summary>Which sweeps are to be compared, and how.</summary>
/// <param name="A">The sweep that is compared with.</param>
/// <param name="B">The sweep that is compared.</param>
/// <param name="Draws">How often pairs are drawn again.</param>
/// <param name="Seed">Of the draws.</param>
internal sealed record CompareQuery(string A, string B, int Draws, int Seed)
{
    /// <summary>The query parameters.</summary>
    public const string AName = "a", BName = "b", DrawsName = "draws", SeedName = "seed";

    /// <summary>Reads the query.</summary>
    /// <exception cref="RefusedRequestException">A parameter is missing or cannot be.</exception>
    public static CompareQuery Read(IQueryCollection query)
    {
        var faults = new FaultList();
        string a = Id(AName), b = Id(BName);
        int draws = Whole(DrawsName, SweepComparer.DefaultDraws), seed = Whole(SeedName, 0);
        if (draws is < SweepComparer.LeastDraws or > SweepComparer.MostDraws)
        {
            faults.Add(FaultKinds.InvalidOption, DrawsName, $"The draws are {SweepComparer.LeastDraws} to {SweepComparer.MostDraws}.");
        }

        return faults.Count == 0 ? new CompareQuery(a, b, draws, seed) : throw new RefusedRequestException(faults.First, faults.Count);

        string Id(string name)
        {
            if (query[name] is [string id] && SweepIds.IsValid(id))
            {
                return id;
            }

            faults.Add(query.ContainsKey(name) ? FaultKinds.InvalidOption : FaultKinds.Missing, name, $"'{name}' is the id of a sweep, once.");
            return "";
        }

        int Whole(string name, int fallback)
        {
            if (!query.TryGetValue(name, out var value))
            {
                return fallback;
            }

            if (value is [string text] && int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int number))
            {
                return number;
            }

            faults.Add(FaultKinds.InvalidOption, name, $"'{name}' is a whole number.");
            return fallback;
        }
    }
}
