using System.Globalization;
using System.Text;
using HeadPatching.Core.Adaptive;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;
using HeadPatching.Testing;

namespace HeadPatching.Reports.Tests;

public sealed class ResultTablesTests
{
    // Numbers that are lost where fewer digits than needed are written.
    private static readonly double[][] Awkward = [[1.0 / 3, -0.1, 5e-324], [double.MaxValue / 10, Math.BitIncrement(0.3), -0.0]];

    [Fact]
    public async Task Heads_csv_brings_back_every_number_to_the_last_digit()
    {
        var result = ExampleSweep.From(Awkward);
        var heads = result.Heads.Select(head => head.Head == 1 ? head with { StandardError = null, ConfidenceInterval = null, EstimatedEffect = 0.1, Estimated = true, Position = -3 } : head with { JointInterval = new ConfidenceInterval(-0.1, 1.0 / 3), ExcludesZero = false, ExcludesThreshold = true, Decision = Decision.Below, AnytimeInterval = new ConfidenceInterval(-1.0 / 7, 0.1), PairsRun = 14 }).ToList();

        using var file = new MemoryStream();
        await ResultTables.WriteHeadsCsvAsync(heads, file, TestContext.Current.CancellationToken);
        var lines = Encoding.UTF8.GetString(file.ToArray()).TrimEnd('\n').Split('\n');

        Assert.Equal("layer,head,name,hookPoint,patchingEffect,standardError,cleanMetric,corruptedMetric,patchedMetric,confidenceLow,confidenceHigh,estimatedEffect,estimated,position,pairs,role,directLogitAttribution,jointLow,jointHigh,excludesZero,excludesThreshold,inTop1,inTop5,inTop10,inTop20,decision,anytimeLow,anytimeHigh,pairsRun", lines[0]);
        Assert.Equal(heads, lines.Skip(1).Select(Parse));
    }

    [Fact]
    public async Task Heads_csv_has_a_column_for_each_top_and_nothing_where_there_are_no_more_heads()
    {
        var heads = ExampleSweep.From([[0.5, 0.1]]).Heads.Select(head => head with { InTop = [0.75] });

        using var file = new MemoryStream();
        await ResultTables.WriteHeadsCsvAsync(heads, file, TestContext.Current.CancellationToken);

        Assert.EndsWith(",,,,,0.75,,,,,,,\n", Encoding.UTF8.GetString(file.ToArray()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Heads_csv_of_layers_has_no_heads()
    {
        var heads = ExampleSweep.OfLayers(2, Patch.MlpOut).Heads;

        using var file = new MemoryStream();
        await ResultTables.WriteHeadsCsvAsync(heads, file, TestContext.Current.CancellationToken);
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
        await ResultTables.WriteHeatmapCsvAsync(result, file, TestContext.Current.CancellationToken);
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
            JointInterval = cells[17].Length == 0 ? null : new ConfidenceInterval(Number(cells[17]), Number(cells[18])),
            ExcludesZero = cells[19].Length == 0 ? null : bool.Parse(cells[19]),
            ExcludesThreshold = cells[20].Length == 0 ? null : bool.Parse(cells[20]),
            Decision = cells[25].Length == 0 ? null : Enum.Parse<Decision>(cells[25], ignoreCase: true),
            AnytimeInterval = cells[26].Length == 0 ? null : new ConfidenceInterval(Number(cells[26]), Number(cells[27])),
            PairsRun = cells[28].Length == 0 ? null : int.Parse(cells[28], CultureInfo.InvariantCulture),
        };
    }

    private static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);
}
