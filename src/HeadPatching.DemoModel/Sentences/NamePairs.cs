using HeadPatching.Core.Prompts.Datasets.Ioi;

namespace HeadPatching.DemoModel.Sentences;

/// <summary>
/// All ordered pairs of two names, split into those that training sees and those it never does. The split is a fixed rule, not a draw,
/// so that the accuracy of a trained model can be measured later on exactly the pairs it has not seen.
/// </summary>
public static class NamePairs
{
    /// <summary>The five pairs of the built-in datasets. Neither order of them is ever trained on.</summary>
    public static IReadOnlyList<NamePair> BuiltIn { get; } =
        [new("Mary", "John"), new("Alice", "Bob"), new("Emma", "James"), new("Sarah", "Michael"), new("Lisa", "David")];

    /// <summary>The pairs that training may use: about nine in ten.</summary>
    public static IReadOnlyList<NamePair> Training { get; } = [.. All().Where(pair => !IsHeldOut(pair))];

    /// <summary>The pairs that training never uses. When (Mary, John) is among them, so is (John, Mary).</summary>
    public static IReadOnlyList<NamePair> HeldOut { get; } = [.. All().Where(IsHeldOut)];

    private static IEnumerable<NamePair> All() =>
        from indirectObject in IoiWords.Names
        from subject in IoiWords.Names
        where indirectObject != subject
        select new NamePair(indirectObject, subject);

    /// <summary>Every name is held out with about six others: those whose place in the list plus its own is a multiple of ten.</summary>
    private static bool IsHeldOut(NamePair pair)
    {
        var names = IoiWords.Names.ToList();
        var sum = names.IndexOf(pair.IndirectObject) + names.IndexOf(pair.Subject);
        return sum % 10 == 0 || BuiltIn.Contains(pair) || BuiltIn.Contains(new NamePair(pair.Subject, pair.IndirectObject));
    }
}
