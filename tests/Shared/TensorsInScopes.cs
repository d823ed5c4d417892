using System.Reflection;
using TorchSharp;
using Xunit.v3;

[assembly: HeadPatching.Testing.TensorsInScopes]

namespace HeadPatching.Testing;

/// <summary>
/// Fails a test that makes a tensor outside every dispose scope. Nothing but the caller's own variable refers to such a tensor: once its
/// handle has been given to libtorch, the garbage collector may free it while libtorch still reads it, and the process dies of it.
/// TorchSharp counts for each thread, as its scopes are kept for each thread: tests that await, and may end on another one, are not looked at.
/// </summary>
[AttributeUsage(AttributeTargets.Assembly)]
internal sealed class TensorsInScopesAttribute : BeforeAfterTestAttribute
{
    private static readonly AsyncLocal<long> MadeBefore = new();

    private static long Made => DisposeScopeManager.Statistics.TensorStatistics.CreatedOutsideScopeCount;

    /// <inheritdoc/>
    public override void Before(MethodInfo methodUnderTest, IXunitTest test) => MadeBefore.Value = Made;

    /// <inheritdoc/>
    public override void After(MethodInfo methodUnderTest, IXunitTest test)
    {
        if (methodUnderTest.ReturnType == typeof(void) && MadeBefore.Value != Made)
        {
            Assert.Fail($"{Made - MadeBefore.Value} tensors were made outside every dispose scope: begin with 'using var scope = NewDisposeScope();'.");
        }
    }
}
