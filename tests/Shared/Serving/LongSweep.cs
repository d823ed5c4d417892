using System.Text.Json;

namespace HeadPatching.Testing;

/// <summary>A sweep that takes long enough to be interrupted: on a random model, with token ids for prompts.</summary>
internal static class LongSweep
{
    public const string Model = "random-long";
    public const int Layers = 10;
    private const int Vocabulary = 1000;

    /// <summary>Writes the model into a folder of models.</summary>
    /// <param name="models">The folder.</param>
    /// <param name="width">d_model: twice as much takes three times as long.</param>
    public static void WriteModel(string models, int width = 128) =>
        RandomModelFolder.Write(Path.Combine(models, Model), layers: Layers, heads: 8, width: width, vocabulary: Vocabulary, context: 128, seed: 1);

    /// <summary>The request.</summary>
    /// <param name="pairs">How many pairs: each is about a tenth of a second on two cores; an activity has four.</param>
    /// <param name="seed">The seed of the prompts.</param>
    /// <param name="memoryMiB">What an activity may take, by which it is cut.</param>
    public static string Body(int pairs, int seed, int memoryMiB = 32)
    {
        var random = new Random(seed);
        return JsonSerializer.Serialize(new
        {
            model = Model,
            pairs = Enumerable.Range(0, pairs).Select(_ => Pair(random)),
            memoryMiB,
        });
    }

    private static object Pair(Random random)
    {
        int[] clean = [.. Enumerable.Range(0, 50).Select(_ => random.Next(Vocabulary))];
        int[] corrupted = [.. clean];
        corrupted[2] = (corrupted[2] + 1) % Vocabulary;
        return new { clean, corrupted, correct = 1, incorrect = 2 };
    }
}
