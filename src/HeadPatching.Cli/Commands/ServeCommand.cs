using System.CommandLine;
using HeadPatching.Azure;
using HeadPatching.Cli.Terminal;
using HeadPatching.Core.Native;
using HeadPatching.Http.Serving;

namespace HeadPatching.Cli.Commands;

/// <summary><c>headpatch serve</c>: the HTTP API and its page on this machine.</summary>
internal static class ServeCommand
{
    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var urls = new Option<string[]>("--urls")
        {
            Description = "Where to listen. There is no login: name another address than loopback only behind one.",
            HelpName = "http://HOST:PORT",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [ServeOptions.DefaultUrl],
        };
        var store = StoreOption.WithDefault("Where sweeps are kept (a folder that is not there yet is made private to you)", "serve");
        var models = new Option<string?>("--models") { Description = $"A folder whose subfolders are models, beside the demo model (default: what {DefaultFolders.ModelsVariable} names)", HelpName = "FOLDER" };
        var parallelism = new Option<int?>("--parallelism")
        {
            Description = "How many activities run at once. Default: the number of cores, at most 4.",
            HelpName = "N",
        };
        Bound(parallelism, most: 256);
        var queued = new Option<int?>("--max-queued")
        {
            Description = "How many sweeps may wait for their turn; beyond, requests are answered 429 (default: 1000)",
            HelpName = "N",
        };
        Bound(queued, most: 1_000_000);
        var connections = new Option<int?>("--max-connections")
        {
            Description = $"How many connections are open at once; beyond, they are closed (default: {ServeOptions.DefaultMostConnections})",
            HelpName = "N",
        };
        Bound(connections, most: 100_000);
        var hosts = new Option<string[]>("--allowed-hosts")
        {
            Description = "Names by which other machines may ask for this one, beside its own name and addresses; * for any",
            HelpName = "NAME",
            AllowMultipleArgumentsPerToken = true,
        };

        var origins = new Option<string[]>("--cors-origin")
        {
            Description = "An origin whose pages may call this server, such as a notebook's; none by default",
            HelpName = "https://HOST[:PORT]",
            AllowMultipleArgumentsPerToken = true,
        };
        var callbacks = new Option<string[]>("--callback-hosts")
        {
            Description = $"Hosts that a sweep's callback may go to, signed with the secret in {ServeOptions.CallbackSecretVariable}; none by default. A private address must itself be named",
            HelpName = "HOST[:PORT]",
            AllowMultipleArgumentsPerToken = true,
        };

        var command = new Command("serve", "Serve the HTTP API and its page on this machine") { urls, store, models, parallelism, queued, connections, hosts, origins, callbacks };

        // Not an asynchronous action: for one, the library would end the process on Ctrl-C before the server has stopped by itself.
        command.SetAction(parsed => Run(new ServeOptions
        {
            Urls = [.. parsed.GetValue(urls)!.SelectMany(value => value.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))],
            OpenStore = () => ArtifactStores.Open(parsed.GetRequiredValue(store)),
            Models = parsed.GetValue(models) ?? DefaultFolders.Models,
            Parallelism = parsed.GetValue(parallelism),
            MostQueued = parsed.GetValue(queued),
            MostConnections = parsed.GetValue(connections) ?? ServeOptions.DefaultMostConnections,
            AllowedHosts = parsed.GetValue(hosts) ?? [],
            CorsOrigins = parsed.GetValue(origins) ?? [],
            CallbackHosts = parsed.GetValue(callbacks) ?? [],
            CallbackSecret = Environment.GetEnvironmentVariable(ServeOptions.CallbackSecretVariable),
        }));
        return command;
    }

    private static void Bound(Option<int?> option, int most) => option.Validators.Add(result =>
    {
        if (result.Tokens.Count == 1 && int.TryParse(result.Tokens[0].Value, out int number) && (number < 1 || number > most))
        {
            result.AddError($"{option.Name}: At least 1, at most {most}.");
        }
    });

    private static int Run(ServeOptions options)
    {
        LibTorch.Load();
        Notes.BeQuiet(true); // of Ctrl-C: the server stops by itself, in its own time
        SweepServer.RunAsync(
            options,
            warning => Console.Error.WriteLine($"Warning: {warning}"),
            addresses => Console.WriteLine($"Listening on {string.Join(", ", addresses)}. Ctrl-C ends it.")).GetAwaiter().GetResult();
        return ExitCode.Done;
    }
}
