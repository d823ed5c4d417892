namespace HeadPatching.Core.Patching.Attribution;

/// <summary>Which gradient an estimate is made of.</summary>
public enum Gradient
{
    /// <summary>
    /// The scale of every norm is held fixed in the backward pass, as if it were a constant (Ali et al. 2022, the LN-rule; Jafari et al.
    /// 2025, "RelP", use it for patching). A patch replaces an activation by one of about the same size, so the stream turns and hardly
    /// changes its length; the plain gradient takes it for one that grows or shrinks, and takes back much of what the head does.
    /// </summary>
    FrozenNorms,

    /// <summary>The tangent of the model as it is (Nanda 2023), the derivatives of the norms' scales in it.</summary>
    Plain,
}
