using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Testing;
using Parquet;

namespace HeadPatching.Reports.Tests;

public class EffectsTableTests
{
    [Fact]
    public async Task Every_run_of_every_pair_is_a_row()
    {
        var first = new PairRuns(0, Pair(7, 3), new Baseline(2, 0), [[[1, 0.5]], [[2, 0]]]);
        var second = new PairRuns(1, Pair(9, 4), new Baseline(4, 4), [[[3, 3]], [[4, 4]]]); // degenerate
        Dictionary<string, object?[]> table = await WriteAsync(ExampleSweep.Of(2, 2), first, second);
        Assert.Equal([7, 7, 7, 7, 9, 9, 9, 9], table["pair"]);
        Assert.Equal([0, 0, 1, 1, 0, 0, 1, 1], table["layer"]);
        Assert.Equal([0, 1, 0, 1, 0, 1, 0, 1], table["head"]);
        Assert.All(table["position"].Concat(table["role"]), Assert.Null);
        Assert.Equal([2.0, 2.0, 2.0, 2.0, 4.0, 4.0, 4.0, 4.0], table["clean"]);
        Assert.Equal([0.0, 0.0, 0.0, 0.0, 4.0, 4.0, 4.0, 4.0], table["corrupted"]);
        Assert.Equal([1.0, 0.5, 2.0, 0.0, 3.0, 3.0, 4.0, 4.0], table["patched"]);
        Assert.Equal([0.5, 0.25, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0], table["effect"]);
    }

    [Fact]
    public async Task Positions_are_counted_in_the_pair_s_own_prompt_and_roles_are_named()
    {
        SweepResult result = ExampleSweep.Of(1, 1);
        TokenPair pair = Pair(0, 3) with { Roles = new Dictionary<string, int> { ["S2"] = 1 } };
        var each = await WriteAsync(result with { Positions = Positions.Each }, new PairRuns(0, pair, new Baseline(1, 0), [[[0], [0.5], [1]]]));
        Assert.Equal([0, 1, 2], each["position"]);
        Assert.Equal([0.0, 0.5, 1.0], each["effect"]);
        var role = await WriteAsync(result with { Positions = Positions.EachRole }, new PairRuns(0, pair, new Baseline(1, 0), [[[0.5]]]));
        Assert.Equal([1], role["position"]);
        Assert.Equal(["S2"], role["role"]);
        var last = await WriteAsync(result with { Positions = Positions.One(-1) }, new PairRuns(0, pair, new Baseline(1, 0), [[[0.5]]]));
        Assert.Equal([2], last["position"]);
        Assert.Equal([null], last["role"]);
    }

    [Fact]
    public async Task Many_pairs_are_written_in_groups_and_are_all_there()
    {
        PairRuns[] pairs = [.. Enumerable.Range(0, 20_000).Select(index => new PairRuns(index, Pair(index, 3), new Baseline(1, 0), [[[index, 1, 2, 3, 4, 5, 6, 7]], [[0, 1, 2, 3, 4, 5, 6, 7]]]))];
        Dictionary<string, object?[]> table = await WriteAsync(ExampleSweep.Of(2, 8), pairs);
        Assert.Equal(20_000 * 16, table["pair"].Length);
        Assert.Equal(Enumerable.Range(0, 20_000).Select(index => (object)(double)index), table["patched"].Chunk(16).Select(pair => pair[0]!));
    }

    private static TokenPair Pair(int index, int length) => new(index, [.. Enumerable.Range(0, length)], [.. Enumerable.Range(0, length).Select(token => token + 1)], 1, 2);

    /// <summary>Writes the table and reads it back, column by column.</summary>
    private static async Task<Dictionary<string, object?[]>> WriteAsync(SweepResult result, params PairRuns[] pairs)
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        using var file = new MemoryStream();
        await EffectsTable.WriteAsync(new FinishedSweep(result, pairs.ToAsyncEnumerable()), file, cancel);
        file.Position = 0;
        await using ParquetReader reader = await ParquetReader.CreateAsync(file, cancellationToken: cancel);
        var table = reader.Schema.DataFields.ToDictionary(field => field.Name, _ => new List<object?>());
        for (int i = 0; i < reader.RowGroupCount; i++)
        {
            using ParquetRowGroupReader group = reader.OpenRowGroupReader(i);
            int rows = (int)group.RowCount;
            foreach (var field in reader.Schema.DataFields)
            {
                table[field.Name].AddRange(field switch
                {
                    { Name: "role" } => await Read(new string?[rows], memory => group.ReadAsync(field, memory!, cancellationToken: cancel)),
                    { ClrType: var type } when type == typeof(double) => await Read(new double[rows], memory => group.ReadAsync<double>(field, memory, cancellationToken: cancel)),
                    { ClrType: var type } when type == typeof(bool) => await Read(new bool[rows], memory => group.ReadAsync<bool>(field, memory, cancellationToken: cancel)),
                    { IsNullable: true } => await Read(new int?[rows], memory => group.ReadAsync<int>(field, memory, cancellationToken: cancel)),
                    _ => await Read(new int[rows], memory => group.ReadAsync<int>(field, memory, cancellationToken: cancel)),
                });
            }
        }

        return table.ToDictionary(column => column.Key, column => column.Value.ToArray());

        static async Task<IEnumerable<object?>> Read<T>(T[] rows, Func<Memory<T>, ValueTask> read)
        {
            await read(rows);
            return rows.Cast<object?>();
        }
    }
}
