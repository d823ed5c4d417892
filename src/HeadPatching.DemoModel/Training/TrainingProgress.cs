namespace HeadPatching.DemoModel.Training;

/// <summary>Where training stands after a step.</summary>
/// <param name="Step">Steps done, from 1.</param>
/// <param name="AnswerLoss">Cross-entropy of the answers of this step's sentences, in nats.</param>
/// <param name="LanguageModelLoss">Cross-entropy of every word of them, in nats.</param>
public sealed record TrainingProgress(int Step, double AnswerLoss, double LanguageModelLoss);
