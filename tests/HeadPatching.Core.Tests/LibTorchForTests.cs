using System.Runtime.CompilerServices;
using HeadPatching.Core.Native;

namespace HeadPatching.Core.Tests;

/// <summary>Lets the tests of a build without libtorch (<c>-p:TorchRuntime=none</c>) run on the libtorch that the environment variable names.</summary>
internal static class LibTorchForTests
{
    [ModuleInitializer]
    internal static void Load() => LibTorch.Load();
}
