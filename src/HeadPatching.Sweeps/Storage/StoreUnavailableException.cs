namespace HeadPatching.Sweeps.Storage;

/// <summary>
/// A store did not do what it was asked, even after retries of its own: it is away, busy, full, or refuses. Every store throws it, and so do
/// the streams that it gives; what is behind it (a file system, a cloud's client) is in <see cref="Exception.InnerException"/>. It is an
/// <see cref="IOException"/> because that is what readers of any stream expect.
/// </summary>
public sealed class StoreUnavailableException : IOException
{
    /// <summary>Makes the exception.</summary>
    /// <param name="store">The store, without any key: what its <c>ToString</c> gives.</param>
    /// <param name="artifact">The artifact or folder that was asked for; null where it was the store itself.</param>
    /// <param name="reason">What happened, as the rest of a sentence: "the service answered 503 ServerBusy".</param>
    /// <param name="mayPass">Whether the same call may well succeed later.</param>
    /// <param name="inner">What is behind it.</param>
    public StoreUnavailableException(string store, string? artifact, string reason, bool mayPass, Exception? inner = null)
        : base($"The store {store} failed{(string.IsNullOrEmpty(artifact) ? "" : $" at {artifact}")}: {reason.TrimEnd('.')}.", inner)
    {
        Store = store;
        Artifact = artifact;
        MayPass = mayPass;
    }

    /// <summary>The store, without any key.</summary>
    public string Store { get; }

    /// <summary>The artifact or folder that was asked for; null where it was the store itself.</summary>
    public string? Artifact { get; }

    /// <summary>Whether the same call may well succeed later: false where the store refuses, and will go on to.</summary>
    public bool MayPass { get; }
}
