namespace HeadPatching.Core.Faults;

/// <summary>One thing that is wrong with what the user gave, said so that it can be mended.</summary>
/// <param name="Kind">A stable slug of the kind of fault, one of <see cref="FaultKinds"/>; programs may rely on it.</param>
/// <param name="Where">Where it is: a JSON path (<c>pairs[3].clean</c>), an option (<c>--patch</c>), a file and line (<c>pairs.jsonl:4</c>).</param>
/// <param name="Message">What is wrong and what to do, one sentence or two, no line break.</param>
public sealed record Fault(string Kind, string Where, string Message)
{
    /// <summary>The fault as the command line prints it: <c>where: message</c>.</summary>
    public override string ToString() => Where.Length == 0 ? Message : $"{Where}: {Message}";
}
