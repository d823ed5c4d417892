using System.CommandLine;
using HeadPatching.Azure;
using HeadPatching.Cli.Terminal;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Models;
using HeadPatching.Core.Native;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Caching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Prompts.Datasets;
using HeadPatching.Core.Prompts.Datasets.Ioi;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;
using HeadPatching.Http.Answers;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;
using HeadPatching.Sweeps.Storage;
using Spectre.Console;
using TorchSharp;

namespace HeadPatching.Cli.Commands;

/// <summary><c>headpatch dataset list|show|push</c>: which datasets there are, what a model makes of one's pairs before anything is patched, and pairs into a store.</summary>
internal static class DatasetCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var list = new Command("list", "The built-in datasets") { OutputOptions.Json };
        list.SetAction((parsed, cancellation) => ListAsync(parsed.GetValue(OutputOptions.Json), cancellation));

        var dataset = new Argument<string>("NAME|FILE") { Description = "A built-in dataset's name, or a pairs file" };
        RequestOptions options = RequestOptions.Of("model", "count", "seed", "bos", "skipInvalid");
        Option<int> top = RequestOptions.Whole("--top", "How many pairs to show; the summary is of all", 10);
        var output = new Option<string?>("--out") { Description = "Also write the pairs as JSON Lines, to edit and to sweep with --pairs", HelpName = "FILE" };
        var store = StoreOption.OfMoreModels();
        var show = new Command("show", "Show pairs with their tokens, and how the clean and corrupted prompts come out on a model")
        {
            dataset, top, output, store, OutputOptions.Quiet,
        };
        foreach (Option option in options.All)
        {
            show.Options.Add(option);
        }

        show.SetAction((parsed, cancellation) =>
        {
            string given = parsed.GetRequiredValue(dataset);
            PairsFile? file = BuiltInDatasets.Find(given) is null ? ReadFile(given, given) : null;
            SweepRequest request = options.Read(parsed).Request with
            {
                Dataset = file is null ? given : null,
                Pairs = file?.Pairs,
                Name = file is null ? null : Path.GetFileName(given),
            };
            var places = new FaultPlaces(
                property => property is "dataset" or "name" ? given : SweepOptions.FlagOf(property), file is null ? PairTokenizer.PathUnder("pairs") : file.Where);
            return ShowAsync(request, places, parsed.GetValue(top), parsed.GetValue(output), parsed.GetValue(store), cancellation);
        });
        return new Command("dataset", "Look at built-in datasets and pairs files, and put pairs into a store") { list, show, CreatePush() };
    }

    private static Command CreatePush()
    {
        var file = new Argument<string>("FILE") { Description = "A pairs file" };
        var name = new Argument<string>("NAME") { Description = "The name that sweeps will ask for: a-z, 0-9, '.', '_' and '-'" };
        var store = StoreOption.OfWorkers();
        var replace = new Option<bool>("--replace") { Description = "Replace other pairs of this name; sweeps that were made of them stay as they are" };
        var push = new Command("push", "Put a pairs file into the store, for sweeps to name (pairsFile, --pairs-file)") { file, name, store, replace };
        push.SetAction((parsed, cancellation) => PushAsync(
            parsed.GetRequiredValue(file), parsed.GetRequiredValue(name), parsed.GetRequiredValue(store), parsed.GetValue(replace), cancellation));
        return push;
    }

    private static async Task<int> PushAsync(string path, string name, string location, bool replace, CancellationToken cancellation)
    {
        if (!StoredPairs.IsName(name))
        {
            throw new InvalidInputException(FaultKinds.InvalidOption, "NAME", StoredPairs.NameForm);
        }

        PairsFile file = PairsFile.Read(path);
        IArtifactStore store = ArtifactStores.Open(location);
        await store.CheckAsync(cancellation);
        if (!await StoredPairs.WriteAsync(store, name, file.Pairs, replace, cancellation))
        {
            throw new InvalidInputException(FaultKinds.CannotWrite, "NAME", $"The store has pairs \"{name}\" already. Choose another name, or replace them with --replace.");
        }

        Console.WriteLine($"{name} is in the store: {file.Pairs.Count} pairs.");
        return ExitCode.Done;
    }

    private static async Task<int> ListAsync(bool json, CancellationToken cancellation)
    {
        if (json)
        {
            DatasetAnswer[] datasets = [.. BuiltInDatasets.All.Select(dataset => new DatasetAnswer(dataset.Name, dataset.Description, dataset.IsGenerated))];
            await JsonOutput.WriteAsync(new { datasets }, cancellation);
            return ExitCode.Done;
        }

        var table = new Table().Border(TableBorder.Simple);
        table.AddColumn(new TableColumn("name").NoWrap()).AddColumn(new TableColumn("pairs").NoWrap()).AddColumn("what it holds");
        foreach (IDataset dataset in BuiltInDatasets.All)
        {
            string pairs = dataset is FixedIoi known ? $"{known.Pairs.Count}" : "--count N";
            table.AddRow(new Text(dataset.Name), new Text(pairs), new Text(dataset.Description));
        }

        AnsiConsole.Write(table);
        return ExitCode.Done;
    }

    /// <summary>The pairs file of what is no built-in dataset's name.</summary>
    /// <param name="given">A path, or a misspelt name.</param>
    /// <param name="where">The place of a misspelt name in a fault.</param>
    /// <exception cref="InvalidInputException">It is neither, or the file cannot be read.</exception>
    internal static PairsFile ReadFile(string given, string where) =>
        File.Exists(given) || Path.HasExtension(given)
            ? PairsFile.Read(given)
            : throw new InvalidInputException([BuiltInDatasets.Unknown(given, where)]);

    private static async Task<int> ShowAsync(
        SweepRequest request, FaultPlaces places, int top, string? output, string? store, CancellationToken cancellation)
    {
        if (top < 1)
        {
            throw new InvalidInputException(FaultKinds.InvalidOption, "--top", "The number of pairs to show is at least 1.");
        }

        LibTorch.Load();
        SweepPlanner.CheckOptions(request, places);
        StoredModels? stored = store is null ? null : new StoredModels(ArtifactStores.Open(store), new ModelCache(progress: new ModelDownloads()));
        var catalog = new ModelCatalog(DefaultFolders.Models, foldersToo: true, stored, DefaultFolders.HuggingFace);
        using LocatedModel located = await Notes.WhileAsync("reading the model", () => catalog.LocateAsync(request.Model, places.Option("model"), cancellation));
        TextTokenizer? tokenizer = TextTokenizer.Load(located.Folder);
        ModelConfig config = ModelFolder.Inspect(located.Folder).Config.WithBos(request.Bos, places.Option("bos"));
        IReadOnlyList<PromptPair> given = SweepPlanner.Pairs(request, config, tokenizer, places);
        TokenizedPairs tokenized = SweepPlanner.Tokenize(request, given, config, tokenizer, places, cancellation);
        LeftOutPairs.Say(tokenized.LeftOutCount, tokenized.LeftOut);
        if (output is not null)
        {
            PairsFile.Write(output, given);
        }

        using Transformer model = ModelFolder.Load(located.Folder, torch.ScalarType.Float32, torch.CPU);
        PairResult[] results = [.. Measure(model, tokenized.Pairs, cancellation)];
        AnsiConsole.Write(PairsTable.Of(results.Take(top), tokenizer is null ? null : tokenizer.TokenText));
        Summarise(request, results, top);
        if (output is not null)
        {
            Console.WriteLine(output);
        }

        return ExitCode.Done;
    }

    /// <summary>The clean and the corrupted run of every pair, in the order of the pairs; one chunk is held at a time.</summary>
    private static IEnumerable<PairResult> Measure(Transformer model, IReadOnlyList<TokenPair> pairs, CancellationToken cancellation)
    {
        var metric = new LogitDifference();
        var baselines = new Dictionary<int, Baseline>();
        foreach (IReadOnlyList<TokenPair> chunk in Chunks.Split(pairs, model.Config, model.Dtype, MemoryBudget.Default))
        {
            using var run = new CachingRun(model, chunk, CachingRun.StartOf(chunk));
            while (run.LayersDone < model.Config.Layers)
            {
                cancellation.ThrowIfCancellationRequested();
                run.NextLayer().Dispose();
            }

            using FinalResiduals final = run.Final();
            foreach (var (pair, baseline) in chunk.Zip(final.Baselines(model, metric, chunk)))
            {
                baselines[pair.Index] = baseline;
            }
        }

        return pairs.Select(pair => new PairResult
        {
            Index = pair.Index,
            CleanTokens = pair.Clean,
            CorruptedTokens = pair.Corrupted,
            Roles = pair.Roles,
            Correct = pair.Correct,
            Incorrect = pair.Incorrect,
            CleanMetric = baselines[pair.Index].Clean,
            CorruptedMetric = baselines[pair.Index].Corrupted,
            Degenerate = PairConditioning.IsDegenerate(baselines[pair.Index].Clean - baselines[pair.Index].Corrupted),
        });
    }

    private static void Summarise(SweepRequest request, PairResult[] pairs, int top)
    {
        int shortest = pairs.Min(pair => pair.CleanTokens.Count), longest = pairs.Max(pair => pair.CleanTokens.Count);
        int right = pairs.Count(pair => pair.CleanMetric > 0);
        if (top < pairs.Length)
        {
            AnsiConsole.WriteLine($"The first {top} of {pairs.Length} pairs; --top shows more.");
        }

        AnsiConsole.WriteLine($"{request.DatasetName()}: {pairs.Length} pairs of {(shortest == longest ? $"{longest}" : $"{shortest} to {longest}")} tokens.");
        AnsiConsole.WriteLine(FormattableString.Invariant(
            $"{request.Model}, clean: prefers the right answer on {right} of {pairs.Length} pairs ({100.0 * right / pairs.Length:0.#} %)."));
        AnsiConsole.WriteLine(FormattableString.Invariant(
            $"Logit difference, mean: clean {pairs.Average(pair => pair.CleanMetric):F3}, corrupted {pairs.Average(pair => pair.CorruptedMetric):F3}."));
        (int Index, Baseline Baseline)[] baselines = [.. pairs.Select(pair => (pair.Index, new Baseline(pair.CleanMetric, pair.CorruptedMetric)))];
        foreach (string warning in SweepAssembler.Warnings(baselines, new LogitDifference(), new PairConditioning(request.Aggregation, baselines)))
        {
            AnsiConsole.MarkupLineInterpolated($"[yellow]Warning: {warning}[/]");
        }
    }
}
