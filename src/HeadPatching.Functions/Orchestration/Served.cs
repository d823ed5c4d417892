namespace HeadPatching.Functions.Orchestration;

/// <summary>What a host answers an activity.</summary>
public abstract record Served
{
    /// <summary>It had no place for it: others of the same sweep have theirs. The activity did nothing.</summary>
    public bool TurnedAway { get; init; }
}

/// <summary>What a host answers an activity.</summary>
/// <param name="Output">What the activity gave.</param>
public sealed record Served<T>(T? Output) : Served;
