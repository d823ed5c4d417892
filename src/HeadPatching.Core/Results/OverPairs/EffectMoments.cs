namespace HeadPatching.Core.Results.OverPairs;

/// <summary>
/// The mean and the central moments up to the third of points (x, y), taken in one by one: enough for the effect, its standard error and its
/// interval, however many there are (Pébay 2008, "Formulas for robust, one-pass parallel computation of covariances and arbitrary-order statistical
/// moments", Sandia report SAND2008-6212). Central, so that nothing cancels: points that are all the same have moments of exactly 0.
/// </summary>
internal struct EffectMoments
{
    private double _x, _y;                                                    // means
    private double _xx, _xy, _yy, _xxx, _xxy, _xyy, _yyy;                     // sums of products of differences from them

    /// <summary>How many points there are.</summary>
    public int Count { get; private set; }

    /// <summary>The mean of x; 0 where there is no point.</summary>
    public readonly double MeanX => _x;

    /// <summary>The mean of y; 0 where there is no point.</summary>
    public readonly double MeanY => _y;

    /// <summary>The sum of the squares of y less its mean.</summary>
    public readonly double SquaresY => _yy;

    /// <summary>The slope of the least-squares line of x over y; 0 where y does not vary.</summary>
    public readonly double Slope => _yy > 0 ? _xy / _yy : 0;

    /// <summary>Takes in a point.</summary>
    public void Add(double x, double y)
    {
        double n = ++Count, dx = x - _x, dy = y - _y, second = (n - 1) / n, third = second * (n - 2) / n;
        _xxx += (dx * dx * dx * third) - (((2 * dx * _xx) + (dx * _xx)) / n);
        _xxy += (dx * dx * dy * third) - (((2 * dx * _xy) + (dy * _xx)) / n);
        _xyy += (dx * dy * dy * third) - (((2 * dy * _xy) + (dx * _yy)) / n);
        _yyy += (dy * dy * dy * third) - (((2 * dy * _yy) + (dy * _yy)) / n);
        _xx += dx * dx * second;
        _xy += dx * dy * second;
        _yy += dy * dy * second;
        _x += dx / n;
        _y += dy / n;
    }

    /// <summary>The sums over points of the square and of the cube of x - slope * y, less its mean.</summary>
    public readonly (double Squares, double Cubes) OfResiduals(double slope) => (
        Math.Max(0, _xx - (2 * slope * _xy) + (slope * slope * _yy)),
        _xxx - (3 * slope * _xxy) + (3 * slope * slope * _xyy) - (slope * slope * slope * _yyy));
}
