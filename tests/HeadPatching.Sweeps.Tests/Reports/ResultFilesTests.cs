using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Reports;

namespace HeadPatching.Sweeps.Tests.Reports;

public sealed class ResultFilesTests
{
    // Numbers that are lost where fewer digits than needed are written.
    private static readonly double[][] Awkward = [[1.0 / 3, -0.1, 5e-324], [double.MaxValue / 10, Math.BitIncrement(0.3), -0.0]];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Results_json_brings_back_every_number_to_the_last_digit(bool eachPosition)
    {
        var result = ExampleSweep.From(Awkward, eachPosition: eachPosition);

        using var file = new MemoryStream();
        await ResultFiles.WriteJsonAsync(result, file, TestContext.Current.CancellationToken);
        file.Position = 0;
        var back = await ResultFiles.ReadJsonAsync(file, cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equivalent(result, back, strict: true);
        Assert.Equal(Awkward, back.Heatmap);
    }

    [Fact]
    public async Task Results_json_has_the_members_that_readers_of_it_know()
    {
        using var file = new MemoryStream();
        await ResultFiles.WriteJsonAsync(ExampleSweep.Of(2, 3), file, TestContext.Current.CancellationToken);
        var text = Encoding.UTF8.GetString(file.ToArray());

        Assert.Contains("\"schemaVersion\": 1", text, StringComparison.Ordinal);
        Assert.Contains("\"hookPoint\": \"blocks.1.attn.hook_z\"", text, StringComparison.Ordinal);
        Assert.Contains("\"patch\": \"z\"", text, StringComparison.Ordinal);
        Assert.Contains("\"aggregation\": \"mean-of-ratios\"", text, StringComparison.Ordinal);
        using var document = JsonDocument.Parse(text);
        JsonElement root = document.RootElement;
        Assert.Equal("logits", root.GetProperty("metricDetails").GetProperty("unit").GetString());
        Assert.True(root.GetProperty("metricDetails").GetProperty("higherIsBetter").GetBoolean());
        Assert.Equal("(patched - corrupted) / (clean - corrupted)", root.GetProperty("normalisation").GetString());
        Assert.Equal(7, root.GetProperty("seed").GetInt32());
        Assert.StartsWith("95 %, Student's t", root.GetProperty("intervals").GetString(), StringComparison.Ordinal);
        Assert.Equal((3, "degenerate"), (root.GetProperty("excludedPairs")[0].GetProperty("index").GetInt32(), root.GetProperty("excludedPairs")[0].GetProperty("reason").GetString()));
        JsonElement head = root.GetProperty("heads")[0];
        Assert.Equal(
            [head.GetProperty("patchingEffect").GetDouble() - (0.2 / 3), head.GetProperty("patchingEffect").GetDouble() + (0.2 / 3)],
            head.GetProperty("confidenceInterval").Deserialize<double[]>()!);
    }

    /// <summary>Members may be added within a version of the schema: what was written before them is still read.</summary>
    [Fact]
    public async Task A_result_from_before_metrics_had_details_and_heads_intervals_is_read()
    {
        using var file = new MemoryStream();
        await ResultFiles.WriteJsonAsync(ExampleSweep.Of(2, 3), file, TestContext.Current.CancellationToken);
        JsonObject root = JsonNode.Parse(file.ToArray())!.AsObject();
        Assert.All((string[])["metricDetails", "normalisation", "seed", "intervals", "excludedPairs"], member => Assert.True(root.Remove(member)));
        foreach (string heads in (string[])["heads", "importantHeads"])
        {
            Assert.All(root[heads]!.AsArray(), head => Assert.True(head!.AsObject().Remove("confidenceInterval") && head.AsObject().Remove("pairs")));
        }

        using var older = new MemoryStream(Encoding.UTF8.GetBytes(root.ToJsonString()));
        SweepResult result = await ResultFiles.ReadJsonAsync(older, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal("logit-difference", result.Metric);
        Assert.All(result.Heads, head => Assert.Null(head.ConfidenceInterval));
    }

    [Theory]
    [InlineData("{")]
    [InlineData("null")]
    [InlineData("{\"schemaVersion\": 1}")]
    public async Task A_file_that_is_no_result_is_refused_by_name(string text)
    {
        using var file = new MemoryStream(Encoding.UTF8.GetBytes(text));

        var refusal = await Assert.ThrowsAsync<InvalidInputException>(() =>
            ResultFiles.ReadJsonAsync(file, "some/results.json", TestContext.Current.CancellationToken));

        Assert.Equal("some/results.json", Assert.Single(refusal.Faults).Where);
    }

    [Fact]
    public async Task A_result_of_a_later_schema_is_refused()
    {
        using var file = new MemoryStream();
        await ResultFiles.WriteJsonAsync(
            ExampleSweep.Of(1, 1) with { SchemaVersion = 2 }, file, TestContext.Current.CancellationToken);
        file.Position = 0;

        var refusal = await Assert.ThrowsAsync<InvalidInputException>(() =>
            ResultFiles.ReadJsonAsync(file, cancellationToken: TestContext.Current.CancellationToken));

        Assert.Contains("schemaVersion is 2", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Heads_csv_brings_back_every_number_to_the_last_digit()
    {
        var result = ExampleSweep.From(Awkward);
        var heads = result.Heads.Select(head => head.Head == 1 ? head with { StandardError = null, ConfidenceInterval = null, EstimatedEffect = 0.1, Estimated = true, Position = -3 } : head).ToList();

        using var file = new MemoryStream();
        await ResultFiles.WriteCsvAsync(heads, file, TestContext.Current.CancellationToken);
        var lines = Encoding.UTF8.GetString(file.ToArray()).TrimEnd('\n').Split('\n');

        Assert.Equal("layer,head,name,hookPoint,patchingEffect,standardError,cleanMetric,corruptedMetric,patchedMetric,confidenceLow,confidenceHigh,estimatedEffect,estimated,position,pairs,role", lines[0]);
        Assert.Equal(heads, lines.Skip(1).Select(Parse));
    }

    [Fact]
    public async Task Heads_csv_of_layers_has_no_heads()
    {
        var heads = ExampleSweep.OfLayers(2, Patch.MlpOut).Heads;

        using var file = new MemoryStream();
        await ResultFiles.WriteCsvAsync(heads, file, TestContext.Current.CancellationToken);
        var lines = Encoding.UTF8.GetString(file.ToArray()).TrimEnd('\n').Split('\n');

        Assert.StartsWith("1,,L1,blocks.1.hook_mlp_out,1,", lines[2], StringComparison.Ordinal);
        Assert.Equal(heads, lines.Skip(1).Select(Parse));
    }

    [Fact]
    public async Task Heatmap_csv_has_a_column_for_what_the_heatmap_shows()
    {
        Assert.Equal(["layer,H0,H1,H2", "L0,0.3333333333333333,-0.1,5E-324"], (await HeatmapCsv(ExampleSweep.From(Awkward))).Take(2));
        Assert.Equal("layer,KV0,KV1", (await HeatmapCsv(ExampleSweep.OfKeyValueHeads(3, 2)))[0]);
        Assert.Equal(["layer,layer", "L0,0.5", "L1,1"], await HeatmapCsv(ExampleSweep.OfLayers(2)));
        Assert.Equal(
            ["layer,P0,P1,P2,P3,P4,P5,P6,P7,P8,P9,P10,P11,P12,P13,P14", "L0,0,0,0,0,0,0,0,0,0,0,-0.2,0,0,0,0.5"],
            (await HeatmapCsv(ExampleSweep.From([[0.5], [1]], eachPosition: true) with { Patch = Patch.ResidPost })).Take(2));
    }

    private static async Task<string[]> HeatmapCsv(SweepResult result)
    {
        using var file = new MemoryStream();
        await ResultFiles.WriteHeatmapCsvAsync(result, file, TestContext.Current.CancellationToken);
        return Encoding.UTF8.GetString(file.ToArray()).TrimEnd('\n').Split('\n');
    }

    private static HeadResult Parse(string line)
    {
        var cells = line.Split(',');
        return new HeadResult(
            int.Parse(cells[0], CultureInfo.InvariantCulture),
            cells[1].Length == 0 ? null : int.Parse(cells[1], CultureInfo.InvariantCulture),
            cells[2],
            cells[3],
            Number(cells[4]),
            cells[5].Length == 0 ? null : Number(cells[5]),
            Number(cells[6]),
            Number(cells[7]),
            Number(cells[8]))
        {
            ConfidenceInterval = cells[9].Length == 0 ? null : new ConfidenceInterval(Number(cells[9]), Number(cells[10])),
            EstimatedEffect = cells[11].Length == 0 ? null : Number(cells[11]),
            Estimated = bool.Parse(cells[12]),
            Position = cells[13].Length == 0 ? null : int.Parse(cells[13], CultureInfo.InvariantCulture),
            Pairs = int.Parse(cells[14], CultureInfo.InvariantCulture),
        };
    }

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);
}
