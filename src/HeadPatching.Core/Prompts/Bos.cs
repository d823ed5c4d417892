using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;

namespace HeadPatching.Core.Prompts;

/// <summary>Whether text prompts begin with the model's BOS token. Token-id prompts are taken as given, whatever it is.</summary>
public enum Bos
{
    /// <summary>As the family's do in TransformerLens (<c>default_prepend_bos</c>): GPT-2, Llama and Mistral with, Pythia and Qwen without.</summary>
    Auto,

    /// <summary>With the <c>bos_token_id</c> of config.json.</summary>
    Always,

    /// <summary>Without.</summary>
    Never,
}

/// <summary>What <see cref="Bos"/> makes of a model.</summary>
public static class BosRule
{
    /// <summary>The model as its prompts are to see it: its <see cref="ModelConfig.BosId"/> is the token that they begin with.</summary>
    /// <param name="config">The model.</param>
    /// <param name="bos">What was asked for.</param>
    /// <param name="where">Where it was asked for: <c>--bos</c>, <c>bos</c>.</param>
    /// <exception cref="InvalidInputException">There is to be a BOS, and the model has none.</exception>
    public static ModelConfig WithBos(this ModelConfig config, Bos bos, string where)
    {
        int? known = config.BosId ?? config.UnusedBosId;
        return bos switch
        {
            Bos.Always when known is null => throw new InvalidInputException(
                FaultKinds.InvalidOption, where, "This model has no BOS: its config.json names no bos_token_id within the vocabulary. Use auto or never, or give token ids."),
            Bos.Always => config with { BosId = known, UnusedBosId = null },
            Bos.Never => config with { BosId = null, UnusedBosId = known },
            _ => config,
        };
    }
}
