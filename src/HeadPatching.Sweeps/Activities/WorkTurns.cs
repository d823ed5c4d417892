namespace HeadPatching.Sweeps.Activities;

/// <summary>
/// Whose turn it is to make an artifact, of the activities of one process: sweeps that need the same at the same time, such as those of models with the same
/// weights, do not all make it. On other machines they may; what is made twice is the same.
/// </summary>
internal sealed class WorkTurns
{
    private const int Remembered = 10_000;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, TaskCompletionSource> _taken = [];
    private readonly HashSet<string> _given = [];                             // lately
    private readonly Queue<string> _oldestGiven = [];

    /// <summary>Takes the turn; dispose of it when the artifact is there, or will not be. Null where another has it.</summary>
    public Turn? TryTake(string name) => Take(name).Turn;

    /// <summary>Waits for the turn; dispose of it when the artifact is there, or will not be. Who waits holds no other.</summary>
    public async Task<Turn> TakeAsync(string name, CancellationToken cancellationToken)
    {
        while (true)
        {
            var (turn, others) = Take(name);
            if (turn is not null)
            {
                return turn;
            }

            await others.WaitAsync(cancellationToken);
        }
    }

    private (Turn? Turn, Task Others) Take(string name)
    {
        lock (_gate)
        {
            if (_taken.TryGetValue(name, out TaskCompletionSource? others))
            {
                return (null, others.Task);
            }

            _taken[name] = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return (new Turn(this, name, mayBeMade: _given.Contains(name)), Task.CompletedTask);
        }
    }

    private void Give(string name)
    {
        lock (_gate)
        {
            if (_taken.Remove(name, out TaskCompletionSource? turn))
            {
                turn.SetResult();
                if (_given.Add(name))
                {
                    _oldestGiven.Enqueue(name);
                }

                if (_oldestGiven.Count > Remembered)
                {
                    _given.Remove(_oldestGiven.Dequeue());
                }
            }
        }
    }

    /// <summary>A turn.</summary>
    internal sealed class Turn(WorkTurns turns, string name, bool mayBeMade) : IDisposable
    {
        /// <summary>Whether another had it before, and may have made the artifact since it was looked for: so that nobody else asks the store twice.</summary>
        public bool MayBeMade { get; } = mayBeMade;

        /// <inheritdoc/>
        public void Dispose() => turns.Give(name);
    }
}
