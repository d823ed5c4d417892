using System.Globalization;
using HeadPatching.Sweeps.Models;

namespace HeadPatching.Cli.Terminal;

/// <summary>Says how much of a model has come from the store: moving on a terminal, a line for each tenth where standard error is redirected.</summary>
internal sealed class ModelDownloads : IProgress<ModelDownload>
{
    private (string Model, long Tenths)? _said;

    /// <inheritdoc/>
    public void Report(ModelDownload value)
    {
        var reached = (value.Model, 10 * value.Reached / value.Bytes);
        if (Notes.AreOnTerminal || reached != _said)
        {
            _said = reached;
            Notes.Reached(string.Create(
                CultureInfo.InvariantCulture, $"{value.Model} from the store: {100 * value.Reached / value.Bytes} % of {value.Bytes / 1048576.0:N1} MiB"));
        }
    }
}
