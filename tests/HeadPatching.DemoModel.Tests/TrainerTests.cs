using HeadPatching.Core.Prompts;
using HeadPatching.DemoModel.Training;
using HeadPatching.DemoModel.Vocabularies;

namespace HeadPatching.DemoModel.Tests;

public sealed class TrainerTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory();
    private readonly BytePairVocabulary _vocabulary = BytePairVocabulary.Train(SentenceWords.All);

    public TrainerTests() => _vocabulary.Save(_folder.FullName);

    [Fact]
    public void A_few_steps_lower_the_loss()
    {
        var losses = Train(new TrainingOptions { Steps = 40, WarmUpSteps = 5, BatchSize = 16, LearningRate = 1e-2 });
        Assert.True(losses[^1].LanguageModelLoss < 0.9 * losses[0].LanguageModelLoss, $"{losses[0]} -> {losses[^1]}");
        Assert.True(losses[^1].AnswerLoss < 0.9 * losses[0].AnswerLoss, $"{losses[0]} -> {losses[^1]}");
    }

    [Fact]
    public void The_same_seed_trains_the_same_and_another_seed_does_not()
    {
        var options = new TrainingOptions { Steps = 3, BatchSize = 4 };
        Assert.Equal(Train(options)[^1].AnswerLoss, Train(options)[^1].AnswerLoss, 1e-5);
        Assert.NotEqual(Train(options)[^1].AnswerLoss, Train(options with { Seed = options.Seed + 1 })[^1].AnswerLoss, 1e-5);
    }

    [Fact]
    public void A_stopped_training_throws()
    {
        using var stop = new CancellationTokenSource();
        var trainer = NewTrainer(new TrainingOptions { Steps = 1000, BatchSize = 4 });
        Assert.Throws<OperationCanceledException>(() => trainer.Train(_ => stop.Cancel(), stop.Token));
    }

    public void Dispose() => _folder.Delete(recursive: true);

    private List<TrainingProgress> Train(TrainingOptions options)
    {
        var steps = new List<TrainingProgress>();
        using var model = NewTrainer(options).Train(steps.Add);
        return steps;
    }

    private Trainer NewTrainer(TrainingOptions options)
    {
        var config = DemoModelShape.Of(_vocabulary.Tokens.Count, _vocabulary.EndOfTextId) with
        {
            Layers = 1,
            Heads = 2,
            KeyValueHeads = 2,
            HeadWidth = 8,
            Width = 16,
            MlpWidth = 32,
        };
        return new Trainer(config, TextTokenizer.Load(_folder.FullName)!, options);
    }
}
