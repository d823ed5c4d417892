using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Results;
using HeadPatching.Testing;

namespace HeadPatching.Core.Tests.Results;

public sealed class ResultJsonTests
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
        await ResultJson.WriteAsync(result, file, TestContext.Current.CancellationToken);
        file.Position = 0;
        var back = await ResultJson.ReadAsync(file, cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equivalent(result, back, strict: true);
        Assert.Equal(Awkward, back.Heatmap);
    }

    [Fact]
    public async Task Results_json_has_the_members_that_readers_of_it_know()
    {
        using var file = new MemoryStream();
        await ResultJson.WriteAsync(ExampleSweep.Of(2, 3), file, TestContext.Current.CancellationToken);
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
        await ResultJson.WriteAsync(ExampleSweep.Of(2, 3), file, TestContext.Current.CancellationToken);
        JsonObject root = JsonNode.Parse(file.ToArray())!.AsObject();
        Assert.All((string[])["metricDetails", "normalisation", "seed", "intervals", "excludedPairs"], member => Assert.True(root.Remove(member)));
        foreach (string heads in (string[])["heads", "importantHeads"])
        {
            Assert.All(root[heads]!.AsArray(), head => Assert.True(head!.AsObject().Remove("confidenceInterval") && head.AsObject().Remove("pairs")));
        }

        using var older = new MemoryStream(Encoding.UTF8.GetBytes(root.ToJsonString()));
        SweepResult result = await ResultJson.ReadAsync(older, cancellationToken: TestContext.Current.CancellationToken);
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
            ResultJson.ReadAsync(file, "some/results.json", TestContext.Current.CancellationToken));

        Assert.Equal("some/results.json", Assert.Single(refusal.Faults).Where);
    }

    [Fact]
    public async Task A_result_of_a_later_schema_is_refused()
    {
        using var file = new MemoryStream();
        await ResultJson.WriteAsync(
            ExampleSweep.Of(1, 1) with { SchemaVersion = 3 }, file, TestContext.Current.CancellationToken);
        file.Position = 0;

        var refusal = await Assert.ThrowsAsync<InvalidInputException>(() =>
            ResultJson.ReadAsync(file, cancellationToken: TestContext.Current.CancellationToken));

        Assert.Contains("schemaVersion is 3", refusal.Message, StringComparison.Ordinal);
    }
}
