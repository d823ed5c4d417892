using System.Globalization;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Engine;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Primitives;

namespace HeadPatching.Http.Requests;

/// <summary>Which sweeps the list is to show, and which page of them.</summary>
/// <param name="Limit">The most sweeps of a page.</param>
/// <param name="After">Where the page before ended; null for the first.</param>
/// <param name="Filter">Which sweeps.</param>
internal sealed record ListQuery(int Limit, string? After, SweepFilter Filter)
{
    /// <summary>The query parameter <see cref="Limit"/>.</summary>
    public const string LimitName = "limit";

    /// <summary>The query parameter <see cref="After"/>.</summary>
    public const string TokenName = "continuationToken";

    /// <summary>What <see cref="TokenName"/> was called at first.</summary>
    public const string AfterName = "after";

    /// <summary>The query parameter of the states, once for each or with commas between them.</summary>
    public const string StatusName = "status";

    /// <summary>The query parameter of the model.</summary>
    public const string ModelName = "model";

    /// <summary>The query parameter of the words to find.</summary>
    public const string SearchName = "q";

    /// <summary>The limit where the query says none.</summary>
    public const int DefaultLimit = 100;

    /// <summary>The largest limit.</summary>
    public const int MostLimit = 1000;

    private const int MostWords = 10;

    /// <summary>Every parameter that the list knows.</summary>
    public static IReadOnlyList<string> Known { get; } = [LimitName, TokenName, AfterName, StatusName, ModelName, SearchName];

    /// <summary>What the states are called.</summary>
    public static IReadOnlyList<string> States { get; } = [.. Enum.GetValues<SweepState>().Select(state => state.NameOf())];

    /// <summary>Reads the query.</summary>
    /// <exception cref="RefusedRequestException">There is a parameter that is not known, or one that cannot be.</exception>
    public static ListQuery Read(IQueryCollection query, RequestLimits limits)
    {
        var faults = new FaultList();
        foreach (string unknown in query.Keys.Where(name => !Known.Contains(name) && !FunctionKey.Names.Contains(name)))
        {
            faults.Add(FaultKinds.UnknownProperty, unknown, $"The list has no such parameter. Known: {string.Join(", ", Known)}.");
        }

        string? limit = query[LimitName], token = query[TokenName], after = query[AfterName];
        int number = DefaultLimit;
        if (limit is not null && !(int.TryParse(limit, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number is >= 1 and <= MostLimit))
        {
            faults.Add(FaultKinds.InvalidOption, LimitName, $"The limit is a whole number from 1 to {MostLimit}.");
        }

        if (token is not null && after is not null && token != after)
        {
            faults.Add(FaultKinds.InvalidOption, AfterName, $"It is an earlier name of {TokenName}; give one of the two.");
        }
        else if ((token ?? after) is string place && !SweepPage.IsPlace(place))
        {
            faults.Add(
                FaultKinds.InvalidOption, token is null ? AfterName : TokenName, $"The page after which to go on is named by the member '{TokenName}' of the page before.");
        }

        string? model = Text(query[ModelName], ModelName), words = Text(query[SearchName], SearchName);
        var filter = new SweepFilter(
            StatesOf(query[StatusName], faults), model, words?.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Take(MostWords).ToArray());
        return faults.Count == 0 ? new ListQuery(number, token ?? after, filter) : throw new RefusedRequestException(faults.First, faults.Count);

        string? Text(StringValues values, string name)
        {
            if (values.Count > 1 || values.ToString().Length > limits.ShortTextCharacters)
            {
                faults.Add(FaultKinds.InvalidOption, name, $"It is there once, with at most {limits.ShortTextCharacters} characters.");
            }

            return values.Count == 0 || values.ToString().Length == 0 ? null : values.ToString();
        }
    }

    /// <summary>The address of the page that begins after a place, of the same sweeps.</summary>
    public string AddressAfter(string place, string pathBase)
    {
        var query = new List<KeyValuePair<string, string?>> { new(LimitName, Limit.ToString(CultureInfo.InvariantCulture)), new(AfterName, place) };
        query.AddRange(Filter.States.Select(state => new KeyValuePair<string, string?>(StatusName, state.NameOf())));
        if (Filter.Model is string model)
        {
            query.Add(new(ModelName, model));
        }

        if (Filter.Words is { Count: > 0 } words)
        {
            query.Add(new(SearchName, string.Join(' ', words)));
        }

        return QueryHelpers.AddQueryString($"{pathBase}/api/sweeps", query);
    }

    private static SweepState[] StatesOf(StringValues values, FaultList faults)
    {
        var states = new HashSet<SweepState>();
        foreach (string name in values.SelectMany(value => (value ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)))
        {
            SweepState[] named = [.. Enum.GetValues<SweepState>().Where(state => state.NameOf() == name)];
            if (named.Length == 0)
            {
                faults.Add(FaultKinds.InvalidOption, StatusName, $"A sweep has no such status. Known: {string.Join(", ", States)}.");
            }

            states.UnionWith(named);
        }

        return [.. states];
    }
}

/// <summary>The query parameters by which a call of the Functions app may carry its key: the platform reads them, and they reach every route.</summary>
internal static class FunctionKey
{
    /// <summary>The key, and the name of the key.</summary>
    public static IReadOnlyList<string> Names { get; } = ["code", "clientId"];
}
