using System.CommandLine;
using HeadPatching.Cli.Hub;
using HeadPatching.Cli.Terminal;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Models;

namespace HeadPatching.Cli.Commands;

/// <summary><c>headpatch model pull</c>: a model from a Hugging Face hub into a folder.</summary>
internal static class PullCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var id = new Argument<string>("HUB_ID") { Description = "The repository: gpt2, openai-community/gpt2" };
        var to = new Option<string?>("--to") { Description = "The folder. Default: named after the repository, here", HelpName = "FOLDER" };
        var hub = new Option<string>("--hub") { Description = "The hub's address", HelpName = "URL", DefaultValueFactory = _ => "https://huggingface.co" };
        var revision = new Option<string>("--revision") { Description = "A branch, tag or commit", DefaultValueFactory = _ => "main" };
        var command = new Command("pull", "Fetch config, safetensors and tokenizer of a Hugging Face repository; a token is read from HF_TOKEN")
        {
            id, to, hub, revision, OutputOptions.Quiet,
        };
        command.SetAction((parsed, cancellation) => RunAsync(
            parsed.GetRequiredValue(id), parsed.GetValue(to), parsed.GetRequiredValue(hub), parsed.GetRequiredValue(revision), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(string id, string? to, string hub, string revision, CancellationToken cancellation)
    {
        using var repository = new HubRepository(hub, id, revision, Environment.GetEnvironmentVariable("HF_TOKEN"));
        string folder = to ?? id.Split('/')[^1];
        IReadOnlyList<string> files = await ByteProgress.RunAsync(progress => new ModelPull(repository, folder, progress).RunAsync(cancellation));
        Console.WriteLine($"{id} is in {folder}: {files.Count} files.");
        try
        {
            ModelFolder.Inspect(folder);
        }
        catch (InvalidInputException e)
        {
            // It was fetched as asked; that it is of no use here is said all the same.
            await Console.Error.WriteLineAsync($"It cannot be swept. {e.Message}");
        }

        return ExitCode.Done;
    }
}
