using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using HeadPatching.Core.Metrics;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using HeadPatching.Core.Prompts.Datasets;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;

namespace HeadPatching.Cli.Commands;

/// <summary>The options of <c>headpatch sweep</c>, and the request that they make.</summary>
internal sealed class SweepOptions
{
    private static readonly SweepRequest Defaults = new();

    private readonly Option<string> _model = new("--model")
    {
        Description = "A model's name (see 'headpatch model list') or a Hugging Face model folder",
        HelpName = "NAME|FOLDER",
        DefaultValueFactory = _ => Defaults.Model,
    };

    private readonly Option<string?> _dataset = new("--dataset")
    {
        Description = $"A built-in dataset: {string.Join(", ", BuiltInDatasets.All.Select(dataset => dataset.Name))} (default: ioi); see 'headpatch dataset list'",
        HelpName = "NAME",
    };

    private readonly Option<string?> _pairs = new("--pairs")
    {
        Description = "Your own pairs, JSON Lines: {\"clean\": \"text\"|[ids], \"corrupted\": ..., \"correct\": \" Mary\"|id|[...], \"incorrect\": ...}; "
            + "or auto-circuit's .json, EAP-IG's .csv",
        HelpName = "FILE",
    };

    private readonly Option<int?> _count = Count();

    private readonly Option<int> _seed = Whole("--seed", "Seed of everything drawn at random", Defaults.Seed);

    private readonly Option<Patch?> _patch = Choice.Of("--patch", "Which activation is replaced", Defaults.Patch);

    private readonly Option<Positions> _positions = new("--positions")
    {
        Description = "Where: all at once, each in turn, or one position (negative from the end)",
        HelpName = "all|each|N",
        DefaultValueFactory = _ => Defaults.Positions,
        CustomParser = result =>
        {
            if (!Positions.TryParse(result.Tokens[0].Value, out Positions positions))
            {
                result.AddError($"--positions: '{result.Tokens[0].Value}' is neither all, each nor a whole number.");
            }

            return positions;
        },
    };

    private readonly Option<Method?> _method = Choice.Of("--method", "Run every patch, estimate all from one gradient, or estimate and run the largest", Defaults.Method);

    private readonly Option<int?> _screenTop = new("--screen-top")
    {
        Description = "With --method screen: how many heads are run after the estimate (default: 10)",
        HelpName = "N",
        CustomParser = result =>
        {
            if (int.TryParse(result.Tokens[0].Value, NumberStyles.Integer, CultureInfo.InvariantCulture, out int value))
            {
                return value;
            }

            result.AddError($"--screen-top: '{result.Tokens[0].Value}' is not a whole number.");
            return null;
        },
    };

    private readonly Option<Receiver[]?> _receivers = new("--receivers")
    {
        Description = "Path patching: only the paths from each head to these, the logits or heads' inputs",
        HelpName = "logits|L9H6.q,...",
        CustomParser = result =>
        {
            var receivers = new List<Receiver>();
            foreach (string text in result.Tokens[0].Value.Split(','))
            {
                if (Receiver.TryParse(text, out Receiver receiver))
                {
                    receivers.Add(receiver);
                }
                else
                {
                    result.AddError($"--receivers: '{text}' is none. {Receiver.Form}");
                }
            }

            return [.. receivers];
        },
    };

    private readonly Option<bool> _freezeMlps = new("--freeze-mlps")
    {
        Description = "With --receivers: MLPs stay as they are in the patched run (default: they are recomputed)",
    };

    private readonly Option<Ablation?> _ablation = Choice.Of<Ablation>("--ablation", "Replace z by zeros, the mean over the dataset, or another pair's, in the clean run");

    private readonly Option<Direction?> _direction =
        Choice.Of<Direction>("--direction", "Clean into corrupted, or corrupted into clean (default: denoise; noise with --ablation)");

    private readonly Option<Metric?> _metric = Choice.Of("--metric", "What is measured at the last position", Defaults.Metric);

    private readonly Option<Aggregation?> _aggregation = Choice.Of("--aggregation", "How pairs come together", Defaults.Aggregation);

