using System.Globalization;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Results;

namespace HeadPatching.Reports;

/// <summary>What pictures and reports say of how a sweep was made, each fact a few words.</summary>
internal static class SweepFacts
{
    /// <summary>With more receivers than this, they are only counted.</summary>
    private const int MostReceiversNamed = 4;

    /// <summary>Such as <c>5 pairs</c>.</summary>
    public static string Pairs(SweepResult result) => Counted(result.Dataset.Pairs, "pair");

    /// <summary>How the effects came about: which run was changed and how, by which paths, and what was only estimated.</summary>
    public static IReadOnlyList<string> Of(SweepResult result)
    {
        var facts = new List<string> { Change(result) };
        if (result.Receivers is { } receivers)
        {
            string to = receivers.Count > MostReceiversNamed ? $"{receivers.Count} inputs of heads" : string.Join(", ", receivers);
            facts.Add($"paths to {to}, MLPs {(result.FreezeMlps == true ? "frozen" : "recomputed")}");
        }

        if (Method(result) is { } method)
        {
            facts.Add(method);
        }

        facts.Add(result.Positions.ToString() switch
        {
            "all" => "all positions",
            "each" => "each position",
            "each-role" => "each role",
            _ when result.Positions.Role is string role => $"position of {role}",
            _ => $"position {result.Positions}",
        });
        if (result.Bos is { } bos)
        {
            facts.Add(bos == Bos.Always ? "BOS before texts" : "no BOS before texts");
        }

        return facts;
    }

    /// <summary>Which run was changed and what was put in, such as <c>clean run, z replaced by zeros</c>.</summary>
    public static string Change(SweepResult result)
    {
        bool denoise = result.Direction == Direction.Denoise;
        if (result.Ablation is not { } ablation)
        {
            return denoise ? "clean into corrupted" : "corrupted into clean";
        }

        string replacement = AblationDetails.InShort(ablation, result.Reference?.Name);
        return $"{(denoise ? "corrupted" : "clean")} run, {result.Patch.NameOf()} replaced by {replacement}";
    }

    /// <summary>What was estimated; null where every patch was run.</summary>
    public static string? Method(SweepResult result)
    {
        int run = result.Heads.Count(head => !head.Estimated);
        return result.Method switch
        {
            Core.Patching.Method.Exact => null,
            Core.Patching.Method.Attribution => $"estimated from one gradient{Gradient()}; nothing was run",
            Core.Patching.Method.Adaptive => result.Adaptive is { } adaptive
                ? string.Create(CultureInfo.InvariantCulture, $"decided by {adaptive.Runs:N0} of {adaptive.RunsOfExact:N0} runs ({100.0 * adaptive.Runs / Math.Max(1, adaptive.RunsOfExact):0.#} %){Gradient()}")
                : null,
            _ => $"{Counted(run, HeatmapTable.WithoutPositions(result).Unit)} run after an estimate of all{Gradient()}",
        };

        string Gradient() => result.Gradient switch
        {
            Core.Patching.Attribution.Gradient.FrozenNorms => ", norms held fixed",
            Core.Patching.Attribution.Gradient.Plain => ", the plain one",
            _ => "",
        };
    }

    private static string Counted(int count, string one) => count == 1 ? $"1 {one}" : $"{count} {one}s";
}
