namespace HeadPatching.Http.Tests;

/// <summary>The tests that share a server: one at a time, beside those that have servers of their own.</summary>
[CollectionDefinition]
public sealed class SharedServer : ICollectionFixture<ApiFixture>;

/// <summary>Tests that compare times: when no other runs.</summary>
[CollectionDefinition(DisableParallelization = true)]
public sealed class OneByOne;
