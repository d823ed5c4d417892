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
}
