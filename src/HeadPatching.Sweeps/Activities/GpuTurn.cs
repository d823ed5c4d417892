using HeadPatching.Sweeps.Models;
using TorchSharp;

namespace HeadPatching.Sweeps.Activities;

/// <summary>A batch is sized for the whole GPU, so the activities of one process that fill it take turns; on a CPU they share the cores.</summary>
internal sealed class GpuTurn : IDisposable
{
    private static readonly SemaphoreSlim Turn = new(1);

    private bool _taken;

    /// <summary>Waits for the turn, where the model computes on a GPU; dispose of it to give it on.</summary>
    public static async Task<GpuTurn> TakeAsync(ModelSource source, CancellationToken cancellationToken)
    {
        var turn = new GpuTurn();
        if (torch.device(source.Device).type == DeviceType.CUDA)
        {
            await Turn.WaitAsync(cancellationToken);
            turn._taken = true;
        }

        return turn;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_taken)
        {
            _taken = false;
            Turn.Release();
        }
    }
}
