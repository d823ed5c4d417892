namespace HeadPatching.Core.Patching;

/// <summary>
/// Computations that go through the layers of a model together, so that each layer is done with before the next is asked for: one pass over the weights
/// for all of them, which is what makes streamed weights (<see cref="Models.StreamedWeights"/>) cost little.
/// </summary>
internal static class LayerPass
{
    /// <summary>Does all of them to their ends.</summary>
    /// <param name="computations">
    /// Each says which layer it goes through next, and goes through it when it is asked to move on. Layers must not fall. Of those at one layer the first goes first,
    /// so that a computation may use what those before it have made of the layer. Between two layers none may have a dispose scope of its own open: what is held from layer to layer is in the caller's.
    /// </param>
    public static void Run(IReadOnlyList<IEnumerable<int>> computations)
    {
        IEnumerator<int>[] all = [.. computations.Select(one => one.GetEnumerator())];
        try
        {
            List<IEnumerator<int>> left = [.. all.Where(one => one.MoveNext())];
            while (left.Count > 0)
            {
                int layer = left.Min(one => one.Current);
                left.RemoveAll(one => one.Current == layer && !one.MoveNext());
            }
        }
        finally
        {
            // Also where one failed: what the others hold is freed.
            Array.ForEach(all, one => one.Dispose());
        }
    }
}
