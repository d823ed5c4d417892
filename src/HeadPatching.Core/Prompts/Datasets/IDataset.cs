using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Prompts.Datasets;

/// <summary>A dataset that needs no pairs file: it makes pairs for a model.</summary>
public interface IDataset
{
    /// <summary>Its name in requests and results.</summary>
    string Name { get; }

    /// <summary>What it holds, in a sentence or two.</summary>
    string Description { get; }

    /// <summary>Whether it makes as many pairs as are asked for, from a seed. The pairs of one that does not are always the same.</summary>
    bool IsGenerated { get; }

    /// <summary>Makes the pairs: always the same ones from the same input.</summary>
    /// <exception cref="InvalidInputException">It cannot make pairs for this model.</exception>
    IReadOnlyList<PromptPair> Make(DatasetInput input);
}
