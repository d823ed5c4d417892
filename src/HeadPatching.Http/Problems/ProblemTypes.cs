namespace HeadPatching.Http.Problems;

/// <summary>The <c>type</c> of every problem+json answer. They are part of the contract: add, never rename.</summary>
public static class ProblemTypes
{
    private const string Prefix = "urn:headpatching:problem:";

    /// <summary>400: the request cannot be swept; <c>errors</c> lists what is wrong.</summary>
    public const string InvalidRequest = Prefix + "invalid-request";

    /// <summary>400: the server could not read the request as HTTP.</summary>
    public const string MalformedHttp = Prefix + "malformed-http";

    /// <summary>403: the Host header is not one that this server answers to.</summary>
    public const string UnknownHost = Prefix + "unknown-host";

    /// <summary>403: a page of another site asked.</summary>
    public const string CrossSite = Prefix + "cross-site";

    /// <summary>404: there is no such sweep.</summary>
    public const string UnknownSweep = Prefix + "unknown-sweep";

    /// <summary>404: the sweep was not asked for a circuit.</summary>
    public const string NoCircuit = Prefix + "no-circuit";

    /// <summary>404: the sweep was not asked for edges.</summary>
    public const string NoEdges = Prefix + "no-edges";

    /// <summary>404: there is no such series.</summary>
    public const string UnknownSeries = Prefix + "unknown-series";

    /// <summary>404: there is nothing at this path.</summary>
    public const string UnknownRoute = Prefix + "unknown-route";

    /// <summary>405: the path does not know the method.</summary>
    public const string MethodNotAllowed = Prefix + "method-not-allowed";

    /// <summary>409: the Idempotency-Key was used with another body.</summary>
    public const string IdempotencyConflict = Prefix + "idempotency-conflict";

    /// <summary>409: the sweep has no result yet.</summary>
    public const string SweepNotCompleted = Prefix + "sweep-not-completed";

    /// <summary>409: the sweep failed and will have no result; <c>errors</c> lists what was wrong with its input.</summary>
    public const string SweepFailed = Prefix + "sweep-failed";

    /// <summary>409: the sweep was cancelled and will have no result.</summary>
    public const string SweepCancelled = Prefix + "sweep-cancelled";

    /// <summary>409: the sweep's request or status in the store cannot be read.</summary>
    public const string SweepDamaged = Prefix + "sweep-damaged";

    /// <summary>409: what is asked for must be computed, and the sweep's model is gone or has changed since.</summary>
    public const string ModelUnavailable = Prefix + "model-unavailable";

    /// <summary>413: the body is too large.</summary>
    public const string BodyTooLarge = Prefix + "body-too-large";

    /// <summary>415: the body is not application/json.</summary>
    public const string UnsupportedMediaType = Prefix + "unsupported-media-type";

    /// <summary>429: as many sweeps wait for their turn as may; worth another try when some have run.</summary>
    public const string TooManySweeps = Prefix + "too-many-sweeps";

    /// <summary>429: other requests' bodies fill the memory that there is for them; worth another try at once.</summary>
    public const string TooManyBodies = Prefix + "too-many-bodies";

    /// <summary>429: as many calls follow sweeps as may; ask for the status instead, or try again.</summary>
    public const string TooManyWatchers = Prefix + "too-many-watchers";

    /// <summary>429: as many callers wait for attention patterns as may; worth another try in a moment.</summary>
    public const string TooManyPatterns = Prefix + "too-many-patterns";

    /// <summary>500: a fault of the server.</summary>
    public const string Internal = Prefix + "internal";

    /// <summary>503: the artifact store cannot be reached; worth another try.</summary>
    public const string StoreUnavailable = Prefix + "store-unavailable";
}
