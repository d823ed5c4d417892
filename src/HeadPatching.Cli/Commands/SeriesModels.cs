using System.Globalization;
using System.IO.Enumeration;
using System.Numerics;
using System.Text.RegularExpressions;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Results.Series;

namespace HeadPatching.Cli.Commands;

/// <summary>The models that <c>--models</c> names.</summary>
/// <param name="Found">What each is called, no two the same, and where it is found.</param>
/// <param name="LeftOut">Folders and files that are no models.</param>
internal sealed partial record SeriesModels(IReadOnlyList<(string Name, string Model)> Found, IReadOnlyList<string> LeftOut)
{
    private const string Flag = "--models";

    /// <summary>
    /// Finds them. A shell expands <c>folder/*</c> to whatever lies there, so what is no model is left out; what is no path at all may be a model's name.
    /// Names that differ in a number alone (checkpoint-2, checkpoint-10) go by that number, others as they were given.
    /// </summary>
    /// <exception cref="InvalidInputException">There is no model among them, or too many.</exception>
    public static SeriesModels Find(IReadOnlyList<string> given)
    {
        string[] paths = [.. given.SelectMany(Expanded)];
        string[] leftOut = [.. paths.Where(path => File.Exists(path) || (Directory.Exists(path) && !File.Exists(Path.Combine(path, "config.json"))))];
        string[] models = [.. paths.Except(leftOut).Distinct()];
        if (models.Length is 0 or > SweepSeries.MostModels)
        {
            throw new InvalidInputException(
                models.Length == 0 ? FaultKinds.NotFound : FaultKinds.TooLarge,
                Flag,
                models.Length == 0
                    ? $"There is no model folder among {string.Join(", ", given.Take(5))}: one has a config.json."
                    : $"A series is of {SweepSeries.MostModels} models at most; there are {models.Length}.");
        }

        var found = new List<(string Name, string Model)>();
        foreach (string model in Ordered(models))
        {
            string plain = Path.GetFileName(Path.TrimEndingDirectorySeparator(model)), name = plain;
            for (int copy = 2; found.Any(other => other.Name == name); copy++)
            {
                name = string.Create(CultureInfo.InvariantCulture, $"{plain}-{copy}");
            }

            found.Add((name, model));
        }

        return new SeriesModels(found, leftOut);
    }

    private static IEnumerable<string> Expanded(string given)
    {
        string pattern = Path.GetFileName(Path.TrimEndingDirectorySeparator(given));
        if (!pattern.Contains('*', StringComparison.Ordinal))
        {
            return [given];
        }

        string parent = Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(given)) is { Length: > 0 } named ? named : ".";
        return Directory.Exists(parent)
            ? Directory.EnumerateDirectories(parent).Where(folder => FileSystemName.MatchesSimpleExpression(pattern, Path.GetFileName(folder), ignoreCase: false)).Order(StringComparer.Ordinal)
            : throw new InvalidInputException(FaultKinds.NotFound, Flag, $"There is no folder '{parent}'.");
    }

    private static IEnumerable<string> Ordered(string[] models) => models.Select(model => Number().Replace(model, "#")).Distinct().Count() > 1
        ? models
        : models.OrderBy(model => BigInteger.Parse(Number().Matches(model) is { Count: > 0 } numbers ? numbers[^1].Value : "0", CultureInfo.InvariantCulture));

    [GeneratedRegex("[0-9]+")]
    private static partial Regex Number();
}
