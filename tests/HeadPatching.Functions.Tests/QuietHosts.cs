using System.Runtime.CompilerServices;

namespace HeadPatching.Functions.Tests;

/// <summary>The test host of the durable engine makes hosts of its own, which log every call to the console unless told otherwise.</summary>
internal static class QuietHosts
{
    [ModuleInitializer]
    internal static void Quiet() => Environment.SetEnvironmentVariable("Logging__LogLevel__Default", "Error");
}
