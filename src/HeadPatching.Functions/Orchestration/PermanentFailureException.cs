namespace HeadPatching.Functions.Orchestration;

/// <summary>
/// An activity failed in a way that another attempt would not mend. The orchestrator, which decides on that, sees of a failure its type and
/// message alone; the activity, which has the exception, says it by this type.
/// </summary>
public sealed class PermanentFailureException : Exception
{
    /// <summary>Makes it of the failure, whose message it has.</summary>
    public PermanentFailureException(Exception failure)
        : base(failure.Message, failure)
    {
    }
}
