namespace HeadPatching.Sweeps.Activities.Artifacts;

/// <summary>How much an activity read from the store and wrote to it, of activations and runs.</summary>
internal sealed class Traffic
{
    public long BytesRead { get; set; }

    public long BytesWritten { get; set; }
}
