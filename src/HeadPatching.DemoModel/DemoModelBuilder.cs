using HeadPatching.Core.Prompts;
using HeadPatching.DemoModel.Training;
using HeadPatching.DemoModel.Vocabularies;

namespace HeadPatching.DemoModel;

/// <summary>Makes the demo model from nothing: vocabulary, training, folder.</summary>
public static class DemoModelBuilder
{
    /// <summary>Trains a model and writes its folder: config.json, model.safetensors, vocab.json and merges.txt.</summary>
    /// <param name="folder">
    /// Is made where it is not there. Its files are replaced only after training, so stopping early changes none.
    /// </param>
    /// <param name="options">How to train.</param>
    /// <param name="onStep">Called after every training step.</param>
    /// <param name="cancellation">Stops between two steps.</param>
    /// <returns>The model's accuracy on name pairs that it has not seen.</returns>
    /// <exception cref="OperationCanceledException">Training was stopped.</exception>
    /// <exception cref="IOException">The folder cannot be written.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder cannot be written.</exception>
    public static Accuracy Build(
        string folder, TrainingOptions options, Action<TrainingProgress> onStep, CancellationToken cancellation = default)
    {
        Directory.CreateDirectory(folder);
        var unfinished = Directory.CreateTempSubdirectory("ioi-demo-");
        try
        {
            var vocabulary = BytePairVocabulary.Train(SentenceWords.All);
            vocabulary.Save(unfinished.FullName);
            var tokenizer = TextTokenizer.Load(unfinished.FullName)!;
            var config = DemoModelShape.Of(vocabulary.Tokens.Count, vocabulary.EndOfTextId);
            using var model = new Trainer(config, tokenizer, options).Train(onStep, cancellation);
            Gpt2Folder.Save(unfinished.FullName, model);
            foreach (var file in unfinished.EnumerateFiles())
            {
                file.CopyTo(Path.Combine(folder, file.Name), overwrite: true);
            }

            return Accuracy.OnHeldOutPairs(model, tokenizer);
        }
        finally
        {
            unfinished.Delete(recursive: true);
        }
    }
}
