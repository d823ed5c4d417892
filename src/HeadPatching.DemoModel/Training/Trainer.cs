using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Prompts;
using HeadPatching.DemoModel.Sentences;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;
using Parameter = TorchSharp.Modules.Parameter;

namespace HeadPatching.DemoModel.Training;

/// <summary>Trains a model from random weights on sentences about <see cref="NamePairs.Training"/>, on the CPU in float32.</summary>
/// <param name="config">The model's shape; must have a BOS.</param>
/// <param name="tokenizer">The model's tokenizer.</param>
/// <param name="options">How to train.</param>
public sealed class Trainer(ModelConfig config, TextTokenizer tokenizer, TrainingOptions options)
{
    private readonly int _bosId = config.BosId ?? throw new ArgumentException("The model has no BOS.", nameof(config));

    /// <summary>Trains.</summary>
    /// <param name="onStep">Called after every step.</param>
    /// <param name="cancellation">Stops between two steps.</param>
    /// <returns>The trained model; the caller disposes of it.</returns>
    /// <exception cref="OperationCanceledException">Training was stopped.</exception>
    public Transformer Train(Action<TrainingProgress> onStep, CancellationToken cancellation = default)
    {
        manual_seed(options.Seed);
        var sentences = new SentenceGenerator(NamePairs.Training, new Random(options.Seed));
        var model = new Transformer(config, InitialWeights.Draw(config));
        using var training = NewDisposeScope(); // the optimizer's moments
        using var optimizer = optim.AdamW(model.Weights.All().Cast<Parameter>(), options.LearningRate, weight_decay: options.WeightDecay);
        for (var step = 0; step < options.Steps; step++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            optimizer.ParamGroups.Single().LearningRate = LearningRate(step);
            var batch = SentenceBatch.Encode([.. Enumerable.Range(0, options.BatchSize).Select(_ => sentences.Next())], tokenizer, _bosId);
            var logits = model.Logits(batch.Ids); // [batch, position, vocabulary]
            var answerLoss = F.cross_entropy(batch.AtAnswers(logits), batch.Answer);
            var languageModelLoss = F.cross_entropy(logits.flatten(0, 1), batch.Next.flatten(), ignore_index: SentenceBatch.Ignored);
            optimizer.zero_grad();
            answerLoss.Plus(tensor(options.LanguageModelWeight) * languageModelLoss).backward();
            optimizer.step();
            onStep(new TrainingProgress(step + 1, answerLoss.item<float>(), languageModelLoss.item<float>()));
        }

        return model;
    }

    private double LearningRate(int step)
    {
        var warmUp = Math.Min(1, (step + 1.0) / options.WarmUpSteps);
        var cosine = (1 + Math.Cos(Math.PI * step / options.Steps)) / 2;
        return options.LearningRate * warmUp * cosine;
    }
}
