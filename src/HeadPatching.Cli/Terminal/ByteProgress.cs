using Spectre.Console;

namespace HeadPatching.Cli.Terminal;

/// <summary>How far files have come: a bar with speed and time left on a terminal, a line a file where standard error is redirected.</summary>
internal sealed class ByteProgress
{
    private readonly ProgressContext? _display;
    private ProgressTask? _bar;

    private ByteProgress(ProgressContext? display)
    {
        _display = display;
    }

    /// <summary>Runs something and shows how far it is.</summary>
    public static async Task<T> RunAsync<T>(Func<ByteProgress, Task<T>> run)
    {
        if (!Notes.AreOnTerminal)
        {
            return await run(new ByteProgress(display: null));
        }

        ProgressColumn[] columns =
            [new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new DownloadedColumn(), new TransferSpeedColumn(), new RemainingTimeColumn()];
        return await Notes.Console.Progress().Columns(columns).StartAsync(display => run(new ByteProgress(display)));
    }

    /// <summary>Begins with the next file.</summary>
    /// <param name="what">Its name, or what is done.</param>
    /// <param name="bytes">Its length.</param>
    public void Begin(string what, long bytes)
    {
        if (_display is null)
        {
            Notes.Say($"{what}: {bytes} bytes");
        }
        else
        {
            _bar = _display.AddTask(Markup.Escape(what), maxValue: Math.Max(bytes, 1));
        }
    }

    /// <summary>So many bytes of it are there.</summary>
    public void Reach(long bytes)
    {
        if (_bar is not null)
        {
            _bar.Value = bytes;
        }
    }
}
