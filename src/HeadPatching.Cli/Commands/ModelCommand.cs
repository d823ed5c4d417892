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
        var folder = new Argument<string>("FOLDER") { Description = "A model's folder in Hugging Face layout" };
        var store = new Option<string?>("--store")
        {
            Description = "Also the models of this store: a folder, or Azure Storage's connection string or account URL",
            HelpName = "FOLDER|CONNECTION",
        };
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
        ModelFolderSummary model = ModelFolder.Inspect(folder);
        ModelConfig config = model.Config;
        TextTokenizer? tokenizer = TextTokenizer.Load(folder);
        Console.WriteLine($"family       {config.Family}");
        Console.WriteLine($"shape        {config.Layers} layers x {config.Heads} heads, d_model {config.Width}, d_head {config.HeadWidth}, d_mlp {config.MlpWidth}");
        Console.WriteLine($"context      {config.Context} tokens{(config.SlidingWindow is int window ? $" ({config.Sliding.Count(sliding => sliding)} layers see the last {window})" : "")}, vocabulary {config.Vocabulary}");
        Console.WriteLine($"weights      {model.Parameters} in {string.Join(", ", model.WeightFiles)}");
        Console.WriteLine(FormattableString.Invariant($"memory       {model.Parameters * 4 / 1048576.0:F0} MiB as float32"));
        Console.WriteLine($"tokenizer    {(tokenizer is null ? "none: prompts must be token ids" : Trial(tokenizer) ?? $"{tokenizer.VocabularySize} tokens, {Bos(config)}")}");
        Console.WriteLine($"fingerprint  {ModelFingerprint.Compute(folder)}");
        Console.WriteLine("This model can be swept.");
        return ExitCode.Done;
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
