using HeadPatching.Core.Models.Safetensors;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Ablations;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;
using static TorchSharp.torch;

namespace HeadPatching.Sweeps.Activities;

/// <summary>The z that an ablation puts into one layer over one chunk (<see cref="AblationPlan"/>); the sums of a layer's means are kept in the store.</summary>
internal static class AblatedZ
{
    private const string SumsTensor = "mean.sums";

    /// <summary>What is put in, [pairs, heads, position, d_head]; null where nothing has to be run for it.</summary>
    /// <param name="store">Where the sums are kept.</param>
    /// <param name="plan">The sweep.</param>
    /// <param name="input">The layer and the chunk.</param>
    /// <param name="lease">The model.</param>
    /// <param name="own">The chunk's own z, [pairs, heads, position, d_head].</param>
    /// <param name="cancellationToken">Looked at between two batches of runs.</param>
    public static async Task<Tensor?> OfAsync(
        IArtifactStore store, SweepPlan plan, ActivityInput input, LoadedModels.Lease lease, Tensor own, CancellationToken cancellationToken)
    {
        if (AblationPlan.Of(plan.Pairs, plan.PatchOptions()) is not AblationPlan ablation)
        {
            return null;
        }

        var pairs = plan.PairsOf(input.Chunk);
        if (plan.Request.Ablation == Ablation.Resample)
        {
            return lease.Use(model => ablation.Resampled(model, pairs, input.Layer, layers: 1)[0]);
        }

        string artifact = SweepArtifacts.MeanZ(input.SweepId, input.Layer);
        if (!await store.ExistsAsync(artifact, cancellationToken))
        {
            // Chunks of one layer may come here at once: each works out the same, and the first to finish is taken.
            using MeanZ made = lease.Use(model => ablation.Means(model, input.Layer, layers: 1, SweepPlanner.Budget(plan.Request), cancellationToken)[0]);
            await store.WriteIfAbsentAsync(
                artifact,
                (to, _) =>
                {
                    SafetensorsWriter.Write(to, [(SumsTensor, made.Sums)]);
                    return Task.CompletedTask;
                },
                cancellationToken);
        }

        Stream stream = await store.RequireReadAsync(artifact, cancellationToken);
        return lease.Use(_ =>
        {
            using var scope = NewDisposeScope();
            using SafetensorsFile file = SafetensorsFile.Open(stream, artifact);
            using MeanZ mean = ablation.MeanOf(file.Read(SumsTensor, ScalarType.Float64, CPU));
            return ablation.Mean(mean, pairs, own).DetachFromDisposeScope();
        });
    }
}
