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

        (exitCode, output, _) = await Headpatch.RunAsync(folder.Path, "circuit", "z", "--store", "store", "--random", "20", "--sizes", "1,4", "--out", "proof", "--quiet");
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
    public async Task MLPs_may_take_part_and_a_circuit_of_ones_own_is_proved_from_results_alone_in_a_store_that_has_nothing()
    {
        using var folder = new TemporaryFolder();
        await SweepAsync(folder, "z", "--count", "20");
        var (exitCode, output, error) = await HeadpatchProcess.RunAsync(folder.Path, "circuit", "z", "--mlps", "--store", "store", "--random", "0", "--holdout", "0", "--json", "--quiet");
        Assert.Equal((0, ""), (exitCode, error.Trim()));
        using JsonDocument sheet = JsonDocument.Parse(output);
        Assert.Equal((3 * 8) + 3, sheet.RootElement.GetProperty("ranking").GetArrayLength());
        Assert.False(sheet.RootElement.GetProperty("isHeldOut").GetBoolean());

        (exitCode, _, error) = await Headpatch.RunAsync(
            folder.Path, "circuit", "z/results.json", "--given", "L2H6,L2H0", "--store", "elsewhere", "--out", "given", "--random", "0", "--quiet");
        Assert.Equal((0, ""), (exitCode, error.Trim()));
        using JsonDocument given = JsonDocument.Parse(await File.ReadAllTextAsync(folder["given/circuit.json"]));
        Assert.Equal(["L2H6", "L2H0"], given.RootElement.GetProperty("circuit").GetProperty("nodes").EnumerateArray().Select(node => node.GetProperty("node").GetString()));
        Assert.True(given.RootElement.GetProperty("circuit").GetProperty("wasGiven").GetBoolean());

        // What went out as EAP-IG's graph comes in as the same circuit.
        (exitCode, _, error) = await Headpatch.RunAsync(
            folder.Path, "circuit", "z", "--given", "given/circuit.eap-ig.json", "--mlps", "--store", "store", "--out", "again", "--random", "0", "--quiet");
        Assert.Equal((0, ""), (exitCode, error.Trim()));
        using JsonDocument again = JsonDocument.Parse(await File.ReadAllTextAsync(folder["again/circuit.json"]));
        Assert.Equal(
            ["L2H0", "L2H6", "M0", "M1", "M2"], // MLPs were left to themselves there: they are in it
            again.RootElement.GetProperty("circuit").GetProperty("nodes").EnumerateArray().Select(node => node.GetProperty("node").GetString()).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Sets_of_nodes_are_patched_beside_the_heads_from_the_option_or_a_file()
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllTextAsync(folder["sets.txt"], "L2H6,L2H0\n\nM1,embed\n");
        foreach (string sets in (string[])["sets.txt", "L2H6,L2H0;M1,embed"])
        {
            var (exitCode, output, error) = await Headpatch.RunAsync(
                folder.Path, "sweep", "--dataset", "ioi-generated", "--count", "10", "--store", "store", "--quiet", "--patch-set", sets);
            Assert.Equal((0, ""), (exitCode, error.Trim()));
            Assert.Contains("Sets patched together", output, StringComparison.Ordinal);
            using JsonDocument results = JsonDocument.Parse(await File.ReadAllTextAsync(folder["headpatch-out/results.json"]));
            JsonElement[] found = [.. results.RootElement.GetProperty("patchSets").EnumerateArray()];
            Assert.Equal(["L2H6,L2H0", "M1,embed"], found.Select(set => set.GetProperty("set").GetString()));
            Assert.Equal(1, found[1].GetProperty("patchingEffect").GetDouble(), 1e-4); // the clean embedding makes the run clean
        }
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
            (["nowhere"], "nowhere: "),
            (["z", "--sizes", "1,0"], "--sizes: The sizes are 1 at the least"),
            (["z", "--sizes", "25"], "--sizes: There are 24 nodes"),
            (["z", "--holdout", "1"], "--holdout: "),
            (["z", "--given", "M1"], "--given: M1: this circuit is made of heads"),
            (["z", "--model", "nowhere"], "There is no model 'nowhere'"),
        ])
        {
            var (exitCode, output, error) = await Headpatch.RunAsync(folder.Path, ["circuit", .. arguments, "--store", "store", "--quiet"]);
            Assert.Equal((2, ""), (exitCode, output.Trim()));
            Assert.Contains(reason, error, StringComparison.Ordinal);
        }

        // Another model's weights would prove nothing of this sweep.
        RandomModelFolder.Write(folder["other"], RandomModelFolder.Config("llama"), seed: 1);
        await File.WriteAllTextAsync(folder["results.json"], (await File.ReadAllTextAsync(folder["z/results.json"])).Replace("\"name\": \"ioi-generated\"", "\"name\": \"own\"", StringComparison.Ordinal));
        var (code, _, said) = await Headpatch.RunAsync(folder.Path, "circuit", "results.json", "--model", "other", "--store", "empty");
        Assert.Equal(2, code);
        Assert.Contains("is not the model that was swept", said, StringComparison.Ordinal);
    }

    private static async Task SweepAsync(TemporaryFolder folder, string output, params string[] options)
    {
        var (exitCode, _, error) = await Headpatch.RunAsync(
            folder.Path, ["sweep", "--dataset", "ioi-generated", "--store", "store", "--out", output, "--quiet", .. options]);
        Assert.Equal((0, ""), (exitCode, error.Trim()));
    }
}
