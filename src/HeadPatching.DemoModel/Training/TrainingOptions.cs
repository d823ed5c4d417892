namespace HeadPatching.DemoModel.Training;

/// <summary>How a model is trained. The defaults are those of the committed demo model.</summary>
public sealed record TrainingOptions
{
    /// <summary>The seed of the first weights and of the sentences.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Number of optimizer steps.</summary>
    public int Steps { get; init; } = 1200;

    /// <summary>Sentences a step.</summary>
    public int BatchSize { get; init; } = 64;

    /// <summary>The learning rate after the warm-up, from which it falls to 0 along half a cosine wave.</summary>
    public double LearningRate { get; init; } = 2e-3;

    /// <summary>Steps in which the learning rate rises from 0.</summary>
    public int WarmUpSteps { get; init; } = 50;

    /// <summary>
    /// AdamW's weight decay. It is strong on purpose: heads that the task can do without fade, and what remains is a circuit of few heads.
    /// </summary>
    public double WeightDecay { get; init; } = 1;

    /// <summary>
    /// What the loss on all other words counts against that on the answer. Most of those words are drawn at random and cannot be
    /// predicted; they are there so that the model knows the sentences, not only their end.
    /// </summary>
    public double LanguageModelWeight { get; init; } = 0.1;
}
