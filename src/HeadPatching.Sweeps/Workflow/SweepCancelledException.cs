namespace HeadPatching.Sweeps.Workflow;

/// <summary>The sweep was asked to stop, and did.</summary>
public sealed class SweepCancelledException : OperationCanceledException
{
    /// <summary>Makes the exception.</summary>
    public SweepCancelledException()
        : base("The sweep was cancelled.")
    {
    }
}
