using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Prompts.Datasets;
using HeadPatching.Samples;
using static TorchSharp.torch;

// The metric of every head of a model, patched one at a time: `dotnet run --project samples/OwnMetric [MODEL FOLDER]`.
string folder = args.Length > 0 ? args[0] : Path.Combine(AppContext.BaseDirectory, "models", "ioi-demo");
using Transformer model = ModelFolder.Load(folder, ScalarType.Float32, CPU);
TextTokenizer tokenizer = TextTokenizer.Load(folder) ?? throw new InvalidOperationException($"{folder} has no tokenizer.");
IReadOnlyList<PromptPair> prompts = BuiltInDatasets.Find("ioi-generated")!.Make(new DatasetInput(model.Config, tokenizer, Count: 40, Seed: 0, Where: "ioi-generated"));
IReadOnlyList<TokenPair> pairs = PairTokenizer.Tokenize(prompts, model.Config, tokenizer, null, PairTokenizer.PathUnder("ioi-generated"), "");

var metric = new Margin();
SweepRuns runs = InMemorySweep.Run(model, pairs, new PatchOptions(), metric, MemoryBudget.Default);
Console.WriteLine($"{metric.Details.Description}: clean {runs.Baselines.Values.Average(one => one.Clean):F2}, corrupted {runs.Baselines.Values.Average(one => one.Corrupted):F2}.");
foreach (var layer in runs.Layers.GroupBy(chunk => chunk.Layer))
{
    double[][][] pairsPatched = [.. layer.SelectMany(chunk => chunk.PatchedMetric)]; // [pair][all positions at once][head]
    IEnumerable<double> patched = Enumerable.Range(0, model.Config.Heads).Select(head => pairsPatched.Average(pair => pair[0][head]));
    Console.WriteLine($"L{layer.Key}  {string.Join("  ", patched.Select(value => $"{value,6:F2}"))}");
}
