namespace HeadPatching.Core.Prompts.Datasets.Ioi;

/// <summary>
/// The names, places and objects that indirect-object sentences are filled with. Each is one token of GPT-2's vocabulary and of the demo
/// model's, which is made from these lists: a word that is changed here needs the demo model trained again.
/// </summary>
public static class IoiWords
{
    /// <summary>First names. The first ten are those of <c>ioi</c>.</summary>
    public static IReadOnlyList<string> Names { get; } =
    [
        "Mary", "John", "Alice", "Bob", "Emma", "James", "Sarah", "Michael", "Lisa", "David",
        "Anna", "Tom", "Laura", "Peter", "Kate", "Paul", "Rachel", "Mark", "Julia", "Daniel",
        "Sophie", "Adam", "Maria", "Simon", "Helen", "George", "Claire", "Oliver", "Nina", "Thomas",
        "Ruth", "Henry", "Eva", "Robert", "Grace", "Jack", "Susan", "Martin", "Diana", "Alex",
        "Karen", "Kevin", "Linda", "Brian", "Nancy", "Frank", "Amy", "Steven", "Rebecca", "Eric",
        "Hannah", "Andrew", "Julie", "Chris", "Olivia", "Matthew", "Emily", "Scott", "Jennifer", "William",
    ];

    /// <summary>Places, each fit for "the ...".</summary>
    public static IReadOnlyList<string> Places { get; } =
    [
        "store", "park", "restaurant", "library", "office", "school", "garden", "market", "station", "beach",
        "museum", "hospital", "house", "church", "airport", "theater", "farm", "river", "bank", "gym",
    ];

    /// <summary>Things to give, each fit for "a ...".</summary>
    public static IReadOnlyList<string> Objects { get; } =
    [
        "drink", "ball", "menu", "book", "report", "ring", "letter", "key", "flower", "present",
        "coat", "ticket", "cup", "map", "camera", "picture", "phone", "snack", "bag", "pen",
    ];
}
