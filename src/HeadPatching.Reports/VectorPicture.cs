using System.Text;
using SkiaSharp;

namespace HeadPatching.Reports;

/// <summary>Where a text stands beside its point.</summary>
internal enum TextAnchor
{
    Start,
    Middle,
    End,
}

/// <summary>
/// A picture as SVG: shapes and text, no bitmap in it, the same bytes at each call. What is drawn with is in few words, so that pictures of one house look
/// alike.
/// </summary>
internal sealed class VectorPicture
{
    /// <summary>Colours of text, of lesser text, and of lines that lie under what is shown.</summary>
    public static readonly SKColor Ink = SKColor.Parse("#1f2933"), Faint = SKColor.Parse("#616e7c"), Line = SKColor.Parse("#e4e7eb");

    private readonly SKCanvas _canvas;

    private VectorPicture(SKCanvas canvas) => _canvas = canvas;

    /// <summary>Writes a picture.</summary>
    /// <param name="width">Its width, in the units of the SVG.</param>
    /// <param name="height">Its height.</param>
    /// <param name="draw">Draws it, on white.</param>
    /// <param name="to">The file.</param>
    public static void Write(float width, float height, Action<VectorPicture> draw, Stream to) => WriteCanvas(
        width,
        height,
        canvas =>
        {
            var picture = new VectorPicture(canvas);
            picture.Box(new SKRect(0, 0, width, height), SKColors.White);
            draw(picture);
        },
        to);

    /// <summary>The same, drawn on a bare canvas.</summary>
    public static void WriteCanvas(float width, float height, Action<SKCanvas> draw, Stream to)
    {
        using var svg = new MemoryStream();
        // The canvas ends the document when it is disposed of.
        using (var canvas = SKSvgCanvas.Create(new SKRect(0, 0, width, height), svg))
        {
            draw(canvas);
        }

        // Readers without the font take one of about its width.
        var xml = Encoding.UTF8.GetString(svg.GetBuffer(), 0, (int)svg.Length).Replace(
            $"font-family=\"{EmbeddedFont.Family}\"",
            $"font-family=\"{EmbeddedFont.Family}, Noto Sans, Helvetica, Arial, sans-serif\"",
            StringComparison.Ordinal);
        using var writer = new StreamWriter(to, leaveOpen: true);
        writer.Write(xml);
    }

    /// <summary>A text that can be drawn: a file's name may hold characters that XML forbids and the font lacks.</summary>
    public static string Drawable(string text, int longest)
    {
        var drawable = string.Concat(text.Select(character => EmbeddedFont.Typeface.ContainsGlyph(character) && !char.IsControl(character) ? character : '?'));
        return drawable.Length <= longest
            ? drawable
            : $"{drawable[..(longest / 2)]}…{drawable[^(longest / 2)..]}";
    }

    /// <summary>How wide a text is.</summary>
    public static float WidthOf(string text, float size)
    {
        using var font = new SKFont(EmbeddedFont.Typeface, size);
        return font.MeasureText(text);
    }

    /// <summary>A text on its baseline.</summary>
    public void Text(string text, float x, float baseline, float size, SKColor colour, TextAnchor anchor = TextAnchor.Start)
    {
        using var font = new SKFont(EmbeddedFont.Typeface, size);
        using SKPaint paint = Paint(colour, SKPaintStyle.Fill);
        float left = anchor switch { TextAnchor.Start => x, TextAnchor.Middle => x - (font.MeasureText(text) / 2), _ => x - font.MeasureText(text) };
        _canvas.DrawText(text, left, baseline, font, paint);
    }

    /// <summary>A text written upwards, its middle at a point.</summary>
    public void TextUpwards(string text, float x, float y, float size, SKColor colour)
    {
        _canvas.Save();
        _canvas.Translate(x, y);
        _canvas.RotateDegrees(-90);
        Text(text, 0, 0, size, colour, TextAnchor.Middle);
        _canvas.Restore();
    }

    /// <summary>A filled rectangle, its corners round or not.</summary>
    public void Box(SKRect place, SKColor fill, float radius = 0)
    {
        using SKPaint paint = Paint(fill, SKPaintStyle.Fill);
        Draw(place, radius, paint);
    }

    /// <summary>A rectangle's border, inside of it.</summary>
    public void Border(SKRect place, SKColor colour, float width, float radius = 0)
    {
        using SKPaint paint = Paint(colour, SKPaintStyle.Stroke, width);
        place.Inflate(-width / 2, -width / 2);
        Draw(place, radius, paint);
    }

    /// <summary>A line through points.</summary>
    /// <param name="points">The points.</param>
    /// <param name="colour">Its colour.</param>
    /// <param name="width">Its width.</param>
    /// <param name="dash">How long dashes and the gaps between them are; 0: none.</param>
    public void Through(IReadOnlyList<SKPoint> points, SKColor colour, float width = 1, float dash = 0)
    {
        using SKPaint paint = Paint(colour, SKPaintStyle.Stroke, width);
        using SKPathEffect? dashes = dash > 0 ? SKPathEffect.CreateDash([dash, dash], 0) : null;
        paint.PathEffect = dashes;
        paint.StrokeJoin = SKStrokeJoin.Round;
        using SKPath path = PathOf(points);
        _canvas.DrawPath(path, paint);
    }

    /// <summary>A filled polygon.</summary>
    public void Area(IReadOnlyList<SKPoint> points, SKColor fill)
    {
        using SKPaint paint = Paint(fill, SKPaintStyle.Fill);
        using SKPath path = PathOf(points);
        path.Close();
        _canvas.DrawPath(path, paint);
    }

    /// <summary>A filled circle.</summary>
    public void Dot(SKPoint at, float radius, SKColor fill)
    {
        using SKPaint paint = Paint(fill, SKPaintStyle.Fill);
        _canvas.DrawCircle(at, radius, paint);
    }

    private static SKPath PathOf(IReadOnlyList<SKPoint> points)
    {
        var path = new SKPath();
        path.MoveTo(points[0]);
        foreach (SKPoint point in points.Skip(1))
        {
            path.LineTo(point);
        }

        return path;
    }

    private static SKPaint Paint(SKColor colour, SKPaintStyle style, float width = 0) => new() { Color = colour, Style = style, StrokeWidth = width, IsAntialias = true };

    private void Draw(SKRect place, float radius, SKPaint paint)
    {
        if (radius > 0)
        {
            using SKPath path = Rounded(place, radius);
            _canvas.DrawPath(path, paint);
        }
        else
        {
            _canvas.DrawRect(place, paint);
        }
    }

    // Skia's own round rectangle becomes a path of 200 pieces in an SVG; a corner is a quarter of a circle to within a thousandth of its radius.
    private static SKPath Rounded(SKRect place, float radius)
    {
        const float reach = 0.5523f;
        float pull = radius * (1 - reach);
        var (left, top, right, bottom) = (place.Left, place.Top, place.Right, place.Bottom);
        var path = new SKPath();
        path.MoveTo(left + radius, top);
        path.LineTo(right - radius, top);
        path.CubicTo(right - pull, top, right, top + pull, right, top + radius);
        path.LineTo(right, bottom - radius);
        path.CubicTo(right, bottom - pull, right - pull, bottom, right - radius, bottom);
        path.LineTo(left + radius, bottom);
        path.CubicTo(left + pull, bottom, left, bottom - pull, left, bottom - radius);
        path.LineTo(left, top + radius);
        path.CubicTo(left, top + pull, left + pull, top, left + radius, top);
        path.Close();
        return path;
    }
}
