namespace HeadPatching.Core.Patching;

/// <summary>How effects are found.</summary>
public enum Method
{
    /// <summary>Every patch is run.</summary>
    Exact,

    /// <summary>Every patch is estimated from one gradient.</summary>
    Attribution,

    /// <summary>Every patch is estimated, and the heads with the largest estimates are run.</summary>
    Screen,

    /// <summary>Every patch is estimated where it can be, and heads are run on pair after pair until it is decided which are above the threshold (<see cref="Core.Adaptive"/>).</summary>
    Adaptive,
}
