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
}
