using System.CommandLine;
using HeadPatching.Azure;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;
using HeadPatching.Core.Prompts;
using HeadPatching.Sweeps.Models;
using Spectre.Console;

namespace HeadPatching.Cli.Commands;

/// <summary><c>headpatch model list|check|push|pull</c>: which models there are, whether a folder can be swept, and models to the store and from a hub.</summary>
internal static class ModelCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var folder = new Argument<string>("FOLDER") { Description = "A model's folder in Hugging Face layout; or a config.json alone, of a model that is not here yet" };
        var store = StoreOption.OfMoreModels();
        var list = new Command("list", $"The models by name: the demo model, and the folders in the folder that {DefaultFolders.ModelsVariable} names") { store };
        list.SetAction((parsed, cancellation) => ListAsync(parsed.GetValue(store), cancellation));
        var check = new Command("check", "Say whether a model folder can be swept, and what is wrong with it if not") { folder };
        check.SetAction(parsed => Check(parsed.GetRequiredValue(folder)));
        return new Command("model", "Look at models, upload them, fetch them") { list, check, PushCommand.Create(), PullCommand.Create() };
    }

    private static async Task<int> ListAsync(string? store, CancellationToken cancellation)
    {
        StoredModels? stored = store is null ? null : new StoredModels(ArtifactStores.Open(store), new ModelCache());
        var catalog = new ModelCatalog(DefaultFolders.Models, stored: stored);
        var table = new Table().Border(TableBorder.Simple).AddColumns("name", "family", "layers", "heads", "d_model", "context", "vocabulary", "weights");
        foreach (ListedModel model in await catalog.ListAsync(cancellation))
        {
            // One broken folder does not hide the others; 'model check' says all that is wrong with it.
            string[] cells = model.Shape is ModelShape shape
                ? [model.Name, shape.Family, $"{shape.Layers}", $"{shape.Heads}", $"{shape.Width}", $"{shape.Context}", $"{shape.Vocabulary}", $"{shape.Parameters}"]
                : [model.Name, $"cannot be used: {model.Problem}"];
            table.AddRow([.. cells.Select(cell => new Text(cell))]);
        }

        AnsiConsole.Write(table);
        return ExitCode.Done;
    }

    private static int Check(string folder)
    {
        if (File.Exists(folder) && Path.GetExtension(folder) == ".json")
        {
            ModelConfig alone = ModelConfigReader.ReadFile(folder);
            WriteShape(alone);
            Console.WriteLine($"weights      {ModelFolder.Parameters(alone)} by config.json");
            WriteMemory(alone);
            Console.WriteLine($"tokenizer    {Bos(alone)}");
            Console.WriteLine("A model of this config.json can be swept, with its weights and tokenizer beside it.");
            return ExitCode.Done;
        }

        ModelFolderSummary model = ModelFolder.Inspect(folder);
        ModelConfig config = model.Config;
        TextTokenizer? tokenizer = TextTokenizer.Load(folder);
        WriteShape(config);
        Console.WriteLine($"weights      {model.Parameters} in {string.Join(", ", model.WeightFiles)}");
        WriteMemory(config);
        Console.WriteLine($"tokenizer    {(tokenizer is null ? "none: prompts must be token ids" : Trial(tokenizer) ?? $"{tokenizer.VocabularySize} tokens, {Bos(config)}")}");
        Console.WriteLine($"fingerprint  {ModelFingerprint.Compute(folder)}");
        Console.WriteLine("This model can be swept.");
        return ExitCode.Done;
    }

    private static void WriteShape(ModelConfig config)
    {
        string mlp = config.Experts is { } experts ? $"d_mlp {config.MlpWidth} in {experts.Chosen} of {experts.Count} experts" : $"d_mlp {config.MlpWidth}";
        string heads = config.KeyValueHeads == config.Heads ? $"{config.Heads} heads" : $"{config.Heads} heads ({config.KeyValueHeads} key/value heads)";
        string window = config.SlidingWindow is int width ? $" ({config.Sliding.Count(sliding => sliding)} layers see the last {width})" : "";
        Console.WriteLine($"family       {config.Family}");
        Console.WriteLine($"shape        {config.Layers} layers x {heads}, d_model {config.Width}, d_head {config.HeadWidth}, {mlp}");
        Console.WriteLine($"context      {config.Context} tokens{window}, vocabulary {config.Vocabulary}");
    }

    private static void WriteMemory(ModelConfig config)
    {
        long parameters = ModelFolder.Parameters(config);
        Console.WriteLine(FormattableString.Invariant(
            $"memory       {parameters * 4 / 1048576.0:F0} MiB as float32, {parameters * 2 / 1048576.0:F0} MiB as bfloat16, resident: whole on one device"));
    }

    private static string Bos(ModelConfig config) => config switch
    {
        { BosId: int bos } => FormattableString.Invariant($"BOS {bos}"),
        { UnusedBosId: int bos } => FormattableString.Invariant($"BOS none ({bos} with --bos always)"),
        _ => "BOS none",
    };

    /// <summary>Why the tokenizer cannot be used for text; null where it can.</summary>
    private static string? Trial(TextTokenizer tokenizer)
    {
        if (tokenizer.Unsupported is not null)
        {
            return tokenizer.Unsupported;
        }

        try
        {
            tokenizer.TryOut();
            return null;
        }
        catch (InvalidInputException e)
        {
            return e.Message;
        }
    }
}
