using HeadPatching.Core.Models.Safetensors;
using HeadPatching.Core.Patching;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Storage;
using static TorchSharp.torch;

namespace HeadPatching.Sweeps.Activities;

/// <summary>The z that an ablation puts into one layer over one chunk, from the cached activations of the whole dataset.</summary>
internal sealed class AblatedZ(IArtifactStore store, SweepPlan plan, string run, ActivityInput input, LoadedModels.Lease lease)
{
    private const string MeanTensor = "mean.z";

    /// <summary>The mean over the dataset, the same for every pair, [pairs, heads, position, d_head].</summary>
    public async Task<Tensor> MeanAsync(CancellationToken cancellationToken)
    {
        string artifact = SweepArtifacts.MeanZ(input.SweepId, input.Layer);
        if (!await store.ExistsAsync(artifact, cancellationToken))
        {
            // Chunks of one layer may come here at once: each works out the same, and the first to finish is taken.
            using MeanZ sum = lease.Use(model => new MeanZ(model.Config.Heads, plan.Pairs.Max(pair => pair.Length), model.Config.HeadWidth));
            for (int chunk = 0; chunk < plan.Chunks.Count; chunk++)
            {
                using Tensor z = await ReadZAsync(chunk, cancellationToken);
                lease.Use(_ =>
                {
                    sum.Add(z);
                    return sum;
                });
            }

            using Tensor mean = lease.Use(_ => sum.Mean());
            await store.WriteIfAbsentAsync(
                artifact,
                (to, _) =>
                {
                    SafetensorsWriter.Write(to, [(MeanTensor, mean)]);
                    return Task.CompletedTask;
                },
                cancellationToken);
        }

        Stream stream = await store.RequireReadAsync(artifact, cancellationToken);
        int pairs = plan.Chunks[input.Chunk].Pairs.Count, length = plan.PairsOf(input.Chunk)[0].Length;
        return lease.Use(model =>
        {
            using var mode = inference_mode();
            using var scope = NewDisposeScope();
            using SafetensorsFile file = SafetensorsFile.Open(stream, artifact);
            return file.Read(MeanTensor, model.Dtype, model.Device).narrow(1, 0, length).expand(pairs, -1, -1, -1).DetachFromDisposeScope();
        });
    }

    /// <summary>Each pair's z from its donor, [pairs, heads, position, d_head].</summary>
    public async Task<Tensor> ResampledAsync(CancellationToken cancellationToken)
    {
        int[] donors = [.. plan.Chunks[input.Chunk].Pairs.Select(place => plan.Donors![place])];
        var rows = new Tensor[donors.Length];
        try
        {
            foreach (var wanted in Enumerable.Range(0, donors.Length).GroupBy(row => ChunkOf(donors[row])))
            {
                using Tensor z = await ReadZAsync(wanted.Key, cancellationToken);
                IReadOnlyList<int> places = plan.Chunks[wanted.Key].Pairs;
                foreach (int row in wanted)
                {
                    int at = places.Index().First(place => place.Item == donors[row]).Index;
                    rows[row] = lease.Use(_ =>
                    {
                        using var scope = NewDisposeScope();
                        return z[at].clone().DetachFromDisposeScope();
                    });
                }
            }

            return lease.Use(_ =>
            {
                using var scope = NewDisposeScope();
                return stack(rows).DetachFromDisposeScope();
            });
        }
        finally
        {
            foreach (Tensor? row in rows)
            {
                row?.Dispose();
            }
        }
    }

    private int ChunkOf(int place) => plan.Chunks.Index().First(chunk => chunk.Item.Pairs.Contains(place)).Index;

    private Task<Tensor> ReadZAsync(int chunk, CancellationToken cancellationToken) => CachedTensors.ReadAsync(
        store,
        lease,
        SweepArtifacts.Activations(plan.Chunks[chunk].Activations, input.Layer),
        (stream, artifact, model) => CachedTensors.ReadZ(stream, artifact, run, model),
        cancellationToken);
}
