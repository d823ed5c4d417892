namespace HeadPatching.Testing;

/// <summary>Tests of this collection have nothing beside them: what they measure is of the whole process.</summary>
[CollectionDefinition(nameof(RunsAlone), DisableParallelization = true)]
public sealed class RunsAlone;
