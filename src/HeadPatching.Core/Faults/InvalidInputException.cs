namespace HeadPatching.Core.Faults;

/// <summary>
/// What the user gave cannot be swept. Carries every fault that was found, so that all can be mended at once. Never worth a retry:
/// the same input fails the same way.
/// </summary>
public sealed class InvalidInputException : Exception
{
    /// <summary>Makes the exception of all faults found.</summary>
    /// <param name="faults">At least one.</param>
    /// <exception cref="ArgumentException"><paramref name="faults"/> is empty.</exception>
    public InvalidInputException(IReadOnlyList<Fault> faults)
        : base(string.Join(Environment.NewLine, faults))
    {
        if (faults.Count == 0)
        {
            throw new ArgumentException("At least one fault is needed.", nameof(faults));
        }

        Faults = faults;
    }

    /// <summary>Makes the exception of one fault.</summary>
    public InvalidInputException(string kind, string where, string message)
        : this([new Fault(kind, where, message)])
    {
    }

    /// <summary>The faults, in the order of the input.</summary>
    public IReadOnlyList<Fault> Faults { get; }
}
