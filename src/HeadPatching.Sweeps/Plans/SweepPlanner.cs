using System.Globalization;
using HeadPatching.Core.Circuits;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Ablations;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Prompts.Datasets;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Requests;
using TorchSharp;

namespace HeadPatching.Sweeps.Plans;

/// <summary>Validates a request against its model and cuts it into activities. The same request on the same model gives the same plan.</summary>
public static class SweepPlanner
{
    /// <summary>Plans a sweep.</summary>
    /// <param name="request">What is asked for.</param>
    /// <param name="createdAt">When it was asked for.</param>
    /// <param name="catalog">The models that there are.</param>
    /// <param name="places">How faults name places.</param>
    /// <param name="cancellationToken">Ends the call, which may have to download the model.</param>
    /// <exception cref="InvalidInputException">The request cannot be swept; carries every fault that could be found.</exception>
    public static async Task<PlannedSweep> PlanAsync(
        SweepRequest request, DateTimeOffset createdAt, IModelCatalog catalog, FaultPlaces places, CancellationToken cancellationToken = default)
    {
        CheckOptions(request, places);
        using LocatedModel located = await catalog.LocateAsync(request.Model, places.Option("model"), cancellationToken);
        return located.Use(_ => Plan(request, createdAt, located, places, cancellationToken));
    }

    private static PlannedSweep Plan(
        SweepRequest request, DateTimeOffset createdAt, LocatedModel located, FaultPlaces places, CancellationToken cancellationToken)
    {
        ModelFolderSummary model = ModelFolder.Inspect(located.Folder, located.Weights);
        TextTokenizer? tokenizer = TextTokenizer.Load(located.Folder);
        ModelConfig prompts = model.Config.WithBos(request.Bos, places.Option("bos"));
        TokenizedPairs tokenized = Tokenize(request, Pairs(request, prompts, tokenizer, places), prompts, tokenizer, places, cancellationToken);
        IReadOnlyList<TokenPair> pairs = tokenized.Pairs;
        CheckPositions(request.Positions, pairs, places);
        CheckPatch(request, model.Config, places);
        if (SetFaults.Of(request, model.Config, pairs, places) is { Count: > 0 } ofSets)
        {
            throw new InvalidInputException(ofSets);
        }

        IReadOnlyList<TokenPair>? references = References(request, pairs, prompts, tokenizer, places, cancellationToken);
        AblationPlan? ablation = AblationPlan.Of(pairs, request.PatchOptions() with { References = references });
        if (ablation?.Faults(places.Option("ablation")) is { Count: > 0 } faults)
        {
            throw new InvalidInputException(faults);
        }

        string device = Device(request.Device);
        string name = located.Name, fingerprint = located.Fingerprint();
        var source = new ModelSource(name, fingerprint, request.Dtype, device);
        string pairsKey = WorkKeys.Pairs(pairs);
        var metric = PlannedMetric.Of(request, model.Config, tokenizer, places);
        ChunkWork exact = ChunkWork.Exact(request, metric, references, pairsKey);
        WeightBytes weights = ModelFolder.Bytes(model.Config, Dtypes.Parse(request.Dtype));
        long? available = source.IsOnGpu ? GpuMemory.TotalBytes : HostMemory.Bytes();
        var (placed, (parts, size)) = Placed(request, source, places, Cut);
        var header = new SweepPlan(
            SweepPlan.CurrentSchema,
            request with { Pairs = null, PairIndices = null, Reference = null },
            request.DatasetName(),
            createdAt,
            new ModelSummary(HubCache.NameOf(name), fingerprint, model.Config.Layers, model.Config.Heads, request.Dtype, device)
            {
                KeyValueHeads = model.Config.KeyValueHeads == model.Config.Heads ? null : model.Config.KeyValueHeads,
                Width = model.Config.Width,
                ParallelResidual = model.Config.ParallelResidual,
            },
            placed,
            pairs.Count,
            pairsKey,
            size)
        {
            References = references,
            TokenWeights = metric.Weights,
            ReferenceTitle = request.Reference?.Title,
            SumCount = ablation?.SumCount ?? 0,
            SummedReferences = ablation?.SummedReferences,
            SecondsOfRun = request.RunsSets() || request.Method == Method.Adaptive ? MeanForward(model.Config, pairs) / DeviceRates.OfThisHost().Of(source, model.Config) : 0,
            SecondsOfEdge = request.EdgeWork() is EdgeWork edges ? OperationsOfEdge(model.Config, pairs, edges.Patched()) / DeviceRates.OfThisHost().Of(source, model.Config) : 0,
            SecondsOfEstimatedEdge = request.EdgeWork() is EdgeWork some ? OperationsOfEdge(model.Config, pairs, some.Estimated()) / DeviceRates.OfThisHost().Of(source, model.Config) : 0,
            AblationWarnings = [.. ablation?.Warnings() ?? []],
            LeftOutCount = tokenized.LeftOutCount,
            LeftOut = tokenized.LeftOut,
        };
        return new PlannedSweep(header, parts, tokenizer is null ? null : Tokens(pairs).Distinct().ToDictionary(token => token, tokenizer.TokenText));

        (IReadOnlyList<PlannedPart> Parts, PlanSize Size) Cut(ModelSource of) => new SweepCut(model.Config, of, Budget(request), DeviceRates.OfThisHost(), weights, available)
            .Cut(pairs, request.Method, exact, ChunkWork.Before(request, metric), ShareRun(request, model.Config), ablation, request.RunsSets(), request.Edges is not null);
    }

