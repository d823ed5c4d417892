using System.Diagnostics;
using System.Net;
using HeadPatching.Testing;

namespace HeadPatching.Http.Tests.Reliability;

/// <summary>A small sweep gets its turn; the figures are in the test output. Two times are compared, so it runs when no other test here does.</summary>
[Collection<OneByOne>]
public sealed class SmallSweepTests(ITestOutputHelper output) : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public async Task A_small_sweep_beside_a_large_one_ends_within_three_times_its_time_alone_and_after_a_cancelled_one_at_once()
    {
        LongSweep.WriteModel(_folder["models"], width: 256);
        using Server server = await Server.StartAsync(_folder.Path, "--store", _folder["store"], "--models", _folder["models"], "--parallelism", "2");
        int seed = 100;
        await TimeAsync(); // loads the model

        // What else the machine does can come between the two measurements: of three rounds the quietest counts. Where the small one waits for the
        // large one, it does so in every round.
        var rounds = new List<(double Beside, double After)>();
        do
        {
            double alone = (await TimeAsync() + await TimeAsync()) / 2;
            string large = await server.Client.StartAsync(LongSweep.Body(pairs: 400, seed: rounds.Count, memoryMiB: 64));
            await server.Client.WaitAsync(large, status => status.GetProperty("progress").GetProperty("phase").GetString() == "patching");
            double beside = (await TimeAsync() + await TimeAsync()) / 2;
            Assert.Equal("running", (await server.Client.GetAsync($"/api/sweeps/{large}")).GetProperty("status").GetString());
            using (HttpResponseMessage removed = await server.Client.Http.DeleteAsync($"/api/sweeps/{large}"))
            {
                Assert.Equal(HttpStatusCode.Accepted, removed.StatusCode);
            }

            double after = await TimeAsync();
            output.WriteLine($"A small sweep: {alone:F2} s alone, {beside:F2} s beside a large one ({beside / alone:F1} times), {after:F2} s right after that was cancelled.");
            rounds.Add((beside / alone, after / alone));
        }
        while (rounds.Count < 3 && (rounds.Min(round => round.Beside) > 3 || rounds.Min(round => round.After) > 3));
        Assert.InRange(rounds.Min(round => round.Beside), 0, 3);
        Assert.InRange(rounds.Min(round => round.After), 0, 3);

        async Task<double> TimeAsync()
        {
            var stopwatch = Stopwatch.StartNew();
            await server.Client.ResultsAsync(await server.Client.StartAsync(LongSweep.Body(pairs: 6, seed++, memoryMiB: 64)));
            return stopwatch.Elapsed.TotalSeconds;
        }
    }

    public void Dispose() => _folder.Dispose();
}
