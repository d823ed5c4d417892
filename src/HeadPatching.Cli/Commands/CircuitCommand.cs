using System.CommandLine;
using System.Text.Json;
using HeadPatching.Cli.Terminal;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Requests;
using TorchSharp;

namespace HeadPatching.Cli.Commands;

/// <summary><c>headpatch circuit</c>: do the heads that a sweep ranks do the task together, and alone?</summary>
internal static class CircuitCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var sweeps = new Argument<string[]>("SWEEP")
        {
            Description = "A finished sweep of z, which ranks heads; beside it one of mlp_out over the same pairs, which ranks MLPs: the folder of its files (headpatch-out), its results.json, or its id in the store",
            Arity = ArgumentArity.OneOrMore,
        };
        var store = StoreOption.WithDefault("Where ids are looked up, and models by name", "store");
        var model = new Option<string?>("--model") { Description = "The model, where it is no longer where the sweep found it: a name or a folder", HelpName = "MODEL" };
        var sizes = new Option<string?>("--sizes") { Description = "Sizes at which circuits are measured, in nodes: 1,2,5,10 (default: 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50 and 100 % of what there is)", HelpName = "N,N" };
        Option<double?> holdout = RequestOptions.NumberIfSaid("--holdout", "The share of pairs that the circuit is proved on and not looked for on; 0: all are both (default: 0.3)");
        Option<double?> tolerance = RequestOptions.NumberIfSaid("--tolerance", "How far from 1 the faithfulness of the circuit that is looked for may be (default: 0.02)");
        Option<int> random = RequestOptions.Whole("--random", "Random circuits of each size to hold it against", 100, new OptionType.Whole(0, 10_000));
        Option<int> seed = RequestOptions.Whole("--seed", "Of the random circuits, and of which pairs are held out", 0);
        var output = new Option<string?>("--out") { Description = "A folder for circuit.json", HelpName = "FOLDER" };
        var command = new Command("circuit", "Find the fewest nodes that do the task together, and prove it on pairs they were not chosen on")
        {
            sweeps, store, model, sizes, holdout, tolerance, random, seed, output, OutputOptions.Json, OutputOptions.Quiet,
        };
        command.SetAction(async (parsed, cancellation) =>
        {
            LibTorch.Load();
            OutFolder? folder = parsed.GetValue(output) is string named ? OutFolder.Open(named) : null;
            string location = parsed.GetRequiredValue(store);
            SweepResult[] results = [.. (await ComparedSource.ReadAsync(parsed.GetRequiredValue(sweeps), location, cancellation)).Select(read => read.Result)];
            var options = new ProofOptions
            {
                Sizes = parsed.GetValue(sizes) is string text ? Sizes(text) : null,
                Random = parsed.GetValue(random),
                Seed = parsed.GetValue(seed),
                Tolerance = parsed.GetValue(tolerance) ?? new ProofOptions().Tolerance,
            };
            ProofSheet sheet = await Notes.WhileAsync("looking for the circuit and proving it", () => ProveAsync(results, parsed.GetValue(model), location, parsed.GetValue(holdout) ?? 0.3, options, cancellation));
            IReadOnlyList<string> files = folder?.Write([("circuit.json", stream => JsonSerializer.Serialize(stream, sheet, ResultJson.Indented)), .. HeadPatching.Reports.Circuits.CircuitFiles.Of(sheet, results[0])]) ?? [];
            if (parsed.GetValue(OutputOptions.Json))
            {
                await JsonOutput.WriteAsync(sheet, cancellation);
            }
            else
            {
                ProofDisplay.Write(sheet);
                foreach (string file in files)
                {
                    Console.WriteLine(Path.GetRelativePath(Environment.CurrentDirectory, file));
                }
            }

            return ExitCode.Done;
        });
        return command;
    }

    private static async Task<ProofSheet> ProveAsync(
        SweepResult[] results, string? modelName, string location, double holdout, ProofOptions options, CancellationToken cancellation)
    {
        RankedBySweeps ranked = RankedBySweeps.Of(results);
        var (lookedAt, heldOut) = Split(ranked.Pairs, holdout, options.Seed);
        IReadOnlyList<RankedNode> ranking = ranked.Ranking(lookedAt.Select(pair => pair.Index).ToHashSet());
        if (options.Sizes?.FirstOrDefault(size => size > ranking.Count) is int larger and > 0)
        {
            throw new InvalidInputException(FaultKinds.OutOfRange, "--sizes", $"There are {ranking.Count} nodes to make circuits of, so none of {larger}.");
        }

        IMetric metric = MetricOf(results[0]);
        var catalog = new ModelCatalog(DefaultFolders.Models, foldersToo: true, new StoredModels(HeadPatching.Azure.ArtifactStores.Open(location), new ModelCache()));
        using LocatedModel located = await catalog.LocateAsync(modelName ?? results[0].Model.Name, modelName is null ? results[0].SweepId : "--model", cancellation);
        ModelSummary swept = results[0].Model;
        if (ModelFingerprint.Compute(located.Folder) != swept.Fingerprint)
        {
            throw new InvalidInputException(
                FaultKinds.InvalidOption, "--model", $"'{located.Folder}' is not the model that was swept: its weights or its config.json are other ones. Name that model's folder, or sweep this one.");
        }

        using Transformer model = ModelFolder.Load(located.Folder, Dtypes.Parse(swept.Dtype), torch.CPU);
        ProofSheet sheet = CircuitProof.Prove(model, ranking, lookedAt, heldOut, options, metric, MemoryBudget.Default, cancellation: cancellation);
        return sheet with { Sweeps = [.. results.Select(result => $"{result.SweepId}: {result.Patch.NameOf()} of {result.Model.Name} on {result.Dataset.Name}, {result.Metric}")] };
    }

    private static int[] Sizes(string text)
    {
        string[] parts = text.Split(',', StringSplitOptions.TrimEntries);
        int[] sizes = [.. parts.Select(part => int.TryParse(part, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out int size) ? size : 0)];
        return sizes.All(size => size > 0) && sizes.Length <= 100
            ? sizes
            : throw new InvalidInputException(FaultKinds.InvalidOption, "--sizes", "Sizes are whole numbers from 1 on, up to 100 of them, with commas between them: 1,2,5,10.");
    }

    /// <summary>The pairs that the circuit is looked for on, and those that are held out; all are both where none is, or where there are too few for both.</summary>
    private static (IReadOnlyList<TokenPair> LookedAt, IReadOnlyList<TokenPair> HeldOut) Split(IReadOnlyList<TokenPair> pairs, double share, int seed)
    {
        if (share >= 1)
        {
            throw new InvalidInputException(FaultKinds.InvalidOption, "--holdout", "The share of pairs that are held out is from 0 to less than 1.");
        }

        int count = (int)Math.Round(share * pairs.Count);
        if (count == 0 || count == pairs.Count)
        {
            return (pairs, pairs);
        }

        TokenPair[] shuffled = [.. pairs];
        new Random(seed).Shuffle(shuffled);
        return ([.. shuffled[count..].OrderBy(pair => pair.Index)], [.. shuffled[..count].OrderBy(pair => pair.Index)]);
    }

    private static IMetric MetricOf(SweepResult result)
    {
        Metric? metric = Enum.GetValues<Metric>().Cast<Metric?>().FirstOrDefault(one => one!.Value.NameOf() == result.Metric);
        return metric is null or Metric.TokenWeights
            ? throw new InvalidInputException(FaultKinds.InvalidOption, result.SweepId, $"A circuit is not proved by the metric {result.Metric} yet: sweep with one of the others (--metric).")
            : MetricFor.Metric(metric.Value, weights: null);
    }
}