    /// <summary>Where the weights are, and how the sweep is cut with them there.</summary>
    /// <exception cref="InvalidInputException">They fit neither way; it says what would be needed.</exception>
    private static (ModelSource Source, (IReadOnlyList<PlannedPart> Parts, PlanSize Size) Cut) Placed(
        SweepRequest request, ModelSource source, FaultPlaces places, Func<ModelSource, (IReadOnlyList<PlannedPart> Parts, PlanSize Size)> cut)
    {
        ModelSource streamed = source with { Streamed = true };
        if (request.Weights == WeightPlace.Streamed)
        {
            return (streamed, Fitting(cut(streamed)));
        }

        var resident = cut(source);
        if (request.Weights == WeightPlace.Resident || resident.Size.Memory!.Fits)
        {
            return (source, resident);
        }

        return (streamed, Fitting(cut(streamed)));

        (IReadOnlyList<PlannedPart> Parts, PlanSize Size) Fitting((IReadOnlyList<PlannedPart> Parts, PlanSize Size) made) => made.Size.Memory is { Fits: false } memory
            ? throw new InvalidInputException(
                FaultKinds.TooLarge,
                places.Option("model"),
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"The sweep does not fit: it takes {memory}, and there are {PlannedMemory.MiB(memory.Available ?? 0)} MiB. Less of it for patching ({places.Option("memoryMiB")}), bfloat16, or shorter prompts take less."))
            : made;
    }

    /// <summary>What can be said of a request without looking at its model: cheap enough for before the answer to a call.</summary>
    /// <exception cref="InvalidInputException">An option cannot be; carries every fault.</exception>
    public static void CheckOptions(SweepRequest request, FaultPlaces places)
    {
        var faults = new List<Fault>();
        if (request.Pairs is null && request.PairsFile is null && BuiltInDatasets.Find(request.DatasetName()) is null)
        {
            faults.Add(BuiltInDatasets.Unknown(request.DatasetName(), places.Option("dataset")));
        }

        if (request.Reference?.Dataset is string reference && BuiltInDatasets.Find(reference) is null)
        {
            faults.Add(BuiltInDatasets.Unknown(reference, places.Option("reference")));
        }

        faults.AddRange(SweepOptions.All.SelectMany(option => option.Faults(request, places)));
        faults.AddRange(SetFaults.OfOptions(request, places));
        if (faults.Count > 0)
        {
            throw new InvalidInputException(faults);
        }
    }

    /// <summary>The pairs of a request: its own, or those that its dataset makes for a model (with its BOS as the request wants it).</summary>
    /// <exception cref="InvalidInputException">There is no such dataset, or it cannot make pairs for this model.</exception>
    public static IReadOnlyList<PromptPair> Pairs(SweepRequest request, ModelConfig config, TextTokenizer? tokenizer, FaultPlaces places)
    {
        if (request.Pairs is not null)
        {
            return request.Pairs;
        }

        string where = places.Option("dataset");
        IDataset dataset = BuiltInDatasets.Find(request.DatasetName())
            ?? throw new InvalidInputException([BuiltInDatasets.Unknown(request.DatasetName(), where)]);
        return dataset.Make(new DatasetInput(config, tokenizer, request.Count ?? BuiltInDatasets.DefaultCount, request.Seed, where));
    }

    /// <summary>The pairs of a request as a model sees them: those that it chooses, and where it says so without those that cannot be swept.</summary>
    /// <exception cref="InvalidInputException">Carries the faults of the pairs.</exception>
    public static TokenizedPairs Tokenize(
        SweepRequest request, IReadOnlyList<PromptPair> pairs, ModelConfig config, TextTokenizer? tokenizer, FaultPlaces places, CancellationToken cancellationToken = default)
    {
        Func<int, string?, string> where = request.Pairs is null ? PairTokenizer.PathUnder(request.DatasetName()) : places.Pair;
        string whereIndices = places.Option("pairIndices");
        return request.SkipInvalid
            ? PairTokenizer.TokenizeValid(pairs, config, tokenizer, request.PairIndices, where, whereIndices, cancellationToken)
            : new TokenizedPairs(PairTokenizer.Tokenize(pairs, config, tokenizer, request.PairIndices, where, whereIndices, cancellationToken), 0, []);
    }

    /// <summary>The pairs of a request's reference as a model sees them; null where it has none. A generated dataset makes 100, or as many as pairs are asked for up to 1,000, or ten of each template of the pairs.</summary>
    /// <exception cref="InvalidInputException">There is no such dataset, it cannot make pairs for this model, or a pair has faults; carries all.</exception>
    private static IReadOnlyList<TokenPair>? References(
        SweepRequest request, IReadOnlyList<TokenPair> swept, ModelConfig config, TextTokenizer? tokenizer, FaultPlaces places, CancellationToken cancellationToken)
    {
        if (request.Reference is not ReferencePrompts reference)
        {
            return null;
        }

        string where = places.Option("reference");
        string[] templates = [.. swept.Select(pair => pair.Template).OfType<string>().Distinct()];
        int count = Math.Max(
            Math.Clamp(request.Count ?? 0, ReferencePrompts.FewestGenerated, ReferencePrompts.MostGenerated), ReferencePrompts.FewestOfTemplate * templates.Length);
        IReadOnlyList<PromptPair> pairs = reference.Pairs ?? (BuiltInDatasets.Find(reference.Dataset!) ?? throw new InvalidInputException([BuiltInDatasets.Unknown(reference.Dataset!, where)]))
            .Make(new DatasetInput(config, tokenizer, count, request.Seed, where) { Templates = templates.Length == 0 ? null : templates });
        return PairTokenizer.Tokenize(
            pairs, config, tokenizer, null, reference.Pairs is null ? PairTokenizer.PathUnder(reference.Dataset!) : places.ReferencePair, where, cancellationToken);
    }

    // Of a prompt of mean length.
    private static double MeanForward(ModelConfig config, IReadOnlyList<TokenPair> pairs) => Cost.OfCaching(config, 1, (int)Math.Ceiling(pairs.Average(pair => pair.Length)), start: 0) / 2;

    // Of an edge on a pair, the mean over all edges: patched on a pair of mean length from the first position on, or its share of forward and backward passes.
    private static double OperationsOfEdge(ModelConfig config, IReadOnlyList<TokenPair> pairs, EdgeWork edges)
    {
        Edge[] all = [.. Edge.All(config, edges.Ungrouped)];
        TokenPair typical = pairs.OrderBy(pair => pair.Length).ElementAt(pairs.Count / 2);
        return edges.Method == EdgeMethod.Exact
            ? Cost.OfEdges(config, all, edges.Ungrouped, [typical], typical.FirstDifference) / all.Length
            : 3 * edges.Steps * MeanForward(config, pairs) / all.Length;
    }

    /// <summary>The memory budget of a request.</summary>
    public static MemoryBudget Budget(SweepRequest request) => new(request.MemoryMiB * 1048576L);

    /// <summary>Which share of all heads is run, as far as a request says it.</summary>
    private static double ShareRun(SweepRequest request, ModelConfig config) => request.HeadsRunAfterScreen() is int heads
        ? Math.Min(1, (double)heads / (config.Layers * Units.Of(config, request.Patch)))
        : 1;

    private static IEnumerable<int> Tokens(IEnumerable<TokenPair> pairs) =>
        pairs.SelectMany(pair => pair.Clean.Concat(pair.Corrupted).Concat(pair.Correct.Ids).Concat(pair.Incorrect.Ids));

    private static void CheckPositions(Positions positions, IReadOnlyList<TokenPair> pairs, FaultPlaces places)
    {
        if (positions.Role is not null || positions.IsEachRole)
        {
            CheckRoles(positions.Role, pairs, places);
        }

        if (positions.Index is not int index)
        {
            return;
        }

        TokenPair shortest = pairs.MinBy(pair => pair.Length)!;
        if (index >= shortest.Length || index < -shortest.Length)
        {
            throw new InvalidInputException(
                FaultKinds.OutOfRange,
                places.Option("positions"),
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"There is no position {index}: pair {shortest.Index} has {shortest.Length} tokens, positions 0 to {shortest.Length - 1} or {-shortest.Length} to -1."));
        }
    }

    private static void CheckRoles(string? role, IReadOnlyList<TokenPair> pairs, FaultPlaces places)
    {
        int[] without = [.. pairs.Where(pair => role is null ? pair.Roles is not { Count: > 0 } : pair.PositionOf(role) is null).Select(pair => pair.Index)];
        if (without.Length == 0)
        {
            return;
        }

        string what = role is null ? "a role" : $"the role \"{role}\"";
        string who = without.Length == pairs.Count
            ? $"No pair names {what}."
            : $"Not every pair names {what}; these do not: {string.Join(", ", without.Take(10))}{(without.Length > 10 ? $" and {without.Length - 10} more" : "")}.";
        string[] known = [.. PairShapes.Of(pairs).Roles.Select(one => one.Name)];
        string roles = known.Length > 0 ? $"Roles that pairs name: {string.Join(", ", known)}." : "Pairs name roles with \"roles\": {\"S2\": 10}.";
        throw new InvalidInputException(
            FaultKinds.InvalidOption, places.Option("positions"), $"{who}{Suggestion.DidYouMean(role ?? "", [.. known, $"{Positions.All}", $"{Positions.Each}", $"{Positions.EachRole}"])} {roles} {Positions.Form}");
    }

    private static void CheckPatch(SweepRequest request, ModelConfig config, FaultPlaces places)
    {
        if (request.Patch == Patch.ResidMid && config.ParallelResidual)
        {
            throw new InvalidInputException(
                FaultKinds.InvalidOption,
                places.Option("patch"),
                "This model has no resid_mid: attention and MLP of a layer both read resid_pre. Patch resid_pre or resid_post.");
        }

        if (request.PathOptions()?.Faults(config, places.Option("receivers")) is { Count: > 0 } faults)
        {
            throw new InvalidInputException(faults);
        }
    }

    private static string Device(string device) => device == "auto" ? torch.cuda.is_available() ? "cuda" : "cpu" : device;
}
