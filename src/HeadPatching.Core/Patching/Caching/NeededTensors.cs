using HeadPatching.Core.Models;
using HeadPatching.Core.Patching.Paths;

namespace HeadPatching.Core.Patching.Caching;

/// <summary>Which cached tensors a piece of a sweep looks at: all that has to be read for it.</summary>
public static class NeededTensors
{
    /// <summary>What patching the layers of a band needs.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="options">What is patched, where and which way.</param>
    /// <param name="first">The band's first layer.</param>
    /// <param name="last">Its last.</param>
    /// <param name="start">The first position that is cached of each run.</param>
    public static IReadOnlyList<CachedTensor> OfBand(ModelConfig config, PatchOptions options, int first, int last, int start)
    {
        var needed = new Needed(options.Direction, start);
        for (int layer = first; layer < config.Layers; layer++)
        {
            if (layer <= last)
            {
                needed.Base(layer, residPre: true, z: options.Patch != Patch.ResidPre);
                if (options.Ablation is null)
                {
                    needed.Source(
                        layer,
                        residPre: options.Patch is not (Patch.Z or Patch.AttnOut),
                        z: options.Patch is not (Patch.Pattern or Patch.V or Patch.Q or Patch.K or Patch.ResidPre));
                }
            }

            // Keys and values before the patched position: the prefix's, and what follows from the stream between the two.
            if (layer > first || options.Patch is Patch.Pattern or Patch.V or Patch.Q or Patch.K or Patch.ResidPre)
            {
                needed.Prefix(layer);
                needed.Base(layer, residPre: options.Positions != Positions.All, z: false);
            }
        }

        return needed.Tensors;
    }

    /// <summary>What patching the paths from the heads of a band needs.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="options">The receivers, where and which way.</param>
    /// <param name="first">The senders' first layer.</param>
    /// <param name="last">Their last.</param>
    /// <param name="start">The first position that is cached of each run.</param>
    public static IReadOnlyList<CachedTensor> OfPaths(ModelConfig config, PathOptions options, int first, int last, int start)
    {
        var needed = new Needed(options.Direction, start);
        bool toLogits = options.Receivers.Any(receiver => receiver.IsLogits);
        int[] receivers = [.. options.Receivers.Where(receiver => !receiver.IsLogits).Select(receiver => receiver.Layer)];
        for (int layer = first; layer < config.Layers && options.Reaches(first); layer++)
        {
            // Stage one goes through layers with their z as it was, from the senders to the last receiver.
            bool sends = layer <= last && options.Reaches(layer);
            needed.Source(layer, residPre: false, z: sends);
            bool passes = toLogits || layer < receivers.Max() || options.Receivers.Contains(Receiver.OfMlp(layer)); // an MLP reads after attention
            bool mlpOfBase = passes && options.FreezeMlps && config.NormPlace == NormPlace.AfterSum; // added to a stream that is another
            needed.Base(layer, residPre: sends || mlpOfBase || (toLogits && layer == config.Layers - 1), z: passes);

            // Stage two goes from the first receiver to the end.
            if (!toLogits && layer >= receivers.Min())
            {
                needed.Prefix(layer);
                needed.Base(layer, residPre: receivers.Contains(layer) || options.Positions != Positions.All, z: false);
            }
        }

        return needed.Tensors;
    }

    /// <summary>What estimating every layer needs.</summary>
    /// <param name="config">The model's shape.</param>
    /// <param name="options">What is patched, where and which way.</param>
    /// <param name="start">The first position that is cached of each run.</param>
    public static IReadOnlyList<CachedTensor> OfEstimate(ModelConfig config, PatchOptions options, int start)
    {
        var needed = new Needed(options.Direction, start);
        for (int layer = 0; layer < config.Layers; layer++)
        {
            bool ofZ = options.Patch == Patch.Z;
            needed.Base(layer, residPre: !ofZ, z: ofZ);
            needed.Source(layer, residPre: !ofZ, z: ofZ);
            if (!ofZ)
            {
                needed.Prefix(layer);
            }
        }

        return needed.Tensors;
    }

    /// <summary>What the direct attribution of the clean run needs: its resid_pre and z of every layer.</summary>
    /// <param name="config">The model's shape.</param>
    public static IReadOnlyList<CachedTensor> OfAttribution(ModelConfig config) =>
    [
        .. from layer in Enumerable.Range(0, config.Layers)
           from part in new[] { CachedPart.CleanResidPre, CachedPart.CleanZ }
           select new CachedTensor(layer, part),
    ];

    /// <summary>A set that keeps its order.</summary>
    private sealed class Needed(Direction direction, int start)
    {
        private readonly SortedSet<(int Layer, CachedPart Part)> _set = [];

        public IReadOnlyList<CachedTensor> Tensors => [.. _set.Select(one => new CachedTensor(one.Layer, one.Part))];

        public void Base(int layer, bool residPre, bool z) => Add(layer, clean: direction == Direction.Noise, residPre, z);

        public void Source(int layer, bool residPre, bool z) => Add(layer, clean: direction == Direction.Denoise, residPre, z);

        public void Prefix(int layer)
        {
            if (start > 0)
            {
                _set.Add((layer, CachedPart.PrefixK));
                _set.Add((layer, CachedPart.PrefixV));
            }
        }

        private void Add(int layer, bool clean, bool residPre, bool z)
        {
            if (residPre)
            {
                _set.Add((layer, clean ? CachedPart.CleanResidPre : CachedPart.CorruptedResidPre));
            }

            if (z)
            {
                _set.Add((layer, clean ? CachedPart.CleanZ : CachedPart.CorruptedZ));
            }
        }
    }
}
