using HeadPatching.Core.Faults;

namespace HeadPatching.Http.Answers;

/// <summary>One thing that is wrong with a request.</summary>
/// <param name="Path">Its JSON path, such as <c>pairs[3].clean</c>; <c>$</c> is the body as a whole.</param>
/// <param name="Kind">A stable slug of the kind of fault, such as <c>unknown-property</c>.</param>
/// <param name="Message">What is wrong and what to do.</param>
public sealed record FaultAnswer(string Path, string Kind, string Message)
{
    /// <summary>A fault as an answer has it.</summary>
    public static FaultAnswer Of(Fault fault) => new(fault.Where, fault.Kind, fault.Message);
}
