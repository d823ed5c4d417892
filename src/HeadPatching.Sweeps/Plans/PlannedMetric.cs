using System.Globalization;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Requests;

namespace HeadPatching.Sweeps.Plans;

/// <summary>What a sweep measures, as its model sees it.</summary>
/// <param name="Kind">Which metric.</param>
/// <param name="Weights">Of <see cref="Core.Metrics.Metric.TokenWeights"/>, the tokens and their weights; null for the others.</param>
public sealed record PlannedMetric(Metric Kind, IReadOnlyList<TokenWeight>? Weights)
{
    /// <summary>The metric.</summary>
    public IMetric Make() => MetricFor.Metric(Kind, Weights);

    /// <summary>What the numbers depend on.</summary>
    public string Text() => Weights is null
        ? Kind.NameOf()
        : $"{Kind.NameOf()} {string.Join(' ', Weights.Select(one => string.Create(CultureInfo.InvariantCulture, $"{one.Id}:{one.Weight:R}")))}";

    /// <summary>What a request measures, on a model.</summary>
    /// <exception cref="InvalidInputException">Some of its token weights are not one token of the model, or the same one; carries all.</exception>
    public static PlannedMetric Of(SweepRequest request, ModelConfig config, TextTokenizer? tokenizer, FaultPlaces places) =>
        new(request.Measured(), TokensOf(request, config, tokenizer, places));

    private static TokenWeight[]? TokensOf(SweepRequest request, ModelConfig config, TextTokenizer? tokenizer, FaultPlaces places)
    {
        if (request.TokenWeights is null)
        {
            return null;
        }

        string where = places.Option("tokenWeights");
        var faults = new List<Fault>();
        var weights = new List<TokenWeight>();
        foreach (var (token, weight) in request.TokenWeights.OrderBy(one => one.Key, StringComparer.Ordinal))
        {
            bool byId = token.StartsWith('#') && token.Length > 1 && token.Skip(1).All(char.IsAsciiDigit);
            if ((byId ? FaultOfId(token, out int id) : FaultOfText(token, out id)) is string fault)
            {
                faults.Add(new Fault(FaultKinds.AnswerNotOneToken, $"{where}.{token}", fault));
            }
            else if (weights.Find(other => other.Id == id) is TokenWeight same)
            {
                faults.Add(new Fault(FaultKinds.SameAnswers, $"{where}.{token}", $"It is the same token as \"{same.Text ?? $"#{same.Id}"}\", {id}."));
            }
            else
            {
                weights.Add(new TokenWeight(id, weight, byId ? null : token));
            }
        }

        return faults.Count == 0 ? [.. weights] : throw new InvalidInputException(faults);

        string? FaultOfId(string token, out int id) => int.TryParse(token.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out id) && id < config.Vocabulary
            ? null
            : $"The vocabulary has tokens 0 to {config.Vocabulary - 1}.";

        string? FaultOfText(string token, out int id)
        {
            IReadOnlyList<int> ids = tokenizer?.EncodeWithin(token) ?? [];
            id = ids.Count == 1 ? ids[0] : 0;
            return ids.Count == 1 ? null
                : tokenizer is null ? "The model has no tokenizer: name the token by its id, such as \"#339\"."
                : $"It must be one token, and is {ids.Count}: {string.Join(", ", ids.Take(10).Select(one => $"\"{tokenizer.TokenText(one)}\""))}."
                    + (!token.StartsWith(' ') && tokenizer.EncodeWithin(" " + token).Count == 1 ? $" With the space before it, \" {token}\", it is one." : "");
        }
    }
}
