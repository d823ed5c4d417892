using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Ablations;

/// <summary>
/// Means of a layer's z over prompts that come in chunks, from sums in float64 that do not grow with their number. A prompt is left out of
/// its own mean: what is put in place of its z would otherwise hold a part of it.
/// </summary>
public sealed class MeanZ : IDisposable
{
    private readonly MeanPlaces _places;

    /// <summary>Starts with no prompt.</summary>
    public MeanZ(MeanPlaces places, int heads, int headWidth)
    {
        _places = places;
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        Sums = zeros(heads, places.Count, headWidth, dtype: ScalarType.Float64).DetachFromDisposeScope();
    }

    /// <summary>Goes on from sums that were kept.</summary>
    /// <param name="places">The places that the sums were made with.</param>
    /// <param name="sums">As <see cref="Sums"/>; owned from now on.</param>
    /// <exception cref="ArgumentException">There are not as many sums as places.</exception>
    public MeanZ(MeanPlaces places, Tensor sums)
    {
        _places = places;
        Sums = sums.shape[1] == places.Count
            ? sums.DetachFromDisposeScope()
            : throw new ArgumentException($"{sums.shape[1]} sums, not {places.Count}.", nameof(sums));
    }

    /// <summary>The sums over the prompts so far, [heads, place, d_head] float64 on the CPU.</summary>
    public Tensor Sums { get; }

    /// <summary>Adds prompts of one length.</summary>
    /// <param name="members">Some of the members that the places were worked out for; each once.</param>
    /// <param name="z">Their z, [prompts, heads, position, d_head].</param>
    public void Add(IReadOnlyList<AblationPrompt> members, Tensor z)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        int length = members[0].Length;
        (int From, int Sum)[] parts =
            [.. members.SelectMany((member, i) => _places.Into(member).Select(into => ((i * length) + into.Position, into.Sum)))];
        if (parts.Length > 0)
        {
            Tensor rows = z.to(ScalarType.Float64).cpu().transpose(0, 1).flatten(1, 2); // [heads, prompts * position, d_head]
            Sums.index_add_(
                1, tensor([.. parts.Select(part => (long)part.Sum)]), rows.index_select(1, tensor([.. parts.Select(part => (long)part.From)])), Native.Sums.One);
        }
    }

    /// <summary>The means for prompts of one length, each without the prompt itself.</summary>
    /// <param name="targets">Prompts that the places were worked out for; each position of theirs has others.</param>
    /// <param name="own">Their own z, [prompts, heads, position, d_head].</param>
    /// <returns>Of the shape, type and device of <paramref name="own"/>.</returns>
    public Tensor For(IReadOnlyList<AblationPrompt> targets, Tensor own)
    {
        using var mode = inference_mode();
        using var scope = NewDisposeScope();
        int length = targets[0].Length;
        MeanPlace[] means = [.. targets.SelectMany(_places.Of)];
        Tensor sums = Sums.index_select(1, tensor([.. means.Select(mean => (long)mean.Sum)])).unflatten(1, [targets.Count, length]).transpose(0, 1); // [prompts, heads, position, d_head]
        Tensor same = tensor([.. targets.Select(target => (double)_places.Same(target))]).reshape(-1, 1, 1, 1);
        Tensor others = tensor([.. means.Select(mean => (double)mean.Others)]).reshape(targets.Count, 1, length, 1);
        Tensor mean = (sums - (same * own.to(ScalarType.Float64).cpu())) / others;
        return mean.to(own.dtype).to(own.device).DetachFromDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose() => Sums.Dispose();
}
