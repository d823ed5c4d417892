using System.Runtime.CompilerServices;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.Comparing;
using Parquet;
using Parquet.Schema;

namespace HeadPatching.Reports.Comparing;

/// <summary>The pairs of a sweep out of its effects.parquet (<see cref="EffectsTable"/>), a group of rows at a time.</summary>
public sealed class StoredPairNumbers : IPairSource
{
    /// <summary>A group of rows may be so large: four times what is written.</summary>
    private const int MostRows = 1 << 20;

    private readonly SweepResult _result;
    private readonly Func<CancellationToken, Task<Stream>> _open;
    private readonly string _where;

    /// <summary>Over a file.</summary>
    /// <param name="result">The sweep's result.</param>
    /// <param name="open">Opens the file; the stream can seek.</param>
    /// <param name="where">What to call the file in an error.</param>
    public StoredPairNumbers(SweepResult result, Func<CancellationToken, Task<Stream>> open, string where)
    {
        _result = result;
        _open = open;
        _where = where;
    }

    /// <summary>A sweep to compare: its result, and beside it every pair's numbers where the result does not hold them.</summary>
    /// <inheritdoc cref="StoredPairNumbers(SweepResult, Func{CancellationToken, Task{Stream}}, string)"/>
    /// <param name="result">The sweep's result.</param>
    /// <param name="open">Opens the file; null where there is none.</param>
    /// <param name="where">What to call the file in an error.</param>
    public static ComparedSweep Compared(SweepResult result, Func<CancellationToken, Task<Stream>>? open, string where)
    {
        ComparedSweep own = ComparedSweep.Of(result);
        return own.Pairs is null && open is not null ? new ComparedSweep(result, new StoredPairNumbers(result, open, where)) : own;
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<int> IndicesAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await using Stream file = await _open(cancellationToken);
        await using ParquetReader reader = await OpenAsync(file, cancellationToken);
        int? last = null;
        for (int i = 0; i < reader.RowGroupCount; i++)
        {
            using ParquetRowGroupReader group = reader.OpenRowGroupReader(i);
            int[] pairs = await ReadAsync<int>(group, Field(reader, "pair"), cancellationToken);
            foreach (int pair in pairs)
            {
                if (pair != last)
                {
                    yield return pair;
                }

                last = pair;
            }
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<PairNumbers> ReadAsync(IReadOnlyList<ComparedPlace> places, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await using Stream file = await _open(cancellationToken);
        await using ParquetReader reader = await OpenAsync(file, cancellationToken);
        int units = _result.Heatmap[0].Length, cells = _result.Heatmap.Length * units;
        int length = _result.HeatmapByPosition?[0].Length ?? 0;               // of every prompt, where places are positions
        Dictionary<string, int> byRole = places.Index().Where(place => place.Item.Role is not null).ToDictionary(place => place.Item.Role!, place => place.Index);
        Dictionary<int, int> byPosition = places.Index().Where(place => place.Item.Position is not null).ToDictionary(place => length + place.Item.Position!.Value, place => place.Index);
        (int Index, Baseline Baseline, double[]?[] Patched)? current = null;
        for (int i = 0; i < reader.RowGroupCount; i++)
        {
            using ParquetRowGroupReader group = reader.OpenRowGroupReader(i);
            int[] pairs = await ReadAsync<int>(group, Field(reader, "pair"), cancellationToken);
            int[] layers = await ReadAsync<int>(group, Field(reader, "layer"), cancellationToken);
            int?[] heads = await ReadNullableAsync(group, Field(reader, "head"), cancellationToken);
            int?[] positions = byPosition.Count == 0 ? [] : await ReadNullableAsync(group, Field(reader, "position"), cancellationToken);
            string?[] roles = byRole.Count == 0 ? [] : await ReadTextsAsync(group, Field(reader, "role"), cancellationToken);
            double[] clean = await ReadAsync<double>(group, Field(reader, "clean"), cancellationToken);
            double[] corrupted = await ReadAsync<double>(group, Field(reader, "corrupted"), cancellationToken);
            double[] patched = await ReadAsync<double>(group, Field(reader, "patched"), cancellationToken);
            for (int row = 0; row < pairs.Length; row++)
            {
                if (current is { } finished && finished.Index != pairs[row])
                {
                    yield return new PairNumbers(finished.Index, finished.Baseline, finished.Patched);
                    current = null;
                }

                var (_, _, numbers) = current ??= (pairs[row], new Baseline(clean[row], corrupted[row]), new double[places.Count][]);
                int place = byRole.Count > 0 ? (roles[row] is string role ? byRole.GetValueOrDefault(role, -1) : -1)
                    : byPosition.Count > 0 ? byPosition.GetValueOrDefault(positions[row] ?? -1, -1)
                    : 0;
                int cell = (layers[row] * units) + (heads[row] ?? 0);
                if (cell < 0 || cell >= cells)
                {
                    throw Malformed($"It has a row of layer {layers[row]}, head {heads[row]}, which results.json does not have.");
                }

                if (place >= 0)
                {
                    (numbers[place] ??= new double[cells])[cell] = patched[row];
                }
            }
        }

        if (current is { } end)
        {
            yield return new PairNumbers(end.Index, end.Baseline, end.Patched);
        }
    }

    private async Task<ParquetReader> OpenAsync(Stream file, CancellationToken cancellationToken)
    {
        try
        {
            return await ParquetReader.CreateAsync(file, cancellationToken: cancellationToken);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            throw Malformed($"This is not a table of effects: {e.Message}");
        }
    }

    private DataField Field(ParquetReader reader, string name) =>
        reader.Schema.DataFields.FirstOrDefault(field => field.Name == name) ?? throw Malformed($"This is not a table of effects: it has no column '{name}'.");

    private async Task<T[]> ReadAsync<T>(ParquetRowGroupReader group, DataField field, CancellationToken cancellationToken)
        where T : struct
    {
        var column = new T[Rows(group)];
        await GuardedAsync(field, () => group.ReadAsync<T>(field, column.AsMemory(), cancellationToken: cancellationToken));
        return column;
    }

    private async Task<int?[]> ReadNullableAsync(ParquetRowGroupReader group, DataField field, CancellationToken cancellationToken)
    {
        var column = new int?[Rows(group)];
        await GuardedAsync(field, () => group.ReadAsync<int>(field, column.AsMemory(), cancellationToken: cancellationToken));
        return column;
    }

    private async Task<string?[]> ReadTextsAsync(ParquetRowGroupReader group, DataField field, CancellationToken cancellationToken)
    {
        var column = new string?[Rows(group)];
        await GuardedAsync(field, () => group.ReadAsync(field, column.AsMemory()!, cancellationToken: cancellationToken));
        return column;
    }

    private int Rows(ParquetRowGroupReader group) => group.RowCount is >= 0 and <= MostRows ? (int)group.RowCount
        : throw Malformed($"It has {group.RowCount} rows in a group; at most {MostRows} are read at once.");

    private async Task GuardedAsync(DataField field, Func<ValueTask> read)
    {
        try
        {
            await read();
        }
        catch (Exception e) when (e is not OperationCanceledException and not IOException)
        {
            throw Malformed($"The column '{field.Name}' cannot be read: {e.Message}");
        }
    }

    private InvalidInputException Malformed(string message) => new(FaultKinds.Malformed, _where, message);
}
