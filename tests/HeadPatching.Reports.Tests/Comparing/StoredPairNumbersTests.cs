using HeadPatching.Core.Faults;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Core.Results.Comparing;
using HeadPatching.Reports.Comparing;
using HeadPatching.Testing;

namespace HeadPatching.Reports.Tests.Comparing;

public class StoredPairNumbersTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_pair_is_read_as_it_was_written()
    {
        SweepResult result = ExampleSweep.Of(2, 3);
        PairRuns[] pairs = [.. Enumerable.Range(0, 50_000).Select(index => new PairRuns(index, Pair(index), new Baseline(index, -1), [[[index, 1, 2]], [[3, 4, 5.5]]]))];
        StoredPairNumbers numbers = await WriteAsync(result, pairs);
        Assert.Equal(Enumerable.Range(0, 50_000), await numbers.IndicesAsync(Cancel).ToArrayAsync(Cancel));
        PairNumbers[] read = await numbers.ReadAsync([ComparedPlace.Whole], Cancel).ToArrayAsync(Cancel);
        Assert.Equal(50_000, read.Length);
        Assert.All(read, pair => Assert.Equal([pair.Index, 1, 2, 3, 4, 5.5], pair.Patched[0]!));
        Assert.All(read, pair => Assert.Equal(new Baseline(pair.Index, -1), pair.Baseline));
    }

    [Fact]
    public async Task Places_are_found_by_their_distance_from_the_end_or_by_their_role()
    {
        SweepResult each = ExampleSweep.Of(1, 1, eachPosition: true); // prompts of 15 tokens
        TokenPair pair = new(0, [.. Enumerable.Range(0, 15)], [.. Enumerable.Range(0, 15)], 1, 2);
        StoredPairNumbers numbers = await WriteAsync(each, new PairRuns(0, pair, new Baseline(1, 0), [[.. Enumerable.Range(0, 15).Select(position => (double[])[position])]]));
        PairNumbers read = await numbers.ReadAsync([new ComparedPlace(-1, null), new ComparedPlace(-15, null), new ComparedPlace(-16, null)], Cancel).SingleAsync(Cancel);
        Assert.Equal([14.0], read.Patched[0]!);
        Assert.Equal([0.0], read.Patched[1]!);
        Assert.Null(read.Patched[2]);

        numbers = await WriteAsync(each with { Positions = Positions.EachRole }, new PairRuns(0, pair with { Roles = new Dictionary<string, int> { ["S2"] = 1 } }, new Baseline(1, 0), [[[0.5]]]));
        read = await numbers.ReadAsync([new ComparedPlace(null, "IO"), new ComparedPlace(null, "S2")], Cancel).SingleAsync(Cancel);
        Assert.Null(read.Patched[0]);
        Assert.Equal([0.5], read.Patched[1]!);
    }

    [Fact]
    public async Task A_file_that_is_none_of_ours_is_said()
    {
        var numbers = new StoredPairNumbers(ExampleSweep.Of(1, 1), _ => Task.FromResult<Stream>(new MemoryStream([1, 2, 3, 4])), "out/effects.parquet");
        InvalidInputException refused = await Assert.ThrowsAsync<InvalidInputException>(async () => await numbers.IndicesAsync(Cancel).ToArrayAsync(Cancel));
        Assert.StartsWith("out/effects.parquet: This is not a table of effects", refused.Message, StringComparison.Ordinal);

        // A table of a larger model than the result's.
        StoredPairNumbers larger = await WriteAsync(ExampleSweep.Of(1, 1), new PairRuns(0, Pair(0), new Baseline(1, 0), [[[1]], [[2]]]));
        await Assert.ThrowsAsync<InvalidInputException>(async () => await larger.ReadAsync([ComparedPlace.Whole], Cancel).ToArrayAsync(Cancel));
    }

    private static TokenPair Pair(int index) => new(index, [1, 2], [1, 3], 4, 5);

    private static async Task<StoredPairNumbers> WriteAsync(SweepResult result, params PairRuns[] pairs)
    {
        using var file = new MemoryStream();
        await EffectsTable.WriteAsync(new FinishedSweep(result, pairs.ToAsyncEnumerable()), file, Cancel);
        return new StoredPairNumbers(result, _ => Task.FromResult<Stream>(new MemoryStream(file.ToArray())), EffectsTable.Name);
    }
}
