using HeadPatching.Http.Tests;
using HeadPatching.Testing;
using Xunit.Sdk;
using Xunit.v3;

[assembly: AssemblyFixture(typeof(ApiFixture))]
[assembly: AssemblyFixture(typeof(AzuriteFixture))]

// What the servers in this process log belongs to the test that asked for it.
[assembly: CaptureConsole]

// One server, and figures of how long it takes: one test at a time.
[assembly: Parallelization(Mode = ParallelMode.None)]
