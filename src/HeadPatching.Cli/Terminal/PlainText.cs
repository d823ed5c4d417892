using System.Text;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace HeadPatching.Cli.Terminal;

/// <summary>
/// Whatever is written for people goes through here: standard output, standard error, the log of <c>serve</c>, tables. Names and keys come from
/// files that others made, and one with an escape sequence in it could clear the screen, recolour it or write over what was said. Such
/// characters show as a question mark. The program's own colours and bars pass, for they are put in behind this.
/// </summary>
internal static class PlainText
{
    private const char Replacement = '?';

    /// <summary>Sees to it, for the whole process. Called once at the start, before anything is written.</summary>
    public static void Guard()
    {
        AnsiConsole.Console = Cleaned(Console.Out);

        // Asked by itself, the library would not move a bar on standard error where standard output goes into a pipe or file.
        bool moves = !Console.IsErrorRedirected && Environment.GetEnvironmentVariable("TERM") is not (null or "" or "dumb");
        Notes.GoTo(Cleaned(Console.Error, moves));
        Console.SetOut(new CleaningWriter(Console.Out));
        Console.SetError(new CleaningWriter(Console.Error));
    }

    /// <summary>The text without characters that a terminal acts on, but for line ends and tabs.</summary>
    public static string Of(string text) => IsPlain(text) ? text : Cleaned(text);

    private static IAnsiConsole Cleaned(TextWriter stream, bool moves = false)
    {
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new DirectOutput(new AnsiConsoleOutput(stream)),
            Ansi = moves ? AnsiSupport.Yes : AnsiSupport.Detect,
            Interactive = moves ? InteractionSupport.Yes : InteractionSupport.Detect,
        });
        console.Pipeline.Attach(new CleaningHook());
        return console;
    }

    private static bool IsPlain(ReadOnlySpan<char> text)
    {
        foreach (char c in text)
        {
            if (IsActedOn(c))
            {
                return false;
            }
        }

        return true;
    }

    private static string Cleaned(ReadOnlySpan<char> text)
    {
        var clean = new StringBuilder(text.Length);
        for (int i = 0; i < text.Length; i++)
        {
            bool endsLine = text[i] == '\r' && i + 1 < text.Length && text[i + 1] == '\n';
            clean.Append(IsActedOn(text[i]) && !endsLine ? Replacement : text[i]);
        }

        return clean.ToString();
    }

    /// <summary>Control characters, a lone carriage return among them, and those that turn the direction of what follows.</summary>
    private static bool IsActedOn(char c) => (char.IsControl(c) && c is not ('\n' or '\t')) || c is (>= '\u202A' and <= '\u202E') or (>= '\u2066' and <= '\u2069');

    private sealed class CleaningWriter(TextWriter behind) : TextWriter
    {
        public override Encoding Encoding => behind.Encoding;

        public override void Write(char value) => behind.Write(IsActedOn(value) ? Replacement : value);

        public override void Write(string? value) => behind.Write(value is null ? null : Of(value));

        public override void Write(char[] buffer, int index, int count) => Write(buffer.AsSpan(index, count));

        public override void Write(ReadOnlySpan<char> buffer) => behind.Write(IsPlain(buffer) ? buffer : Cleaned(buffer));

        public override void Flush() => behind.Flush();
    }

    /// <summary>Standard output or error as it was, which a terminal's bars and colours are written to. What it is must be asked before it is replaced.</summary>
    private sealed class DirectOutput(IAnsiConsoleOutput behind) : IAnsiConsoleOutput
    {
        public TextWriter Writer { get; } = behind.Writer;

        public bool IsTerminal { get; } = behind.IsTerminal;

        public int Width => behind.Width;

        public int Height => behind.Height;

        public void SetEncoding(Encoding encoding) => behind.SetEncoding(encoding);
    }

    private sealed class CleaningHook : IRenderHook
    {
        public IEnumerable<IRenderable> Process(RenderOptions options, IEnumerable<IRenderable> renderables) => renderables.Select(renderable => new Clean(renderable));
    }

    private sealed class Clean(IRenderable behind) : IRenderable
    {
        public Measurement Measure(RenderOptions options, int maxWidth) => behind.Measure(options, maxWidth);

        public IEnumerable<Segment> Render(RenderOptions options, int maxWidth) => behind.Render(options, maxWidth)
            .Select(segment => segment.IsControlCode || segment.IsLineBreak || IsPlain(segment.Text) ? segment : new Segment(Of(segment.Text), segment.Style));
    }
}
