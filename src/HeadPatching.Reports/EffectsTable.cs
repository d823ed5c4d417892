using HeadPatching.Core.Patching;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.OverPairs;
using Parquet;
using Parquet.Schema;

namespace HeadPatching.Reports;

/// <summary>
/// effects.parquet: every patched run of every pair, in long form, whatever was swept. A pair's rows stand together; pairs come in no order.
/// </summary>
public static class EffectsTable
{
    /// <summary>The file's name.</summary>
    public const string Name = "effects.parquet";

    /// <summary>Rows that are written at once: about 15 MiB.</summary>
    private const int RowsOfGroup = 1 << 18;

    private static readonly DataField<int> Pair = new("pair"), Layer = new("layer");
    private static readonly DataField<int?> Head = new("head"), Position = new("position");
    private static readonly DataField<string> Role = new("role");
    private static readonly DataField<double> Clean = new("clean"), Corrupted = new("corrupted"), Patched = new("patched"), PatchingEffect = new("effect");
    private static readonly DataField<bool> Estimated = new("estimated");
    private static readonly ParquetSchema Schema = new(Pair, Layer, Head, Position, Role, Clean, Corrupted, Patched, PatchingEffect, Estimated);

    /// <summary>
    /// Writes the table: <c>pair</c> is the index in the dataset; <c>head</c> is null where layers are patched as a whole; <c>position</c>, from 0, and
    /// <c>role</c> are null where they are not what was patched; <c>clean</c>, <c>corrupted</c> and <c>patched</c> are metrics, <c>effect</c> is 0 where
    /// clean and corrupted are the same; <c>estimated</c> says that no run was made.
    /// </summary>
    public static async Task WriteAsync(FinishedSweep sweep, Stream to, CancellationToken cancellationToken = default)
    {
        await using ParquetWriter writer = await ParquetWriter.CreateAsync(
            Schema, to, new ParquetOptions { CompressionMethod = CompressionMethod.Zstd, CompressionLevel = System.IO.Compression.CompressionLevel.Fastest }, cancellationToken: cancellationToken);
        SweepResult result = sweep.Result;
        HashSet<(int Layer, int Head)> estimated = [.. result.Heads.Where(head => head.Estimated).Select(head => (head.Layer, head.Head ?? 0))];
        bool ofLayers = result.Patch.IsOfLayer();
        var rows = new List<Row>();
        await foreach (PairRuns runs in sweep.PairByPair.WithCancellation(cancellationToken))
        {
            var (from, into) = runs.Baseline.FromTo(result.Direction);
            (int? Position, string? Role)[] places = Places(result.Positions, runs);
            foreach (var (layer, ofLayer) in runs.PatchedMetric.Index())
            {
                foreach (var (place, patched) in places.Zip(ofLayer))
                {
                    foreach (var (head, metric) in patched.Index().Where(one => !double.IsNaN(one.Item))) // of an adaptive sweep those that were run
                    {
                        rows.Add(new Row(runs, layer, ofLayers ? null : head, place.Position, place.Role, metric, Effect.Of(metric, from, into), estimated.Contains((layer, head))));
                    }
                }
            }

            if (rows.Count >= RowsOfGroup)
            {
                await WriteGroupAsync(writer, rows, cancellationToken);
                rows.Clear();
            }
        }

        if (rows.Count > 0)
        {
            await WriteGroupAsync(writer, rows, cancellationToken);
        }
    }

    /// <summary>What each row of a pair's metrics is.</summary>
    private static (int? Position, string? Role)[] Places(Positions positions, PairRuns runs) => positions switch
    {
        { IsEach: true } => [.. Enumerable.Range(0, runs.Pair.Length).Select(position => ((int?)position, (string?)null))],
        { IsEachRole: true } => [.. runs.Pair.RolesInOrder().Select(role => ((int?)role.Position, (string?)role.Name))],
        { Role: string role } => [(runs.Pair.PositionOf(role), role)],
        { Index: int index } => [(index < 0 ? runs.Pair.Length + index : index, null)],
        _ => [(null, null)],
    };

    private static async Task WriteGroupAsync(ParquetWriter writer, List<Row> rows, CancellationToken cancellationToken)
    {
        using ParquetRowGroupWriter group = writer.CreateRowGroup();
        await group.WriteAsync<int>(Pair, Column(row => row.Runs.Pair.Index), cancellationToken: cancellationToken);
        await group.WriteAsync<int>(Layer, Column(row => row.Layer), cancellationToken: cancellationToken);
        await group.WriteAsync<int>(Head, Column(row => row.Head), cancellationToken: cancellationToken);
        await group.WriteAsync<int>(Position, Column(row => row.Position), cancellationToken: cancellationToken);
        await group.WriteAsync(Role, rows.ConvertAll(row => row.Role)!);
        await group.WriteAsync<double>(Clean, Column(row => row.Runs.Baseline.Clean), cancellationToken: cancellationToken);
        await group.WriteAsync<double>(Corrupted, Column(row => row.Runs.Baseline.Corrupted), cancellationToken: cancellationToken);
        await group.WriteAsync<double>(Patched, Column(row => row.Patched), cancellationToken: cancellationToken);
        await group.WriteAsync<double>(PatchingEffect, Column(row => row.Effect), cancellationToken: cancellationToken);
        await group.WriteAsync<bool>(Estimated, Column(row => row.Estimated), cancellationToken: cancellationToken);
        group.CompleteValidate();

        ReadOnlyMemory<T> Column<T>(Func<Row, T> of)
        {
            var column = new T[rows.Count];
            for (int row = 0; row < column.Length; row++)
            {
                column[row] = of(rows[row]);
            }

            return column;
        }
    }

    private readonly record struct Row(PairRuns Runs, int Layer, int? Head, int? Position, string? Role, double Patched, double Effect, bool Estimated);
}
