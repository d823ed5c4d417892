using System.Text.Json;

namespace HeadPatching.Core.Tests.Golden;

/// <summary>The largest difference per table of reference values, printed and held to the design's bounds.</summary>
internal sealed class Differences
{
    private readonly SortedDictionary<string, (double Difference, double Scale, int Count)> _tables = [];

    /// <summary>Compares nested arrays of numbers with what was computed for the same indices.</summary>
    /// <param name="table">The table's name.</param>
    /// <param name="expected">The reference values.</param>
    /// <param name="actual">Our value at an index.</param>
    /// <param name="roundedToFloat32">
    /// Whether the reference was rounded to float32 when it was stored, though computed in float64: <c>transformer_lens.patching</c>
    /// collects its metrics in a tensor of the default type. The difference is then counted from the nearer end of the half unit in
    /// the last place that the rounding hides.
    /// </param>
    public void Add(string table, JsonElement expected, Func<int[], double> actual, bool roundedToFloat32 = false) =>
        Walk(table, expected, [], actual, roundedToFloat32);

    public void Add(string table, double expected, double actual, bool roundedToFloat32 = false)
    {
        Assert.True(double.IsFinite(actual), $"{table}: {actual}");
        float stored = MathF.Abs((float)expected);
        double hidden = roundedToFloat32 ? (MathF.BitIncrement(stored) - stored) / 2.0 : 0;
        var (difference, scale, count) = _tables.GetValueOrDefault(table);
        _tables[table] = (Math.Max(difference, Math.Abs(actual - expected) - hidden), Math.Max(scale, Math.Abs(expected)), count + 1);
    }

    /// <summary>Prints every table's largest difference and fails if one is above its bound.</summary>
    /// <param name="absolute">The bound in float64; null: 1e-3 of each table's scale, the bound in float32.</param>
    public void AssertWithin(double? absolute)
    {
        ITestOutputHelper output = TestContext.Current.TestOutputHelper!;
        foreach (var (table, (difference, scale, count)) in _tables)
        {
            output.WriteLine(FormattableString.Invariant($"{table,-40} {count,7} values  scale {scale,8:F3}  max diff {difference:E2}"));
        }

        Assert.NotEmpty(_tables);
        Assert.All(_tables, table => Assert.InRange(table.Value.Difference, 0, absolute ?? (1e-3 * table.Value.Scale)));
    }

    private void Walk(string table, JsonElement expected, int[] index, Func<int[], double> actual, bool roundedToFloat32)
    {
        if (expected.ValueKind == JsonValueKind.Number)
        {
            Add(table, expected.GetDouble(), actual(index), roundedToFloat32);
            return;
        }

        int i = 0;
        foreach (JsonElement element in expected.EnumerateArray())
        {
            Walk(table, element, [.. index, i++], actual, roundedToFloat32);
        }
    }
}
