using System.Text.RegularExpressions;

namespace HeadPatching.Testing;

/// <summary>`headpatch serve` as a process of its own, on a free port of loopback.</summary>
internal sealed partial class Server : IDisposable
{
    private Server(HeadpatchProcess process, Uri address)
    {
        Process = process;
        Address = address;
        Client = new SweepApiClient(address);
    }

    public HeadpatchProcess Process { get; }

    public Uri Address { get; }

    public SweepApiClient Client { get; }

    /// <summary>Starts one and waits until it listens.</summary>
    public static Task<Server> StartAsync(string folder, params string[] arguments) => StartAsync(folder, heapMiB: null, arguments);

    /// <summary>Starts one whose managed heap may be so large and no larger: a server that needs more ends.</summary>
    public static Task<Server> StartAsync(string folder, int? heapMiB, string[] arguments) => StartAsync(
        folder, heapMiB is int mebibytes ? new Dictionary<string, string> { ["DOTNET_GCHeapHardLimit"] = $"{(long)mebibytes << 20:x}" } : [], arguments);

    /// <summary>Starts one with some environment variables of its own.</summary>
    public static async Task<Server> StartAsync(string folder, Dictionary<string, string> environment, string[] arguments)
    {
        // Downloaded models go to the user's data; a test has a user of its own.
        var data = new Dictionary<string, string>(environment) { ["XDG_DATA_HOME"] = Directory.CreateDirectory(Path.Combine(folder, "data")).FullName };
        string[] urls = arguments.Contains("--urls") ? [] : ["--urls", "http://127.0.0.1:0"];
        HeadpatchProcess process = HeadpatchProcess.Start(folder, data, ["serve", .. urls, .. arguments]);
        for (int tries = 0; tries < 2400; tries++)
        {
            Match listening = ListeningLine().Match(process.Output);
            if (listening.Success)
            {
                return new Server(process, new Uri(listening.Groups[1].Value));
            }

            Assert.False(process.HasExited, process.Output + process.Error);
            await Task.Delay(50);
        }

        throw new TimeoutException($"The server does not listen:\n{process.Output}{process.Error}");
    }

    public void Dispose()
    {
        Client.Dispose();
        Process.Dispose();
    }

    [GeneratedRegex(@"Listening on (http://[0-9.:]+\d)")]
    private static partial Regex ListeningLine();
}
