using HeadPatching.Testing;

namespace HeadPatching.Cli.Tests.Commands;

/// <summary><c>headpatch store</c>, as users run it.</summary>
public sealed class StoreCommandTests : IDisposable
{
    private const string Unused = "store/runs/0123456789abcdef0123456789abcdef";

    private readonly TemporaryFolder _folder = new();

    public StoreCommandTests()
    {
        Directory.CreateDirectory(_folder["store/runs"]);
        _folder.Write(Unused, "a run that no sweep refers to");
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("-1")]
    [InlineData("36501")]
    [InlineData("2147483647")]
    public async Task Days_that_cannot_be_are_refused_and_nothing_is_deleted(string days)
    {
        var (exitCode, output, error) = await Headpatch.RunAsync(_folder.Path, "store", "prune", "--store", "store", "--days", days);

        Assert.Equal((2, "", "--days: At least 0, at most 36500."), (exitCode, output.Trim(), error.Trim()));
        Assert.True(File.Exists(_folder[Unused]));
    }

    [Fact]
    public async Task What_is_older_than_no_day_is_everything_that_no_sweep_refers_to()
    {
        var (exitCode, output, error) = await Headpatch.RunAsync(_folder.Path, "store", "prune", "--store", "store", "--days", "0");

        Assert.Equal((0, ""), (exitCode, error.Trim()));
        Assert.StartsWith("Deleted 1 artifacts", output, StringComparison.Ordinal);
        Assert.False(File.Exists(_folder[Unused]));
    }
}
