namespace HeadPatching.Sweeps.Workflow;

/// <summary>How far a sweep is.</summary>
/// <param name="Phase">What it is doing.</param>
/// <param name="LayersDone">Layers that are patched: while patching, the share of all runs that are done.</param>
/// <param name="LayersTotal">Layers to patch; 0 while planning.</param>
/// <param name="ChunksCached">Chunks of pairs whose clean and corrupted runs are there.</param>
/// <param name="ChunksTotal">Chunks of pairs.</param>
/// <param name="TasksDone">Runs of a band of layers over a chunk of pairs that are done.</param>
/// <param name="TasksTotal">Runs of a band of layers over a chunk of pairs.</param>
/// <param name="TasksReused">Of those done, how many were in the store already, from this sweep or another one.</param>
/// <param name="PatchedRuns">Patched runs made by this run.</param>
/// <param name="ForwardPasses">Prompts run through the model for their activations; 0 where an earlier sweep had cached them.</param>
/// <param name="ChunksEstimated">With the methods <c>attribution</c>, <c>screen</c> and <c>adaptive</c>, chunks of pairs whose effects are estimated.</param>
/// <param name="Rounds">Rounds of an adaptive sweep, or of sets of nodes, that are done; how many there will be is not known before.</param>
/// <param name="HeadsDecided">With the method <c>adaptive</c>, heads that are run no more.</param>
/// <param name="HeadsTotal">With the method <c>adaptive</c>, all heads.</param>
/// <param name="RunsMade">With the method <c>adaptive</c>, the runs that the decisions took so far, each of a head on a pair.</param>
/// <param name="RunsOfExact">With the method <c>adaptive</c>, the runs that an exact sweep takes.</param>
public sealed record SweepProgress(
    SweepPhase Phase,
    int LayersDone = 0,
    int LayersTotal = 0,
    int ChunksCached = 0,
    int ChunksTotal = 0,
    int TasksDone = 0,
    int TasksTotal = 0,
    int TasksReused = 0,
    long PatchedRuns = 0,
    int ForwardPasses = 0,
    int ChunksEstimated = 0,
    int Rounds = 0,
    int HeadsDecided = 0,
    int HeadsTotal = 0,
    long RunsMade = 0,
    long RunsOfExact = 0);
