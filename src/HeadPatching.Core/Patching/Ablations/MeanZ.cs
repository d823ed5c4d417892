using static TorchSharp.torch;

namespace HeadPatching.Core.Patching.Ablations;

/// <summary>
/// The sums that means of a layer's z over prompts are taken from (<see cref="ChunkAblation.Mean"/>), in float64; the prompts come in chunks, and the
/// sums do not grow with their number.
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

    /// <inheritdoc/>
    public void Dispose() => Sums.Dispose();
}
