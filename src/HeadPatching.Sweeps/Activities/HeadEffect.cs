namespace HeadPatching.Sweeps.Activities;

/// <summary>A head and its effect.</summary>
/// <param name="Name">Such as <c>L9H6</c>.</param>
/// <param name="PatchingEffect">Its effect.</param>
public sealed record HeadEffect(string Name, double PatchingEffect);
