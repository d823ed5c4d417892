using System.CommandLine;
using HeadPatching.Azure;
using HeadPatching.Cli.Terminal;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Storage;

namespace HeadPatching.Cli.Commands;

/// <summary><c>headpatch model push</c>: a model folder into the store, for every worker to find by name.</summary>
internal static class PushCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var folder = new Argument<string>("FOLDER") { Description = "A model's folder in Hugging Face layout, or a repository in Hugging Face's cache on this machine" };
        var name = new Argument<string>("NAME") { Description = "The name that sweeps will ask for: a-z, 0-9, '.', '_' and '-'" };
        var store = StoreOption.OfWorkers();
        var replace = new Option<bool>("--replace") { Description = "Replace another model of this name; sweeps that still run on it fail" };
        var command = new Command("push", "Upload a model folder to the store; the same command again goes on where it stopped") { folder, name, store, replace, OutputOptions.Quiet };
        command.SetAction((parsed, cancellation) => RunAsync(
            parsed.GetRequiredValue(folder), parsed.GetRequiredValue(name), parsed.GetRequiredValue(store), parsed.GetValue(replace), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(string folder, string name, string location, bool replace, CancellationToken cancellation)
    {
        ModelUpload upload = await ModelUpload.PrepareAsync(DefaultFolders.ModelFolder(folder), name, TimeProvider.System.GetUtcNow(), cancellation);
        IArtifactStore store = ArtifactStores.Open(location);
        await store.CheckAsync(cancellation);
        bool written = await ByteProgress.RunAsync(async progress =>
        {
            progress.Begin("uploading", upload.Model.Bytes);
            return await upload.RunAsync(store, replace, progress.Reach, cancellation);
        });
        Console.WriteLine(written ? $"{name} is in the store: {upload.Model.Files.Count} files, {upload.Model.Bytes} bytes." : $"{name} was in the store already.");
        Console.WriteLine($"fingerprint  {upload.Model.Fingerprint}");
        return ExitCode.Done;
    }
}
