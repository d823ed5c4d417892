using Xunit.v3;

namespace HeadPatching.Testing;

/// <summary>
/// Reference values that are not part of the repository: the folder that HEADPATCHING_SHARED names, or <c>shared</c> beside the repository.
/// </summary>
internal static class SharedFolder
{
    private const string Variable = "HEADPATCHING_SHARED";

    /// <summary>A file or folder in it; skips the test where there is none. The test must be marked with <see cref="NeedsSharedAttribute"/>.</summary>
    /// <param name="path">Such as <c>golden/gpt2-tokenizer/golden-tokens.json</c>.</param>
    public static string Require(string path)
    {
        Assert.True(
            TestContext.Current.Test?.Traits.ContainsKey(NeedsSharedAttribute.Trait),
            $"This test reads {path} of the folder of reference values: mark it with [NeedsShared], by which .ci/run finds it.");
        string? found = Candidates().Select(folder => Path.Combine(folder, path)).FirstOrDefault(Path.Exists);
        if (found is null)
        {
            Assert.Skip($"There is no {path} in a folder 'shared' beside the repository, nor in the one that {Variable} would name.");
        }

        return found;
    }

    private static IEnumerable<string> Candidates()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named)
        {
            yield return named;
            yield break;
        }

        for (DirectoryInfo? at = new(AppContext.BaseDirectory); at is not null; at = at.Parent)
        {
            yield return Path.Combine(at.FullName, "shared");
        }
    }
}

/// <summary>Marks a test, or a class of them, that reads <see cref="SharedFolder"/>: <c>--filter-trait needs=shared</c> runs these and no other.</summary>
[AttributeUsage(AttributeTargets.Method | AttributeTargets.Class)]
internal sealed class NeedsSharedAttribute : Attribute, ITraitAttribute
{
    internal const string Trait = "needs";

    /// <inheritdoc/>
    public IReadOnlyCollection<KeyValuePair<string, string>> GetTraits() => [new(Trait, "shared")];
}
