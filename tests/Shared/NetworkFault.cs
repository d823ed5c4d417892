namespace HeadPatching.Testing;

/// <summary>What <see cref="FaultyProxy"/> does to a request.</summary>
public enum NetworkFault
{
    /// <summary>Nothing: it is passed along.</summary>
    None,

    /// <summary>The connection is dropped, and the request goes nowhere.</summary>
    RequestLost,

    /// <summary>The request is carried out, and the connection dropped before the answer.</summary>
    AnswerLost,

    /// <summary>The request is carried out, and the connection dropped in the middle of the answer's body.</summary>
    AnswerCut,

    /// <summary>The answer is 503.</summary>
    Unavailable,

    /// <summary>The request waits for a third of a second.</summary>
    Delay,
}
