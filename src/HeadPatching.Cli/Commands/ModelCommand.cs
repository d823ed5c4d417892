using System.CommandLine;
using HeadPatching.Azure;
using HeadPatching.Cli.Terminal;
using HeadPatching.Core.Models;
using HeadPatching.Sweeps.Models;
using Spectre.Console;

namespace HeadPatching.Cli.Commands;

/// <summary><c>headpatch model list|check|push|pull</c>: which models there are, whether a folder can be swept, and models to the store and from a hub.</summary>
internal static class ModelCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var folder = new Argument<string>("FOLDER") { Description = "A model's folder in Hugging Face layout, or a repository in Hugging Face's cache on this machine; or a config.json alone, of a model that is not here yet" };
        var store = StoreOption.OfMoreModels();
        var list = new Command("list", $"The models by name: the demo model, and the folders in the folder that {DefaultFolders.ModelsVariable} names") { store, OutputOptions.Json };
        list.SetAction((parsed, cancellation) => ListAsync(parsed.GetValue(store), parsed.GetValue(OutputOptions.Json), cancellation));
        var check = new Command("check", "Say whether a model folder can be swept, and what is wrong with it if not") { folder, OutputOptions.Json };
        check.SetAction((parsed, cancellation) => CheckAsync(parsed.GetRequiredValue(folder), parsed.GetValue(OutputOptions.Json), cancellation));
        return new Command("model", "Look at models, upload them, fetch them") { list, check, PushCommand.Create(), PullCommand.Create() };
    }

    private static async Task<int> ListAsync(string? store, bool json, CancellationToken cancellation)
    {
        StoredModels? stored = store is null ? null : new StoredModels(ArtifactStores.Open(store), new ModelCache());
        var catalog = new ModelCatalog(DefaultFolders.Models, stored: stored);
        IReadOnlyList<ListedModel> models = await catalog.ListAsync(cancellation);
        if (json)
        {
            await JsonOutput.WriteAsync(new { models }, cancellation);
            return ExitCode.Done;
        }

        var table = new Table().Border(TableBorder.Simple).AddColumns("name", "family", "layers", "heads", "d_model", "context", "vocabulary", "weights");
        foreach (ListedModel model in models)
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

    private static async Task<int> CheckAsync(string given, bool json, CancellationToken cancellation)
    {
        CheckedModel model = CheckedModel.Of(DefaultFolders.ModelFolder(given));
        if (json)
        {
            await JsonOutput.WriteAsync(model, cancellation);
            return ExitCode.Done;
        }

        WriteShape(model.Config);
        Console.WriteLine(model.IsConfigAlone ? $"weights      {model.Parameters} by config.json" : $"weights      {model.Parameters} in {string.Join(", ", model.WeightFiles!)}");
        WriteMemory(model.Config);
        Console.WriteLine($"tokenizer    {Tokenizer(model)}");
        if (model.Fingerprint is string fingerprint)
        {
            Console.WriteLine($"fingerprint  {fingerprint}");
        }

        Console.WriteLine(model.IsConfigAlone
            ? "A model of this config.json can be swept, with its weights and tokenizer beside it."
            : "This model can be swept.");
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

    private static string Tokenizer(CheckedModel model) =>
        model.IsConfigAlone ? Bos(model.Config)
        : model.TokenizerProblem is string problem ? problem
        : model.TokenizerTokens is int tokens ? $"{tokens} tokens, {Bos(model.Config)}"
        : "none: prompts must be token ids";

    private static string Bos(ModelConfig config) => config switch
    {
        { BosId: int bos } => FormattableString.Invariant($"BOS {bos}"),
        { UnusedBosId: int bos } => FormattableString.Invariant($"BOS none ({bos} with --bos always)"),
        _ => "BOS none",
    };
}
