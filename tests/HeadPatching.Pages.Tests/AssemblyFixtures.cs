using HeadPatching.Pages.Tests;
using Xunit.Sdk;
using Xunit.v3;

[assembly: AssemblyFixture(typeof(Chromium))]

// What the servers in this process log belongs to the test that asked for it.
[assembly: CaptureConsole]

// One browser for all, and servers that share the cores with it: one test at a time.
[assembly: Parallelization(Mode = ParallelMode.None)]
