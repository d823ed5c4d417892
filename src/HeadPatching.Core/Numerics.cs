namespace HeadPatching.Core;

/// <summary>How numbers are computed: what is kept of a computation is kept under this too.</summary>
public static class Numerics
{
    /// <summary>To be raised whenever the same model, pairs and options give other numbers than before, so that none of the old ones is used again.</summary>
    public const int Version = 4;
}
