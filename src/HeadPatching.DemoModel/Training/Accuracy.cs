using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using HeadPatching.DemoModel.Sentences;
using static TorchSharp.torch;

namespace HeadPatching.DemoModel.Training;

/// <summary>How often a model completes sentences rightly.</summary>
/// <param name="Sentences">How many sentences were tried.</param>
/// <param name="Correct">In what share of them the right name has the highest logit of all tokens.</param>
/// <param name="Preferred">In what share of them the right name has a higher logit than the wrong one.</param>
public sealed record Accuracy(int Sentences, double Correct, double Preferred)
{
    /// <summary>Measures on random sentences, always the same ones, about every pair of <see cref="NamePairs.HeldOut"/>.</summary>
    /// <param name="model">A model with a BOS.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="sentencesPerPair">Random sentences about each pair, in both orders of the names.</param>
    public static Accuracy OnHeldOutPairs(Transformer model, TextTokenizer tokenizer, int sentencesPerPair = 10)
    {
        const int Seed = 1;
        var generator = new SentenceGenerator(NamePairs.HeldOut, new Random(Seed));
        var sentences = NamePairs.HeldOut.SelectMany(pair => Enumerable.Range(0, sentencesPerPair).Select(_ => generator.Next(pair)));
        return On([.. sentences], model, tokenizer);
    }

    private static Accuracy On(IReadOnlyList<Sentence> sentences, Transformer model, TextTokenizer tokenizer)
    {
        const int BatchSize = 128;
        var bosId = model.Config.BosId ?? throw new ArgumentException("The model has no BOS.", nameof(model));
        long correct = 0, preferred = 0;
        using var noGradients = inference_mode();
        foreach (var chunk in sentences.Chunk(BatchSize))
        {
            using var scope = NewDisposeScope();
            var batch = SentenceBatch.Encode(chunk, tokenizer, bosId);
            var logits = batch.AtAnswers(model.Logits(batch.Ids)); // [batch, vocabulary]
            correct += logits.argmax(-1).eq(batch.Answer).sum().item<long>();
            var rows = batch.Rows();
            preferred += logits[rows, batch.Answer].gt(logits[rows, batch.WrongAnswer]).sum().item<long>();
        }

        return new Accuracy(sentences.Count, (double)correct / sentences.Count, (double)preferred / sentences.Count);
    }
}
