using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using HeadPatching.Core;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;
using HeadPatching.Sweeps.Models;

namespace HeadPatching.Sweeps.Plans;

/// <summary>
/// The keys under which work is stored: each is the hash of everything that the numbers depend on, the version of the numerics included, and
/// of nothing else. 32 lower-case hexadecimal digits of a SHA-256.
/// </summary>
public static class WorkKeys
{
    /// <summary>The key of the clean and corrupted runs over a chunk of pairs.</summary>
    /// <param name="model">The model's weights and config, the type and the kind of device.</param>
    /// <param name="pairs">The chunk, in order.</param>
    /// <param name="start">The position that is kept from.</param>
    /// <param name="numerics">The version of the numerics.</param>
    public static string Activations(ModelSource model, IReadOnlyList<TokenPair> pairs, int start, int numerics = Numerics.Version)
    {
        var text = new StringBuilder().Append(CultureInfo.InvariantCulture, $"activations\n{numerics}\n{Of(model)}\n{start}\n");
        foreach (TokenPair pair in pairs)
        {
            text.AppendJoin(' ', pair.Clean).Append('|').AppendJoin(' ', pair.Corrupted).Append('\n');
        }

        return Hash(text);
    }

    /// <summary>The key of the patched runs, or estimates, of a band of layers over a chunk.</summary>
    /// <param name="activations">The key of the chunk's activations.</param>
    /// <param name="pairs">The chunk, in order.</param>
    /// <param name="work">What is done (<see cref="ChunkWork.Text"/>).</param>
    /// <param name="firstLayer">The band's first layer.</param>
    /// <param name="lastLayer">The band's last layer.</param>
    public static string Runs(string activations, IReadOnlyList<TokenPair> pairs, string work, int firstLayer, int lastLayer)
    {
        var text = new StringBuilder().Append(CultureInfo.InvariantCulture, $"runs\n{activations}\n{firstLayer}-{lastLayer}\n{work}\n");
        foreach (TokenPair pair in pairs)
        {
            AppendAnswersAndRoles(text, pair);
        }

        return Hash(text);
    }

    /// <summary>What runs of some heads on some pairs of a chunk are called, under the key that all of the chunk's have.</summary>
    /// <param name="pairs">The pairs, by their places in the chunk.</param>
    /// <param name="heads">The heads.</param>
    public static string Drawn(IReadOnlyList<int> pairs, IReadOnlyList<int> heads) => Hash(new StringBuilder().AppendJoin(',', pairs).Append(' ').AppendJoin(',', heads));

    /// <summary>The key of the runs of sets of nodes on some pairs.</summary>
    /// <param name="model">The model.</param>
    /// <param name="pairs">The pairs, in order.</param>
    /// <param name="sets">The sets, in order.</param>
    /// <param name="direction">Which run is patched.</param>
    /// <param name="metric">What is measured.</param>
    /// <param name="ablation">What an ablation that is put in depends on (<see cref="ChunkWork.Text"/>); null where there is none.</param>
    public static string Sets(ModelSource model, IReadOnlyList<TokenPair> pairs, IReadOnlyList<string> sets, Direction direction, PlannedMetric metric, string? ablation) =>
        Hash(new StringBuilder()
            .Append(CultureInfo.InvariantCulture, $"sets\n{Numerics.Version}\n{Of(model)}\n{Pairs(pairs)}\n{direction} {metric.Text()} {ablation}\n")
            .AppendJoin('\n', sets));

    /// <summary>The key of the direct logit attribution of a chunk.</summary>
    /// <param name="activations">The key of the chunk's activations.</param>
    /// <param name="pairs">The chunk, in order.</param>
    /// <param name="metric">What is attributed.</param>
    public static string Attribution(string activations, IReadOnlyList<TokenPair> pairs, PlannedMetric metric)
    {
        var text = new StringBuilder().Append(CultureInfo.InvariantCulture, $"attribution\n{activations}\n{metric.Text()}\n");
        foreach (TokenPair pair in pairs)
        {
            AppendAnswersAndRoles(text, pair);
        }

        return Hash(text);
    }

    /// <summary>The key of a head's attention patterns on a pair.</summary>
    /// <param name="model">The model.</param>
    /// <param name="pair">The pair.</param>
    /// <param name="layer">The head's layer.</param>
    /// <param name="head">The head.</param>
    public static string Pattern(ModelSource model, TokenPair pair, int layer, int head) => Hash(new StringBuilder()
        .Append(CultureInfo.InvariantCulture, $"pattern\n{Numerics.Version}\n{Of(model)}\n{layer} {head}\n")
        .AppendJoin(' ', pair.Clean).Append('|').AppendJoin(' ', pair.Corrupted));

    /// <summary>The key of the pairs of a sweep as the model sees them, all together: of what depends on all of them, and of the sweep itself.</summary>
    public static string Pairs(IEnumerable<TokenPair> pairs)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var text = new StringBuilder();
        foreach (TokenPair pair in pairs)
        {
            text.Clear().Append(CultureInfo.InvariantCulture, $"{pair.Index}|").AppendJoin(' ', pair.Clean).Append('|').AppendJoin(' ', pair.Corrupted).Append('|');
            AppendAnswersAndRoles(text, pair);
            hash.AppendData(Encoding.UTF8.GetBytes(text.ToString()));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset())[..32];
    }

    /// <summary>The key of the sums that means over all pairs are made of.</summary>
    /// <param name="model">The model.</param>
    /// <param name="pairs">The key of all pairs (<see cref="Pairs"/>).</param>
    /// <param name="references">The pairs that the means are over instead; null: the pairs themselves.</param>
    /// <param name="direction">Whose runs they are over.</param>
    /// <param name="slice">Which slice of the pairs they are over, such as <c>3 of 8</c>; null: all.</param>
    public static string Sums(ModelSource model, string pairs, IReadOnlyList<TokenPair>? references, Direction direction, string? slice) =>
        Hash(new StringBuilder().Append(
            CultureInfo.InvariantCulture, $"sums\n{Numerics.Version}\n{Of(model)}\n{pairs}\n{(references is null ? "" : Pairs(references))}\n{direction}\n{slice}"));

    // The name is where a model is found, not what it is.
    private static string Of(ModelSource model) => $"{model.Fingerprint} {model.Dtype} {new string([.. model.Device.TakeWhile(c => c != ':')])}";

    private static void AppendAnswersAndRoles(StringBuilder text, TokenPair pair)
    {
        text.AppendJoin(' ', pair.Correct.Ids).Append('|').AppendJoin(' ', pair.Incorrect.Ids).Append('|');
        text.Append(pair.Template is null ? "" : JsonSerializer.Serialize(pair.Template, ResultJson.Compact));
        foreach (var (name, position) in pair.RolesInOrder())
        {
            text.Append(CultureInfo.InvariantCulture, $" {name}={position}");
        }

        text.Append('\n');
    }

    private static string Hash(StringBuilder text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())))[..32];
}
