namespace HeadPatching.Http.Requests;

/// <summary>How large a request may be. What is beyond is refused before any work is done for it.</summary>
public sealed record RequestLimits
{
    /// <summary>The body, in bytes. Default: 8 MiB.</summary>
    public int BodyBytes { get; init; } = 8 << 20;

    /// <summary>The bodies that are in memory at once, in bytes; what comes beyond waits. Default: 8 MiB.</summary>
    public int BodiesBytes { get; init; } = 8 << 20;

    /// <summary>Pairs of a request. Default: 10,000.</summary>
    public int Pairs { get; init; } = 10_000;

    /// <summary>Characters of a text prompt. Default: 32,768.</summary>
    public int PromptCharacters { get; init; } = 32_768;

    /// <summary>Token ids of a prompt. Default: 8,192.</summary>
    public int PromptIds { get; init; } = 8_192;

    /// <summary>Right answers of a pair, or wrong ones. Default: 200.</summary>
    public int Answers { get; init; } = 200;

    /// <summary>Receivers of path patching. Default: 200.</summary>
    public int Receivers { get; init; } = 200;

    /// <summary>Models of a series. Default: 100.</summary>
    public int SeriesModels { get; init; } = 100;

    /// <summary>What a series may store of its request, once for each model, in bytes. Default: 64 MiB.</summary>
    public int SeriesBytes { get; init; } = 64 << 20;

    /// <summary>Characters of a short text: an answer, a name, a key. Default: 200.</summary>
    public int ShortTextCharacters { get; init; } = 200;

    /// <summary>Calls that follow a sweep at once: streams of events, and calls that wait for a change. Default: 64.</summary>
    public int Watchers { get; init; } = 64;

    /// <summary>The memory that a request may ask for, in MiB. Default: 8,192.</summary>
    public int MemoryMiB { get; init; } = 8_192;
}
