using System.Globalization;
using HeadPatching.Core.Faults;
using Microsoft.AspNetCore.Http;

namespace HeadPatching.Http.Requests;

/// <summary>How long a call for a sweep's status waits for it to change.</summary>
internal static class WaitQuery
{
    /// <summary>The query parameter.</summary>
    public const string Name = "wait";

    /// <summary>The longest wait in seconds: less than any proxy between is known to give up after.</summary>
    public const int MostSeconds = 30;

    /// <summary>Reads the query; zero where it asks for no wait.</summary>
    /// <exception cref="RefusedRequestException">It is no number of seconds.</exception>
    public static TimeSpan Read(IQueryCollection query) => (string?)query[Name] switch
    {
        null => TimeSpan.Zero,
        string text when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int seconds) && seconds <= MostSeconds => TimeSpan.FromSeconds(seconds),
        _ => throw new RefusedRequestException(
            [new Fault(FaultKinds.InvalidOption, Name, $"The wait is a whole number of seconds from 0 to {MostSeconds}.")], 1),
    };
}
