using System.CommandLine;
using HeadPatching.Benchmarks;
using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching;
using HeadPatching.DemoModel;
using static TorchSharp.torch;

var layers = new Option<int>("--layers") { DefaultValueFactory = _ => 12 };
var heads = new Option<int>("--heads") { DefaultValueFactory = _ => 12 };
var width = new Option<int>("--d-model") { DefaultValueFactory = _ => 768 };
var vocabulary = new Option<int>("--vocab") { DefaultValueFactory = _ => 50257 };
var tokens = new Option<int>("--tokens") { DefaultValueFactory = _ => 15 };
var firstDifference = new Option<int>("--first-difference") { DefaultValueFactory = _ => 2 };
var pairs = new Option<int>("--pairs") { DefaultValueFactory = _ => 5 };
var deviceName = new Option<string>("--device") { DefaultValueFactory = _ => "cpu" };
var dtype = new Option<string>("--dtype") { DefaultValueFactory = _ => "float32" };
var threads = new Option<int?>("--threads") { Description = "Threads of libtorch; the ratio by processor time is for one." };
deviceName.AcceptOnlyFromAmong("cpu", "cuda");
dtype.AcceptOnlyFromAmong([.. Dtypes.Names]);

var coveragePairs = new Option<int>("--pairs") { DefaultValueFactory = _ => 3000 };
var samples = new Option<int>("--samples") { DefaultValueFactory = _ => 1000 };
var draws = new Option<int>("--draws") { DefaultValueFactory = _ => 2000 };

var root = new RootCommand("Measures head patching against the ways it is done today, and against the machine's own limit; and whether its intervals cover.");
root.Subcommands.Add(Make("sweep", "All positions at once: one patched run a head and pair.", eachPosition: false));
root.Subcommands.Add(Make("positions", "Each position in turn: one patched run a head, pair and position.", eachPosition: true));
root.Subcommands.Add(MakeEdges());
root.Subcommands.Add(MakeCoverage());
root.Subcommands.Add(MakeTogether());
root.Subcommands.Add(OfModel("estimates", "How far estimates from a gradient are from the exact effects.", EstimateErrors.Run));
root.Subcommands.Add(OfModel("precision", "How far effects in float32 and bfloat16 are from those in float64.", PrecisionErrors.Run));
root.Subcommands.Add(Adaptive());
root.Subcommands.Add(Overhead());
root.Subcommands.Add(Streamed());
return root.Parse(args).Invoke();

Command OfModel(string name, string description, Func<ModelWithPairs, int> run)
{
    var model = new Option<string>("--model") { DefaultValueFactory = _ => DemoModelFolder.Built };
    var pairsFile = new Option<string?>("--pairs");
    var command = new Command(name, description) { model, pairsFile };
    command.SetAction(parsed =>
    {
        LibTorch.Load();
        return run(ModelWithPairs.Open(parsed.GetRequiredValue(model), parsed.GetValue(pairsFile)));
    });
    return command;
}

Command Adaptive()
{
    var model = new Option<string>("--model") { DefaultValueFactory = _ => DemoModelFolder.Built };
    var pairsFile = new Option<string?>("--pairs");
    var count = new Option<int?>("--count") { Description = "Without --pairs: so many of ioi-generated, or where the model has no tokenizer of random tokens." };
    var threshold = new Option<double>("--threshold") { DefaultValueFactory = _ => 0.1 };
    var seeds = new Option<int>("--seeds") { DefaultValueFactory = _ => 20 };
    var aggregation = new Option<Aggregation>("--aggregation") { DefaultValueFactory = _ => Aggregation.WellConditionedMean };
    var first = new Option<int?>("--first") { Description = "How many pairs the first round draws." };
    var edges = new Option<bool>("--edges") { Description = "Of edges instead of heads." };
    var command = new Command("adaptive", "What an adaptive sweep decides and what it runs, against the full sweep.") { model, pairsFile, count, edges, threshold, seeds, first, aggregation };
    command.SetAction(parsed =>
    {
        LibTorch.Load();
        string folder = parsed.GetRequiredValue(model);
        ModelWithPairs measured = parsed.GetValue(count) is int pairs ? ModelWithPairs.Generate(folder, pairs) : ModelWithPairs.Open(folder, parsed.GetValue(pairsFile));
        return AdaptiveBenchmark.Run(measured, parsed.GetValue(edges), parsed.GetValue(aggregation), parsed.GetValue(threshold), parsed.GetValue(seeds), parsed.GetValue(first));
    });
    return command;
}

