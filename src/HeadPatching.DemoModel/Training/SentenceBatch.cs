using HeadPatching.Core.Prompts;
using HeadPatching.DemoModel.Sentences;
using static TorchSharp.torch;

namespace HeadPatching.DemoModel.Training;

/// <summary>
/// Sentences as tensors, BOS first and the full stop last. Shorter ones are filled up at the end, where a causal model does not look.
/// </summary>
/// <param name="Ids">[batch, position] int64</param>
/// <param name="Next">[batch, position] int64: the token after each position, <see cref="Ignored"/> where the sentence is over</param>
/// <param name="AnswerPosition">[batch] int64: the last position of the prompt, where the answer is predicted</param>
/// <param name="Answer">[batch] int64: the right answer's token</param>
/// <param name="WrongAnswer">[batch] int64: the other name's token</param>
public sealed record SentenceBatch(Tensor Ids, Tensor Next, Tensor AnswerPosition, Tensor Answer, Tensor WrongAnswer)
{
    /// <summary>The target that torch's cross-entropy leaves out.</summary>
    public const long Ignored = -100;

    /// <summary>Encodes sentences.</summary>
    /// <param name="sentences">At least one.</param>
    /// <param name="tokenizer">The tokenizer; every name must be one token of it.</param>
    /// <param name="bosId">The token that begins every sentence.</param>
    public static SentenceBatch Encode(IReadOnlyList<Sentence> sentences, TextTokenizer tokenizer, int bosId)
    {
        List<List<long>> encoded = [.. sentences.Select(WithBos)];
        var positions = encoded.Max(ids => ids.Count) - 1;
        var inputs = new long[sentences.Count, positions];
        var targets = new long[sentences.Count, positions];
        for (var row = 0; row < sentences.Count; row++)
        {
            var ids = encoded[row];
            for (var position = 0; position < positions; position++)
            {
                inputs[row, position] = position < ids.Count ? ids[position] : bosId;
                targets[row, position] = position + 1 < ids.Count ? ids[position + 1] : Ignored;
            }
        }

        return new SentenceBatch(
            tensor(inputs),
            tensor(targets),
            AnswerPosition: tensor(encoded.Select(ids => ids.Count - 3L).ToArray()), // ids end in: last word, answer, full stop
            Answer: tensor(encoded.Select(ids => ids[^2]).ToArray()),
            WrongAnswer: tensor(sentences.Select(sentence => (long)tokenizer.Encode(sentence.WrongAnswer).Single()).ToArray()));

        List<long> WithBos(Sentence sentence) =>
            [bosId, .. tokenizer.Encode($"{sentence.Prompt}{sentence.Answer}.").Select(id => (long)id)];
    }

    /// <summary>The logits where the answers are predicted.</summary>
    /// <param name="logits">[batch, position, vocabulary]</param>
    /// <returns>[batch, vocabulary]</returns>
    public Tensor AtAnswers(Tensor logits) => logits[Rows(), AnswerPosition];

    /// <summary>The rows 0, 1, .. of the batch, [batch] int64: with another index beside them, one element of each row.</summary>
    public Tensor Rows() => tensor([.. Enumerable.Range(0, (int)Ids.shape[0]).Select(row => (long)row)]);
}
