using Spectre.Console;
using Spectre.Console.Rendering;

namespace HeadPatching.Cli.Terminal;

/// <summary>
/// What is said beside the results: how far something is, what was left out, how to go on. It goes to standard error, so that standard output
/// has the results alone, and with <c>--quiet</c> nowhere. Faults are no notes.
/// </summary>
internal static class Notes
{
    private const string ShowCursor = "\u001b[?25h";

    private static bool _quiet;
    private static StatusContext? _while;

    /// <summary>Whether they are shown on a terminal, where bars can move.</summary>
    public static bool AreOnTerminal => !_quiet && Console.Profile.Out.IsTerminal;

    /// <summary>Where bars are drawn.</summary>
    public static IAnsiConsole Console { get; private set; } = AnsiConsole.Console;

    /// <summary>Sets where they go.</summary>
    public static void GoTo(IAnsiConsole console) => Console = console;

    /// <summary>Says nothing from here on, or speaks again.</summary>
    public static void BeQuiet(bool quiet) => _quiet = quiet;

    /// <summary>Says something, above a bar where there is one.</summary>
    public static void Say(string line)
    {
        if (AreOnTerminal)
        {
            Console.Write(new Line(line));
        }
        else if (!_quiet)
        {
            System.Console.Error.WriteLine(line); // whole, whatever its length
        }
    }

    /// <summary>Leaves the terminal as it was found, where the process is about to end under a bar, which has the cursor hidden.</summary>
    public static void LeaveTerminal()
    {
        if (AreOnTerminal && Console.Profile.Capabilities.Ansi)
        {
            Console.Profile.Out.Writer.Write(ShowCursor + Environment.NewLine);
        }
    }

    /// <summary>Says on a terminal what is done while it is done, where that may take long.</summary>
    public static Task<T> WhileAsync<T>(string what, Func<Task<T>> work) =>
        AreOnTerminal ? Console.Status().StartAsync(what, async status =>
        {
            _while = status;
            try
            {
                return await work();
            }
            finally
            {
                _while = null;
            }
        }) : work();

    /// <summary>Says how far that is: in its place on a terminal, otherwise in a line.</summary>
    public static void Reached(string what)
    {
        _while?.Status(Markup.Escape(what));
        if (!AreOnTerminal)
        {
            Say(what);
        }
    }

    /// <summary>A line that takes the place of a bar, which comes again below it; what was longer of the bar goes.</summary>
    private sealed class Line(string text) : Renderable
    {
        private const string EraseBelow = "\u001b[J";

        protected override IEnumerable<Segment> Render(RenderOptions options, int maxWidth) =>
            [.. options.Ansi ? [Segment.Control(EraseBelow)] : Array.Empty<Segment>(), .. ((IRenderable)new Text(text)).Render(options, maxWidth), Segment.LineBreak];
    }
}