Command Overhead()
{
    var model = new Option<string>("--model") { DefaultValueFactory = _ => DemoModelFolder.Built };
    var count = new Option<int>("--pairs") { DefaultValueFactory = _ => 2000 };
    var command = new Command("overhead", "A whole sweep through engine and local store against the same in memory, over generated pairs.") { model, count };
    command.SetAction(async (parsed, cancellation) =>
    {
        LibTorch.Load();
        return await SweepOverhead.RunAsync(parsed.GetRequiredValue(model), parsed.GetValue(count), cancellation);
    });
    return command;
}

Command Streamed()
{
    var gib = new Option<double>("--gib") { DefaultValueFactory = _ => 4, Description = "The weights' size in GiB, about." };
    var count = new Option<int>("--pairs") { DefaultValueFactory = _ => 4 };
    Option<string> kind = new Option<string>("--of") { DefaultValueFactory = _ => StreamedBenchmark.Kinds[0], Description = "What is swept." }.AcceptOnlyFromAmong(StreamedBenchmark.Kinds);
    var tied = new Option<bool>("--tied") { Description = "Embedding and unembedding are one." };
    var rounds = new Option<int>("--rounds") { DefaultValueFactory = _ => 1, Description = "How often each way is run, in turn." };
    var limit = new Option<int?>("--limit") { Description = "MiB that the streamed sweep may have in all, by a control group." };
    var folder = new Option<string?>("--folder") { Description = "Where the model is kept; otherwise it is made in a temporary folder and deleted." };
    var one = new Option<string?>("--one") { Hidden = true };
    var output = new Option<string?>("--output") { Hidden = true };
    var command = new Command("streamed", "A sweep with weights read layer by layer against the same with weights in memory.") { gib, count, kind, tied, rounds, limit, folder, one, output };
    command.SetAction(parsed => parsed.GetValue(one) is string way
        ? StreamedBenchmark.RunOne(parsed.GetRequiredValue(folder)!, parsed.GetValue(count), parsed.GetValue(kind)!, way == "streamed", parsed.GetRequiredValue(output)!)
        : StreamedBenchmark.Run(parsed.GetValue(gib), parsed.GetValue(count), parsed.GetValue(kind)!, parsed.GetValue(tied), parsed.GetValue(rounds), parsed.GetValue(limit), parsed.GetValue(folder)));
    return command;
}

Command Make(string name, string description, bool eachPosition) =>
    OfShape(name, description, eachPosition, (workload, device, dtype, _) => SweepBenchmark.Run(workload, device, dtype));

Command MakeEdges()
{
    var every = new Option<int>("--every") { DefaultValueFactory = _ => 1, Description = "Only the edges into every so many receivers, to be quicker." };
    Command command = OfShape(
        "edges", "Every edge: one patched run an edge and pair.", eachPosition: false, (workload, device, dtype, parsed) => EdgeBenchmark.Run(workload, device, dtype, parsed.GetValue(every)));
    command.Options.Add(every);
    return command;
}

Command OfShape(string name, string description, bool eachPosition, Func<Workload, Device, ScalarType, ParseResult, int> run)
{
    var command = new Command(name, description) { layers, heads, width, vocabulary, tokens, firstDifference, pairs, deviceName, dtype, threads };
    command.SetAction(parsed =>
    {
        LibTorch.Load();
        string where = parsed.GetRequiredValue(deviceName);
        if (where == "cuda" && !cuda.is_available())
        {
            Console.Error.WriteLine("--device: This machine has no CUDA device that this build can use.");
            return 2;
        }

        if (parsed.GetValue(threads) is int count)
        {
            set_num_threads(count);
        }

        var workload = new Workload(
            parsed.GetValue(layers),
            parsed.GetValue(heads),
            parsed.GetValue(width),
            parsed.GetValue(vocabulary),
            parsed.GetValue(tokens),
            parsed.GetValue(firstDifference),
            parsed.GetValue(pairs),
            eachPosition);
        return run(workload, device(where), Dtypes.Parse(parsed.GetRequiredValue(dtype)), parsed);
    });
    return command;
}

Command MakeTogether()
{
    var command = new Command("together", "How often the intervals of all heads together hold the effects over all of the demo model's pairs, and how firm the ranking is.") { coveragePairs, samples };
    command.SetAction(parsed =>
    {
        LibTorch.Load();
        return TogetherBenchmark.Run(parsed.GetValue(coveragePairs), parsed.GetValue(samples));
    });
    return command;
}

Command MakeCoverage()
{
    var command = new Command("coverage", "How often intervals over few pairs hold the effect over all of the demo model's.") { coveragePairs, samples, draws };
    command.SetAction(parsed =>
    {
        LibTorch.Load();
        return CoverageBenchmark.Run(parsed.GetValue(coveragePairs), parsed.GetValue(samples), parsed.GetValue(draws));
    });
    return command;
}