    private readonly Option<int[]?> _pairIndices = new("--pair-indices")
    {
        Description = "Only these pairs, from 0",
        HelpName = "0,2",
        CustomParser = result =>
        {
            var indices = new List<int>();
            foreach (string text in result.Tokens[0].Value.Split(','))
            {
                if (int.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out int index))
                {
                    indices.Add(index);
                }
                else
                {
                    result.AddError($"--pair-indices: '{text}' is not a whole number. Give indices with commas between them, such as 0,2.");
                }
            }

            return [.. indices];
        },
    };

    private readonly Option<string> _dtype = new("--dtype")
    {
        Description = "The type to compute in",
        HelpName = "float32|float64|bfloat16",
        DefaultValueFactory = _ => Defaults.Dtype,
    };

    private readonly Option<string> _device = new("--device")
    {
        Description = "Where to compute",
        HelpName = "auto|cpu|cuda",
        DefaultValueFactory = _ => Defaults.Device,
    };

    private readonly Option<double> _threshold = new("--threshold")
    {
        Description = "Heads with |effect| above it are important",
        HelpName = "NUMBER",
        DefaultValueFactory = _ => Defaults.Threshold,
        CustomParser = result =>
        {
            if (!double.TryParse(result.Tokens[0].Value, NumberStyles.Float, CultureInfo.InvariantCulture, out double threshold))
            {
                result.AddError($"--threshold: '{result.Tokens[0].Value}' is not a number.");
            }

            return threshold;
        },
    };

    private readonly Option<int> _top = Whole("--top", "How many heads the ranked table shows", Defaults.Top);

    private readonly Option<int> _memory = Whole("--memory", "MiB that patching may take beside the model's weights", Defaults.MemoryMiB);

    /// <summary>The options, in the order of the help.</summary>
    public IEnumerable<Option> All =>
    [
        _model, _dataset, _pairs, _count, _seed, _patch, _ablation, _method, _screenTop, _receivers, _freezeMlps, _positions, _direction, _metric, _aggregation, _pairIndices, _dtype, _device, _threshold, _top, _memory,
    ];

    /// <summary>The request of a parsed command line, and how its faults name places.</summary>
    /// <exception cref="Core.Faults.InvalidInputException">The pairs file cannot be read.</exception>
    public (SweepRequest Request, FaultPlaces Places) Read(ParseResult parsed)
    {
        PairsFile? file = parsed.GetValue(_pairs) is string path ? PairsFile.Read(path) : null;
        var request = new SweepRequest
        {
            Model = parsed.GetRequiredValue(_model),
            Dataset = parsed.GetValue(_dataset),
            Pairs = file?.Pairs,
            Count = parsed.GetValue(_count),
            Seed = parsed.GetValue(_seed),
            Name = file is null ? null : Path.GetFileName(parsed.GetValue(_pairs)),
            PairIndices = parsed.GetValue(_pairIndices) is { Length: > 0 } indices ? indices : null, // the parser makes an absent list an empty one
            Patch = parsed.GetValue(_patch) ?? Defaults.Patch,
            Ablation = parsed.GetValue(_ablation),
            Method = parsed.GetValue(_method) ?? Defaults.Method,
            ScreenTop = parsed.GetValue(_screenTop),
            Receivers = parsed.GetValue(_receivers) is { Length: > 0 } receivers ? receivers : null,
            FreezeMlps = parsed.GetValue(_freezeMlps),
            Positions = parsed.GetValue(_positions),
            Direction = parsed.GetValue(_direction),
            Metric = parsed.GetValue(_metric) ?? Defaults.Metric,
            Aggregation = parsed.GetValue(_aggregation) ?? Defaults.Aggregation,
            Threshold = parsed.GetValue(_threshold),
            Top = parsed.GetValue(_top),
            Dtype = parsed.GetRequiredValue(_dtype),
            Device = parsed.GetRequiredValue(_device),
            MemoryMiB = parsed.GetValue(_memory),
        };
        return (request, new FaultPlaces(OptionOf, file is null ? PairTokenizer.PathUnder("pairs") : file.Where));
    }

    /// <summary><c>--count</c>, which only generated datasets take.</summary>
    public static Option<int?> Count() => new("--count")
    {
        Description = $"How many pairs a generated dataset makes (default: {BuiltInDatasets.DefaultCount})",
        HelpName = "N",
        CustomParser = result => ParseWhole(result, "--count"),
    };

    /// <summary>An option whose value is a whole number.</summary>
    public static Option<int> Whole(string name, string description, int fallback) => new(name)
    {
        Description = description,
        HelpName = "N",
        DefaultValueFactory = _ => fallback,
        CustomParser = result => ParseWhole(result, name),
    };

    private static int ParseWhole(ArgumentResult result, string name)
    {
        if (!int.TryParse(result.Tokens[0].Value, NumberStyles.Integer, CultureInfo.InvariantCulture, out int value))
        {
            result.AddError($"{name}: '{result.Tokens[0].Value}' is not a whole number.");
        }

        return value;
    }

    /// <summary>The option that a request's property comes from.</summary>
    public static string OptionOf(string property) => property switch
    {
        "pairIndices" => "--pair-indices",
        "memoryMiB" => "--memory",
        "name" => "--pairs",
        "screenTop" => "--screen-top",
        "freezeMlps" => "--freeze-mlps",
        _ => "--" + property,
    };
}
