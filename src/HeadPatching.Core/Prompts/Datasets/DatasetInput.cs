using HeadPatching.Core.Models;

namespace HeadPatching.Core.Prompts.Datasets;

/// <summary>What a dataset makes its pairs from.</summary>
/// <param name="Config">The model: its vocabulary, context and BOS.</param>
/// <param name="Tokenizer">The model's tokenizer; null where it has none.</param>
/// <param name="Count">How many pairs a generated dataset makes.</param>
/// <param name="Seed">Seed of everything drawn at random.</param>
/// <param name="Where">The place of the dataset's name in a fault: <c>--dataset</c>, <c>dataset</c>.</param>
public sealed record DatasetInput(ModelConfig Config, TextTokenizer? Tokenizer, int Count, int Seed, string Where)
{
    /// <summary>Only these templates, each equally often, where the dataset has templates and knows any of them; null: all of its templates.</summary>
    public IReadOnlyCollection<string>? Templates { get; init; }
}
