using System.Text.Json;
using HeadPatching.Core.Circuits.Exchange;
using HeadPatching.Testing;

namespace HeadPatching.Cli.Tests.Commands;

/// <summary><c>headpatch circuit</c> as a user runs it, on the demo model, whose circuit is known.</summary>
public class CircuitCommandTests
{
    [Fact]
    public async Task The_demo_models_circuit_is_found_without_being_told_and_proved_on_pairs_that_were_held_out()
    {
        using var folder = new TemporaryFolder();
        await SweepAsync(folder, "z", "--count", "100");
        var (exitCode, output, error) = await HeadpatchProcess.RunAsync(folder.Path, "circuit", "z", "--store", "store", "--random", "20", "--quiet", "--json");
        Assert.Equal((0, ""), (exitCode, error.Trim()));
        using JsonDocument sheet = JsonDocument.Parse(output);
        JsonElement circuit = sheet.RootElement.GetProperty("circuit");
        Assert.Equal(
            ["L2H0", "L2H1", "L2H6", "L2H7"],
            circuit.GetProperty("nodes").EnumerateArray().Select(node => node.GetProperty("node").GetString()).Order(StringComparer.Ordinal));
        Assert.Equal(1, circuit.GetProperty("faithfulness").GetProperty("effect").GetDouble(), 0.02);
        Assert.Equal((70, 30, true), (Number("lookedAt"), Number("heldOut"), sheet.RootElement.GetProperty("isHeldOut").GetBoolean()));
        Assert.Equal(1, circuit.GetProperty("percentile").GetDouble());
        Assert.InRange(sheet.RootElement.GetProperty("cpr").GetDouble(), sheet.RootElement.GetProperty("randomCpr").GetDouble() + 0.2, 1.1);

        (exitCode, output, _) = await HeadpatchProcess.RunAsync(folder.Path, "circuit", "z", "--store", "store", "--random", "20", "--sizes", "1,4", "--out", "proof", "--quiet");
        Assert.Equal(0, exitCode);
        Assert.Contains("None of 20 random other circuits", output, StringComparison.Ordinal);
        Assert.Contains(Path.Combine("proof", "circuit.json"), output, StringComparison.Ordinal);
        using JsonDocument written = JsonDocument.Parse(await File.ReadAllTextAsync(folder["proof/circuit.json"]));
        Assert.Equal([1, 4], written.RootElement.GetProperty("sizes").EnumerateArray().Select(size => size.GetProperty("nodes").GetInt32()));

        // Beside it a page, pictures, and what other programs read: of EAP-IG's graph, all edges between nodes of the circuit and what was not ranked.
        Assert.All(
            (string[])["circuit.html", "circuit.svg", "faithfulness.svg", "circuit.dot", "circuit.neuronpedia.json", "circuit.circuitkit.json", "circuit.eap-ig.json"],
            name => Assert.True(File.Exists(folder[$"proof/{name}"]), name));
        await using FileStream graph = File.OpenRead(folder["proof/circuit.eap-ig.json"]);
        CircuitGraph read = EapIgFile.Read(graph, "circuit.eap-ig.json");
        Assert.Equal("embed,M0,M1,L2H0,L2H1,L2H6,L2H7,M2", read.AsPatchSet().ToString());
        Assert.Equal((96, false), (read.Model.Width, read.Model.ParallelResidual));

        int Number(string name) => sheet.RootElement.GetProperty(name).GetInt32();
    }

    [Fact]
    public async Task MLPs_are_ranked_by_a_sweep_of_their_own_over_the_same_pairs()
    {
        using var folder = new TemporaryFolder();
        await SweepAsync(folder, "z", "--count", "20");
        await SweepAsync(folder, "mlps", "--count", "20", "--patch", "mlp_out");
        var (exitCode, output, error) = await HeadpatchProcess.RunAsync(folder.Path, "circuit", "z", "mlps", "--store", "store", "--random", "0", "--holdout", "0", "--json", "--quiet");
        Assert.Equal((0, ""), (exitCode, error.Trim()));
        using JsonDocument sheet = JsonDocument.Parse(output);
        Assert.Equal((3 * 8) + 3, sheet.RootElement.GetProperty("ranking").GetArrayLength());
        Assert.False(sheet.RootElement.GetProperty("isHeldOut").GetBoolean());

        await SweepAsync(folder, "others", "--count", "20", "--seed", "1", "--patch", "mlp_out");
        (exitCode, _, error) = await HeadpatchProcess.RunAsync(folder.Path, "circuit", "z", "others", "--store", "store");
        Assert.Equal(2, exitCode);
        Assert.Contains("the same pairs", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_cannot_be_proved_is_refused_with_the_reason()
    {
        using var folder = new TemporaryFolder();
        await SweepAsync(folder, "q", "--count", "10", "--patch", "q");
        await SweepAsync(folder, "z", "--count", "10");
        foreach (var (arguments, reason) in ((string[], string)[])
        [
            (["q"], "ranked by a sweep of z"),
            (["z", "z"], "give one"),
            (["nowhere"], "nowhere: "),
            (["z", "--sizes", "1,0"], "--sizes: Sizes are whole numbers"),
            (["z", "--sizes", "25"], "--sizes: There are 24 nodes"),
            (["z", "--holdout", "1"], "--holdout: "),
            (["z", "--model", "nowhere"], "There is no model 'nowhere'"),
        ])
        {
            var (exitCode, output, error) = await HeadpatchProcess.RunAsync(folder.Path, ["circuit", .. arguments, "--store", "store", "--quiet"]);
            Assert.Equal((2, ""), (exitCode, output.Trim()));
            Assert.Contains(reason, error, StringComparison.Ordinal);
        }

        // Another model's weights would prove nothing of this sweep.
        RandomModelFolder.Write(folder["other"], RandomModelFolder.Config("llama"), seed: 1);
        var (code, _, said) = await HeadpatchProcess.RunAsync(folder.Path, "circuit", "z", "--model", "other", "--store", "store");
        Assert.Equal(2, code);
        Assert.Contains("is not the model that was swept", said, StringComparison.Ordinal);
    }

    private static async Task SweepAsync(TemporaryFolder folder, string output, params string[] options)
    {
        var (exitCode, _, error) = await HeadpatchProcess.RunAsync(
            folder.Path, ["sweep", "--dataset", "ioi-generated", "--store", "store", "--out", output, "--quiet", .. options]);
        Assert.Equal((0, ""), (exitCode, error.Trim()));
    }
}
