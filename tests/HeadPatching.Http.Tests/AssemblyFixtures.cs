using HeadPatching.Testing;
using Xunit.v3;

[assembly: AssemblyFixture(typeof(AzuriteFixture))]

// What the servers in this process log belongs to the test that asked for it.
[assembly: CaptureConsole]

// Servers start, wait and are waited for: two classes at a time use what one leaves of two cores.
[assembly: Parallelization(MaxThreads = 2)]
