using HeadPatching.Http.Tests;
using HeadPatching.Testing;
using Xunit.Sdk;
using Xunit.v3;

[assembly: AssemblyFixture(typeof(ApiFixture))]
[assembly: AssemblyFixture(typeof(AzuriteFixture))]

// One server, and figures of how long it takes: one test at a time.
[assembly: Parallelization(Mode = ParallelMode.None)]
