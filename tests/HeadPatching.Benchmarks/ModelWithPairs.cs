using System.Text.Json;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Prompts.Datasets;
using HeadPatching.Core.Results;

namespace HeadPatching.Benchmarks;

/// <summary>A model folder and the pairs it is measured on: those of a file, of the folder's own golden.json, or the dataset <c>ioi</c>.</summary>
internal sealed record ModelWithPairs(string Folder, string Name, IReadOnlyList<TokenPair> Pairs)
{
    public static ModelWithPairs Open(string folder, string? pairsFile)
    {
        string name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)));
        ModelConfig config = ModelConfigReader.Read(folder);
        string golden = Path.Combine(folder, "golden.json");
        if (pairsFile is null && File.Exists(golden))
        {
            using var json = JsonDocument.Parse(File.ReadAllText(golden));
            return new ModelWithPairs(folder, name, [.. json.RootElement.GetProperty("pairs").EnumerateArray().Select(GoldenPair)]);
        }

        TextTokenizer? tokenizer = TextTokenizer.Load(folder);
        if (pairsFile is not null)
        {
            PairsFile file = PairsFile.Read(pairsFile);
            return new ModelWithPairs(folder, name, PairTokenizer.Tokenize(file.Pairs, config, tokenizer, pairIndices: null, file.Where, "--pairs"));
        }

        IDataset ioi = BuiltInDatasets.All[0];
        IReadOnlyList<PromptPair> pairs = ioi.Make(new DatasetInput(config, tokenizer, BuiltInDatasets.DefaultCount, Seed: 0, "--dataset"));
        return new ModelWithPairs(folder, name, PairTokenizer.Tokenize(pairs, config, tokenizer, pairIndices: null, PairTokenizer.PathUnder(ioi.Name), "--dataset"));

        static TokenPair GoldenPair(JsonElement pair, int index) => new(
            index,
            [.. pair.GetProperty("clean").EnumerateArray().Select(id => id.GetInt32())],
            [.. pair.GetProperty("corrupted").EnumerateArray().Select(id => id.GetInt32())],
            pair.GetProperty("correct").GetInt32(),
            pair.GetProperty("incorrect").GetInt32());
    }

    /// <summary>So many pairs of <c>ioi-generated</c>, or where the model has no tokenizer of 12 random tokens that differ in one, answers and all.</summary>
    public static ModelWithPairs Generate(string folder, int count)
    {
        string name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)));
        ModelConfig config = ModelConfigReader.Read(folder);
        if (TextTokenizer.Load(folder) is TextTokenizer tokenizer)
        {
            IReadOnlyList<PromptPair> made = BuiltInDatasets.Find("ioi-generated")!.Make(new DatasetInput(config, tokenizer, count, Seed: 0, "ioi-generated"));
            return new ModelWithPairs(folder, name, PairTokenizer.Tokenize(made, config, tokenizer, pairIndices: null, PairTokenizer.PathUnder("pairs"), ""));
        }

        var random = new Random(0);
        return new ModelWithPairs(folder, name, [.. Enumerable.Range(0, count).Select(RandomPair)]);

        TokenPair RandomPair(int index)
        {
            int[] clean = [.. Enumerable.Range(0, 12).Select(_ => random.Next(config.Vocabulary))], corrupted = [.. clean];
            corrupted[4] = (corrupted[4] + 1 + random.Next(config.Vocabulary - 1)) % config.Vocabulary;
            int correct = random.Next(config.Vocabulary);
            return new TokenPair(index, clean, corrupted, correct, (correct + 1 + random.Next(config.Vocabulary - 1)) % config.Vocabulary);
        }
    }

    /// <summary>Every head's effect, as a sweep reports it.</summary>
    public double[] Effects(Transformer model, PatchOptions options, SweepRuns runs)
    {
        var description = new SweepDescription
        {
            SweepId = Name,
            Model = new ModelSummary(Name, "", model.Config.Layers, model.Config.Heads, model.Dtype.Name(), "cpu"),
            Dataset = Name,
            Options = options,
            Metric = new LogitDifference(),
            StartedAt = default,
            FinishedAt = default,
            SoftwareVersion = "",
        };
        return [.. SweepAssembler.Assemble(description, Pairs, runs, tokenText: null).Heads.Select(head => head.PatchingEffect)];
    }

    /// <summary>|a - b| over heads: the mean and the largest.</summary>
    public static (double Mean, double Largest) Distance(double[] a, double[] b)
    {
        double[] distances = [.. a.Zip(b, (x, y) => Math.Abs(x - y))];
        return (distances.Average(), distances.Max());
    }
}
