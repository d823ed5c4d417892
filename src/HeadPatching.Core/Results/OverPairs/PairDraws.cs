using System.Numerics;
using System.Runtime.InteropServices;

namespace HeadPatching.Core.Results.OverPairs;

/// <summary>
/// Draws the pairs again, as many of them as there are and some several times (the bootstrap: Efron and Tibshirani 1993), and says how far that moves every
/// cell. The same draws for all cells, so that it shows how they hang together.
/// </summary>
internal sealed class PairDraws
{
    /// <summary>How often pairs are drawn again where nothing else is said.</summary>
    public const int Usual = 2000;

    /// <summary>Draws that are made at once: their weights are in memory together.</summary>
    private const int DrawsAtOnce = 256;

    private readonly IReadOnlyList<int> _rows;
    private readonly int _cells;
    private readonly int _width;                                              // of a row, a whole number of vectors
    private readonly double[] _standardised;                                  // [row, cell]

    /// <summary>From what each pair (or group of pairs) adds.</summary>
    /// <param name="samples">
    /// What each adds to the cells' numbers beside the others, [row, cell], the sum of each column 0. Of two samples first the rows of the one and then
    /// those of the other, each drawn again among its own.
    /// </param>
    /// <param name="rows">How many rows each sample has.</param>
    /// <param name="cells">How many columns there are.</param>
    public PairDraws(double[] samples, IReadOnlyList<int> rows, int cells)
    {
        _rows = rows;
        _cells = cells;
        _width = (cells + Vector<double>.Count - 1) / Vector<double>.Count * Vector<double>.Count;
        Deviations = new double[cells];
        int count = rows.Sum();
        for (int row = 0; row < count; row++)
        {
            for (int cell = 0; cell < cells; cell++)
            {
                Deviations[cell] += samples[(row * cells) + cell] * samples[(row * cells) + cell];
            }
        }

        for (int cell = 0; cell < cells; cell++)
        {
            Deviations[cell] = Math.Sqrt(Deviations[cell]);
        }

        _standardised = new double[count * _width];
        for (int row = 0; row < count; row++)
        {
            for (int cell = 0; cell < cells; cell++)
            {
                _standardised[(row * _width) + cell] = Deviations[cell] > 0 ? samples[(row * cells) + cell] / Deviations[cell] : 0;
            }
        }
    }

    /// <summary>Is told of a draw.</summary>
    /// <param name="draw">Which one.</param>
    /// <param name="moved">
    /// How far it moved each cell, as a multiple of the cell's <see cref="Deviations"/>: cells that vary much and little count alike. One that does not vary is
    /// moved by 0.
    /// </param>
    public delegate void Look(int draw, ReadOnlySpan<double> moved);

    /// <summary>By cell the standard deviation of how far draws move it.</summary>
    public double[] Deviations { get; }

    /// <summary>How many cells vary at all.</summary>
    public int Varying => Deviations.Count(deviation => deviation > 0);

    /// <summary>The fewest rows of a sample.</summary>
    public int Least => _rows.Min();

    /// <summary>Draws.</summary>
    /// <param name="draws">How often.</param>
    /// <param name="seed">Of the draws; the same seed, the same draws.</param>
    /// <param name="look">Told of each, of several at once.</param>
    /// <param name="cancellationToken">Looked at between draws.</param>
    public void Each(int draws, int seed, Look look, CancellationToken cancellationToken)
    {
        var random = new Random(seed);
        int count = _rows.Sum();
        var weights = new int[DrawsAtOnce * count];                           // [draw, row]: how often a row was drawn
        for (int start = 0; start < draws; start += DrawsAtOnce)
        {
            int now = Math.Min(DrawsAtOnce, draws - start);
            Draw(random, weights.AsSpan(0, now * count));
            int first = start;
            Parallel.For(0, now, new ParallelOptions { CancellationToken = cancellationToken }, draw =>
                look(first + draw, Moved(weights.AsSpan(draw * count, count))));
        }
    }

    private void Draw(Random random, Span<int> weights)
    {
        weights.Clear();
        for (int start = 0; start < weights.Length;)
        {
            foreach (int count in _rows)
            {
                for (int drawn = 0; drawn < count; drawn++)
                {
                    weights[start + random.Next(count)]++;
                }

                start += count;
            }
        }
    }

    private ReadOnlySpan<double> Moved(ReadOnlySpan<int> weights)
    {
        var sums = new Vector<double>[_width / Vector<double>.Count];
        ReadOnlySpan<Vector<double>> all = MemoryMarshal.Cast<double, Vector<double>>(_standardised);
        for (int row = 0; row < weights.Length; row++)
        {
            if (weights[row] == 0)
            {
                continue;
            }

            var weight = new Vector<double>(weights[row]);
            ReadOnlySpan<Vector<double>> of = all.Slice(row * sums.Length, sums.Length);
            for (int cell = 0; cell < sums.Length; cell++)
            {
                sums[cell] += weight * of[cell];
            }
        }

        return MemoryMarshal.Cast<Vector<double>, double>(sums)[.._cells];
    }
}
