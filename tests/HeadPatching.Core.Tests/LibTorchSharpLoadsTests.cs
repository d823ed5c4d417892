using System.IO.Compression;
using System.Reflection;
using TorchSharp;

namespace HeadPatching.Core.Tests;

public class LibTorchSharpLoadsTests
{
    /// <summary>Fails where the native library does not load: on Debian 12 when LibTorchSharp.targets did not do its work.</summary>
    [Fact]
    public void A_tensor_can_be_made_on_this_system()
    {
        using var scope = torch.NewDisposeScope();
        Assert.Equal(6f, torch.ones(2, 3).sum().item<float>());
    }

    /// <summary>Outputs link to files of the package cache, which other repositories build from: the changed library must be none of them.</summary>
    [Fact]
    public void The_package_caches_own_library_is_as_the_package_brought_it()
    {
        string cache = typeof(LibTorchSharpLoadsTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(data => data.Key == "PackageCache").Value!;
        string folder = Path.Combine(cache, "torchsharp", typeof(torch).Assembly.GetName().Version!.ToString(3));
        using ZipArchive package = ZipFile.OpenRead(Path.Combine(folder, $"torchsharp.{Path.GetFileName(folder)}.nupkg"));
        Assert.All(package.Entries.Where(entry => entry.FullName.StartsWith("runtimes/", StringComparison.Ordinal)), entry =>
        {
            using var original = new MemoryStream();
            using (Stream stream = entry.Open())
            {
                stream.CopyTo(original);
            }

            Assert.True(original.ToArray().AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(folder, entry.FullName))), entry.FullName);
        });
    }
}
