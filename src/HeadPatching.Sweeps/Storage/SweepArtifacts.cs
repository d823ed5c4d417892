using System.Globalization;

namespace HeadPatching.Sweeps.Storage;

/// <summary>The names of a sweep's artifacts: everything that an activity writes has a name that follows from its input.</summary>
public static class SweepArtifacts
{
    private const string ActivationsFolder = "activations", RunsFolder = "runs", SumsFolder = "sums", AttributionsFolder = "attributions", PatternsFolder = "patterns", DrawnFolder = "drawn";

    /// <summary>The folder of all sweeps.</summary>
    public const string Sweeps = "sweeps";

    /// <summary>The folder of the marks of sweeps that are being deleted.</summary>
    public const string Deletions = "deletions";

    /// <summary>The folder of the marks of callbacks that are still to be sent.</summary>
    public const string Callbacks = "callbacks";

    /// <summary>The mark of a sweep's callback that is still to be sent: beside the sweep's folder, so that finding all of them looks at no sweep.</summary>
    public static string Callback(string sweepId) => $"{Callbacks}/{sweepId}";

    /// <summary>The folder of the files that say which sweeps are together a series.</summary>
    public const string Series = "series";

    /// <summary>A series' file.</summary>
    public static string SeriesOf(string seriesId) => $"{Series}/{seriesId}.json";

    /// <summary>A sweep's folder.</summary>
    public static string Folder(string sweepId) => $"{Sweeps}/{sweepId}";

    /// <summary>What was asked for.</summary>
    public static string Request(string sweepId) => $"{Folder(sweepId)}/request.json";

    /// <summary>Where it stands; replaced as it goes on.</summary>
    public static string Status(string sweepId) => $"{Folder(sweepId)}/status.json";

    /// <summary>Its presence asks running activities to stop.</summary>
    public static string CancelMark(string sweepId) => $"{Folder(sweepId)}/cancel";

    /// <summary>Which engine runs it, renewed by that; empty when none does.</summary>
    public static string Lease(string sweepId) => $"{Folder(sweepId)}/lease.json";

    /// <summary>
    /// The marks of those that delete the sweep: each its own. Beside the sweep's folder, so that a mark is there until all of that is gone.
    /// </summary>
    public static string DeletionMarks(string sweepId) => $"{Deletions}/{sweepId}";

    /// <summary>One of <see cref="DeletionMarks"/>.</summary>
    public static string DeletionMark(string sweepId, Guid mark) => $"{DeletionMarks(sweepId)}/{mark:n}";

    /// <summary>Why planning failed, where the engine keeps no more of a failure than its text.</summary>
    public static string Error(string sweepId) => $"{Folder(sweepId)}/error.json";

    /// <summary>The plan.</summary>
    public static string Plan(string sweepId) => $"{Folder(sweepId)}/plan.json";

    /// <summary>One part of the plan.</summary>
    public static string Part(string sweepId, int part) => string.Create(CultureInfo.InvariantCulture, $"{Folder(sweepId)}/parts/{part:D5}.json");

    /// <summary>The texts of the tokens of the sweep's pairs.</summary>
    public static string TokenTexts(string sweepId) => $"{Folder(sweepId)}/tokens.json";

    /// <summary>The heads to run after the estimate, with the method <c>screen</c>.</summary>
    public static string Screen(string sweepId) => $"{Folder(sweepId)}/screen.json";

    /// <summary>A round of sets of nodes that are patched together.</summary>
    public static string Round(string sweepId, int round) => string.Create(CultureInfo.InvariantCulture, $"{Folder(sweepId)}/rounds/{round:D3}.json");

    /// <summary>The pairs of an adaptive sweep, before a head is run on one.</summary>
    public static string Population(string sweepId) => $"{Folder(sweepId)}/adaptive/population.json";

    /// <summary>A round of an adaptive sweep: which heads are run on which pairs.</summary>
    public static string HeadRound(string sweepId, int round) => string.Create(CultureInfo.InvariantCulture, $"{Folder(sweepId)}/adaptive/{round:D3}.json");

    /// <summary>What a round of an adaptive sweep gave.</summary>
    public static string HeadRoundTaken(string sweepId, int round) => string.Create(CultureInfo.InvariantCulture, $"{Folder(sweepId)}/adaptive/{round:D3}-taken.json");

    /// <summary>What an adaptive sweep came to.</summary>
    public static string AdaptiveFindings(string sweepId) => $"{Folder(sweepId)}/adaptive/findings.json";

    /// <summary>The heads as they are ranked for a circuit.</summary>
    public static string Ranking(string sweepId) => $"{Folder(sweepId)}/ranking.json";

    /// <summary>What the rounds of sets came to.</summary>
    public static string SetFindings(string sweepId) => $"{Folder(sweepId)}/sets.json";

    /// <summary>What a list shows of the result.</summary>
    public static string Digest(string sweepId) => $"{Folder(sweepId)}/digest.json";

    /// <summary>The result while the patterns that the report shows are read; gone once the sweep is completed.</summary>
    public static string Assembled(string sweepId) => $"{Folder(sweepId)}/assembled.json";

    /// <summary>The attention patterns that the report shows.</summary>
    public static string Patterns(string sweepId) => $"{Folder(sweepId)}/patterns.json";

    /// <summary>The result and what is made of it: results.json, and the files that the host hands to its activities.</summary>
    public static string Result(string sweepId, string file) => $"{Folder(sweepId)}/{file}";

    /// <summary>The folders of what is stored by key, and can be made again.</summary>
    public static IReadOnlyList<string> KeyedFolders { get; } = [ActivationsFolder, RunsFolder, SumsFolder, AttributionsFolder, PatternsFolder, DrawnFolder];

    /// <summary>The clean and corrupted runs over a chunk, by key.</summary>
    public static string Activations(string key) => $"{ActivationsFolder}/{key}";

    /// <summary>The patched runs, or estimates, of a band of layers over a chunk, by key.</summary>
    public static string Runs(string key) => $"{RunsFolder}/{key}";

    /// <summary>The folder of a chunk's patched runs that were made one by one, of some heads on some pairs, by the key that all of them together have.</summary>
    public static string Drawn(string key) => $"{DrawnFolder}/{key}";

    /// <summary>Some of <see cref="Drawn(string)"/>.</summary>
    public static string Drawn(string key, string runs) => $"{Drawn(key)}/{runs}";

    internal static bool IsDrawn(string name) => name.StartsWith($"{DrawnFolder}/", StringComparison.Ordinal);

    internal static string FolderOf(string name) => name[..name.LastIndexOf('/')];

    /// <summary>The sums of z that means over all pairs are made of, by key.</summary>
    public static string Sums(string key) => $"{SumsFolder}/{key}";

    /// <summary>What the parts of the model add directly to the metric of a chunk's clean runs, by key.</summary>
    public static string Attributions(string key) => $"{AttributionsFolder}/{key}";

    /// <summary>A head's attention patterns on a pair, by key.</summary>
    public static string Pattern(string key) => $"{PatternsFolder}/{key}";
}
