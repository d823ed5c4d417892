using HeadPatching.Azure;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Prompts.Datasets;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Cli.Commands.Circuits;

/// <summary>The finished sweep that <c>circuit</c> goes on from: what it found, and what was asked for, so that the same work is found again.</summary>
/// <param name="Result">What it found.</param>
/// <param name="Request">What was asked for.</param>
internal sealed record CircuitSource(SweepResult Result, SweepRequest Request)
{
    /// <summary>Reads a sweep: a folder that its files were put into, its results.json, or its id in the store.</summary>
    /// <exception cref="InvalidInputException">It is none of these, or nothing that can be gone on from.</exception>
    public static async Task<CircuitSource> ReadAsync(string given, string location, CancellationToken cancellationToken)
    {
        SweepResult result = (await ComparedSource.ReadAsync([given], location, cancellationToken))[0].Result;
        IArtifactStore store = ArtifactStores.Open(location);
        StoredRequest? stored = await store.ReadJsonAsync<StoredRequest>(SweepArtifacts.Request(result.SweepId), cancellationToken);
        return new CircuitSource(result, stored?.Request ?? Again(result, given));
    }

    /// <summary>The request that a result came of, with its pairs as the model saw them: the same runs, wherever they are.</summary>
    private static SweepRequest Again(SweepResult result, string given)
    {
        if (result.Pairs.Count != result.Dataset.Pairs)
        {
            throw new InvalidInputException(
                FaultKinds.InvalidOption, given, $"Its pairs are neither in the store nor in results.json, which holds up to {SweepResult.MostPairs}. Name the store that it was run in with --store.");
        }

        if (result.Reference is { Name: string reference } && BuiltInDatasets.Find(reference) is null)
        {
            throw new InvalidInputException(
                FaultKinds.InvalidOption, given, $"The prompts of its reference {reference} are in the store that it was run in alone. Name that with --store.");
        }

        Metric metric = Enum.GetValues<Metric>().FirstOrDefault(one => one.NameOf() == result.Metric, Metric.TokenWeights);
        if (metric == Metric.TokenWeights)
        {
            throw new InvalidInputException(
                FaultKinds.InvalidOption, given, $"What its metric {result.Metric} weighs is in the store that it was run in alone. Name that with --store.");
        }

        return new SweepRequest
        {
            Model = result.Model.Name,
            Pairs =
            [
                .. result.Pairs.Select(pair => new PromptPair(
                    Prompt.Of(pair.CleanTokens), Prompt.Of(pair.CorruptedTokens), Answers(pair.Correct), Answers(pair.Incorrect)) { Roles = pair.Roles }),
            ],
            Name = result.Dataset.Name,
            Seed = result.Seed,
            Patch = result.Patch,
            Ablation = result.Ablation,
            Reference = result.Reference is null ? null : ReferencePrompts.Of(result.Reference.Name),
            Method = result.Method,
            Gradient = result.Gradient,
            ScreenTop = result.ScreenTop,
            Receivers = result.Receivers,
            FreezeMlps = result.FreezeMlps ?? false,
            Positions = result.Positions,
            Direction = result.Direction,
            Metric = metric,
            Aggregation = result.Aggregation,
            Threshold = result.Threshold,
            Dtype = result.Model.Dtype,
        };

        static AnswerSet Answers(TokenAnswers answers) => AnswerSet.Of([.. answers.Ids.Select(Answer.Of)]);
    }
}
