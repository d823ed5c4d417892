using System.Text.Json;
using HeadPatching.Core.Faults;
using HeadPatching.Core.Patching;
using HeadPatching.Core.Patching.Paths;
using HeadPatching.Core.Prompts;
using HeadPatching.Http.Series;
using HeadPatching.Sweeps.Callbacks;
using HeadPatching.Sweeps.Models;
using HeadPatching.Sweeps.Plans;
using HeadPatching.Sweeps.Requests;

namespace HeadPatching.Http.Requests;

/// <summary>
/// Reads the body of POST /api/sweeps, or of POST /api/series, which names several models. It is strict, so that a misspelt option is never silently the default, and it goes on after a
/// fault, so that all can be mended at once. Everything that can be said without tokenising is said here.
/// </summary>
internal sealed class SweepRequestReader
{
    private const int Deepest = 16; // the request itself goes four deep
    private static readonly string[] NeededOfPair = ["clean", "corrupted", "correct", "incorrect"];
    private static readonly string[] PairProperties = [.. NeededOfPair, "roles", "template"];

    /// <summary>The member by which a call asks for the plan of a sweep and no sweep; everything else is an option of sweeps.</summary>
    internal const string PlanOnly = "planOnly";

    /// <summary>The member by which a call names the models of a series, in place of one.</summary>
    private const string Models = "models";

    private const string Model = "model";

    private readonly RequestLimits _limits;
    private readonly string[] _known;
    private readonly FaultList _faults = new();
    private bool _planOnly;
    private IReadOnlyList<string?>? _models; // null for one that is no text

    private SweepRequestReader(RequestLimits limits, bool ofSeries)
    {
        _limits = limits;
        _known = ofSeries
            ? [.. SweepOptions.All.Select(option => option.Name == Model ? Models : option.Name)]
            : [.. SweepOptions.All.Select(option => option.Name), PlanOnly];
    }

    /// <summary>Reads a request and checks it against the models that there are.</summary>
    /// <returns>The sweep, and whether only its plan is asked for.</returns>
    /// <exception cref="RefusedRequestException">It cannot be swept; carries the faults.</exception>
    public static async Task<(SweepRequest Sweep, bool PlanOnly)> ReadAsync(
        ReadOnlyMemory<byte> utf8, RequestLimits limits, IModelCatalog catalog, CallbackHosts callbacks, CancellationToken cancellationToken)
    {
        var reader = new SweepRequestReader(limits, ofSeries: false);
        SweepRequest request = reader.ReadBody(utf8);
        await reader.CheckAsync(request, callbacks, () => catalog.CheckAsync(request.Model, Model, cancellationToken));
        return (request, reader._planOnly);
    }

    /// <summary>Reads a request of a series and checks it against the models that there are.</summary>
    /// <returns>What each model is to be swept by, and the models.</returns>
    /// <exception cref="RefusedRequestException">It cannot be swept; carries the faults.</exception>
    public static async Task<(SweepRequest Sweep, IReadOnlyList<string> Models)> ReadSeriesAsync(
        ReadOnlyMemory<byte> utf8, RequestLimits limits, IModelCatalog catalog, CallbackHosts callbacks, CancellationToken cancellationToken)
    {
        var reader = new SweepRequestReader(limits, ofSeries: true);
        SweepRequest request = reader.ReadBody(utf8);
        await reader.CheckAsync(request, callbacks, async () =>
        {
            if (reader._models is not IReadOnlyList<string?> models)
            {
                reader._faults.Add(FaultKinds.Missing, Models, $"A series names its models, 2 to {limits.SeriesModels}.");
                return;
            }

            if ((long)utf8.Length * models.Count > limits.SeriesBytes)
            {
                reader._faults.Add(
                    FaultKinds.TooLarge,
                    Models,
                    $"The request is stored once for each model, and {models.Count} times {utf8.Length} bytes are more than {limits.SeriesBytes}. "
                    + "Put the pairs into the store with 'headpatch dataset push' and name them with pairsFile, or sweep fewer models at once.");
            }

            await SeriesModels.CheckAsync(models, request.Patch, catalog, reader._faults, cancellationToken);
        });
        return (request, [.. reader._models!.OfType<string>()]);
    }

    private SweepRequest ReadBody(ReadOnlyMemory<byte> utf8)
    {
        try
        {
            using var document = JsonDocument.Parse(utf8, new JsonDocumentOptions { MaxDepth = Deepest });
            if (document.RootElement.ValueKind == JsonValueKind.Object)
            {
                return ReadRequest(document.RootElement);
            }

            _faults.Add(FaultKinds.Malformed, "$", "The body is not a JSON object.");
        }
        catch (JsonException e)
        {
            _faults.Add(
                FaultKinds.Malformed, "$", $"The body is not valid JSON (line {e.LineNumber + 1}, byte {e.BytePositionInLine + 1}), or is nested too deeply.");
        }

        return new SweepRequest();
    }

    private SweepRequest ReadRequest(JsonElement root)
    {
        var request = new SweepRequest();
        foreach (var (name, value) in Properties(root, ""))
        {
            if (!_known.Contains(name))
            {
                string elsewhere = name == Models ? " Several models are swept by POST /api/series." : Suggestion.DidYouMean(name, _known);
                _faults.Add(FaultKinds.UnknownProperty, name, $"A sweep has no such property.{elsewhere} Known: {string.Join(", ", _known)}.");
            }
            else if (name == PlanOnly)
            {
                _planOnly = Flag(value, name) ?? false;
            }
            else if (name == Models)
            {
                _models = ModelNames(value, name);
            }
            else if (SweepOptions.Find(name) is SweepOption option && !(IsNull(value) && option.Nullable) && Value(option, value) is object read)
            {
                request = option.Set(request, read);
            }
        }

        return request;
    }

    /// <summary>The value of an option; null where it could not be read.</summary>
    private object? Value(SweepOption option, JsonElement value) => option.Type switch
    {
        OptionType.Words words => OneOf(words, value, option.Name),
        OptionType.Whole => WholeNumber(value, option.Name),
        OptionType.Number => Number(value, option.Name),
        OptionType.Flag => Flag(value, option.Name),
        OptionType.ShortText text => Text(value, option.Name, text.Most ?? _limits.ShortTextCharacters),
        OptionType.Indices { Most: var most, Named: var named } => Indices(value, option.Name, most ?? _limits.Pairs, named),
        OptionType.NodeSet => Text(value, option.Name, OptionType.NodeSets.LongestSet),
        OptionType.NodeSets => NodeSets(value, option.Name),
        OptionType.PathReceivers => Receivers(value, option.Name),
        OptionType.TokenWeights => OptionType.TokenWeights.Read(value, message => _faults.Add(FaultKinds.Malformed, option.Name, message)),
        OptionType.PatchPositions => PositionsOf(value, option.Name),
        OptionType.PromptPairs => Pairs(value, option.Name),
        OptionType.PromptReference => value.ValueKind == JsonValueKind.Array ? ReferencePrompts.Of(Pairs(value, option.Name)) : Reference(value, option.Name),
        _ => throw new ArgumentOutOfRangeException(nameof(option), option.Type, null),
    };

    /// <summary>
    /// What needs the whole request or the models. A property that could not be read has its default here and adds no second fault. Of what is not JSON
    /// there is nothing to check.
    /// </summary>
    /// <exception cref="RefusedRequestException">There are faults, found here or before.</exception>
    private async Task CheckAsync(SweepRequest request, CallbackHosts callbacks, Func<Task> checkModels)
    {
        if (_faults.First.All(fault => fault.Where != "$"))
        {
            try
            {
                await checkModels();
            }
            catch (InvalidInputException e)
            {
                _faults.AddRange(e.Faults);
            }

            CheckOptions(request);
            CheckCallback(request.Callback, callbacks);
        }

        if (_faults.Count > 0)
        {
            throw new RefusedRequestException(_faults.First, _faults.Count);
        }
    }

    private void CheckOptions(SweepRequest request)
    {
        Collect(() => SweepPlanner.CheckOptions(request, FaultPlaces.JsonPaths));
        if (request.MemoryMiB > _limits.MemoryMiB)
        {
            _faults.Add(FaultKinds.TooLarge, "memoryMiB", $"A sweep may take {_limits.MemoryMiB} MiB at the most.");
        }
    }

    private void CheckCallback(string? callback, CallbackHosts callbacks)
    {
        if (callback is not null && callbacks.FaultOf(callback) is string fault)
        {
            _faults.Add(FaultKinds.InvalidOption, "callback", fault);
        }
    }

    private void Collect(Action check)
    {
        try
        {
            check();
        }
        catch (InvalidInputException e)
        {
            _faults.AddRange(e.Faults);
        }
    }

    private ReferencePrompts? Reference(JsonElement value, string path)
    {
        if (value.ValueKind == JsonValueKind.String)
        {
            return ShortText(value, path) is string dataset ? ReferencePrompts.Of(dataset) : null;
        }

        _faults.Add(FaultKinds.Malformed, path, "A reference is a dataset's name or an array of pairs.");
        return null;
    }

    private PromptPair[] Pairs(JsonElement value, string path)
    {
        if (!IsArray(value, path, _limits.Pairs, "pairs"))
        {
            return [];
        }

        if (value.GetArrayLength() == 0)
        {
            _faults.Add(FaultKinds.Missing, path, "There is no pair in it.");
        }

        return [.. value.EnumerateArray().Select((pair, index) => Pair(pair, $"{path}[{index}]"))];
    }

    private PromptPair Pair(JsonElement value, string path)
    {
        Prompt clean = default, corrupted = default;
        AnswerSet correct = default, incorrect = default;
        IReadOnlyDictionary<string, int>? roles = null;
        string? template = null;
        if (value.ValueKind != JsonValueKind.Object)
        {
            _faults.Add(FaultKinds.Malformed, path, "A pair is an object with clean, corrupted, correct and incorrect.");
            return new PromptPair(clean, corrupted, correct, incorrect);
        }

        var seen = new List<string>();
        foreach (var (name, property) in Properties(value, path))
        {
            seen.Add(name);
            switch (name)
            {
                case "clean":
                    clean = PromptOf(property, $"{path}.{name}");
                    break;
                case "corrupted":
                    corrupted = PromptOf(property, $"{path}.{name}");
                    break;
                case "correct":
                    correct = AnswersOf(property, $"{path}.{name}");
                    break;
                case "incorrect":
                    incorrect = AnswersOf(property, $"{path}.{name}");
                    break;
                case "roles":
                    roles = IsNull(property) ? null : RolesOf(property, $"{path}.{name}");
                    break;
                case "template":
                    template = IsNull(property) ? null : ShortText(property, $"{path}.{name}");
                    break;
                default:
                    _faults.Add(FaultKinds.UnknownProperty, $"{path}.{name}", $"A pair has no such property.{Suggestion.DidYouMean(name, PairProperties)} Known: {string.Join(", ", PairProperties)}.");
                    break;
            }
        }

        foreach (string missing in NeededOfPair.Except(seen))
        {
            _faults.Add(FaultKinds.Missing, $"{path}.{missing}", $"The pair has no {missing}.");
        }

        return new PromptPair(clean, corrupted, correct, incorrect) { Roles = roles, Template = template };
    }

    private Dictionary<string, int>? RolesOf(JsonElement value, string path)
    {
        if (value.ValueKind != JsonValueKind.Object || !value.EnumerateObject().Any())
        {
            _faults.Add(FaultKinds.Malformed, path, "Roles are an object of token positions, such as {\"S2\": 10, \"END\": -1}.");
            return null;
        }

        var roles = new Dictionary<string, int>();
        foreach (var (name, position) in Properties(value, path))
        {
            if (!Roles.IsName(name))
            {
                _faults.Add(FaultKinds.Malformed, path, $"There is a name that no role can have. {Roles.NameForm}");
            }
            else if (WholeNumber(position, $"{path}.{name}") is int at)
            {
                roles[name] = at;
            }
        }

        if (roles.Count > Roles.MostRoles)
        {
            _faults.Add(FaultKinds.TooLarge, path, $"There are {roles.Count} roles; at most {Roles.MostRoles} are allowed.");
        }

        return roles;
    }

    private Prompt PromptOf(JsonElement value, string path)
    {
        if (value.ValueKind == JsonValueKind.String)
        {
            return Text(value, path, _limits.PromptCharacters) is string text ? Prompt.Of(text) : default;
        }

        if (value.ValueKind != JsonValueKind.Array)
        {
            _faults.Add(FaultKinds.Malformed, path, "A prompt is a string or an array of token ids.");
            return default;
        }

        return IsArray(value, path, _limits.PromptIds, "token ids") ? Prompt.Of([.. WholeNumbers(value, path)]) : default;
    }

    private AnswerSet AnswersOf(JsonElement value, string path)
    {
        if (value.ValueKind != JsonValueKind.Array)
        {
            return AnswerOf(value, path);
        }

        if (value.GetArrayLength() == 0)
        {
            _faults.Add(FaultKinds.Missing, path, "There is no answer in it.");
        }

        return IsArray(value, path, _limits.Answers, "answers")
            ? AnswerSet.Of([.. value.EnumerateArray().Select((answer, i) => IsWhole(answer, out int id) ? Answer.Of(id) : AnswerOf(answer, $"{path}[{i}]"))])
            : default;
    }

    private Answer AnswerOf(JsonElement value, string path)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                return ShortText(value, path) is string text ? Answer.Of(text) : default;
            case JsonValueKind.Number:
                return WholeNumber(value, path) is int id ? Answer.Of(id) : default;
            default:
                _faults.Add(FaultKinds.Malformed, path, "An answer is a string that is one token, or a token id.");
                return default;
        }
    }

    private int[]? Indices(JsonElement value, string path, int most, string named) =>
        IsArray(value, path, most, named) ? [.. WholeNumbers(value, path)] : null;

    private string[]? NodeSets(JsonElement value, string path) => IsArray(value, path, OptionType.NodeSets.Most, "sets")
        ? [.. value.EnumerateArray().Select((set, index) => Text(set, $"{path}[{index}]", OptionType.NodeSets.LongestSet) ?? "")]
        : null;

    private string?[] ModelNames(JsonElement value, string path)
    {
        if (!IsArray(value, path, _limits.SeriesModels, "models"))
        {
            return [];
        }

        if (value.GetArrayLength() < 2)
        {
            _faults.Add(FaultKinds.Missing, path, $"A series is of 2 to {_limits.SeriesModels} models; of one, POST /api/sweeps is the call.");
        }

        return [.. value.EnumerateArray().Select((name, index) => ShortText(name, $"{path}[{index}]"))];
    }

    private Receiver[] Receivers(JsonElement value, string path)
    {
        if (!IsArray(value, path, _limits.Receivers, "receivers"))
        {
            return [];
        }

        if (value.GetArrayLength() == 0)
        {
            _faults.Add(FaultKinds.Missing, path, $"There is no receiver in it. {Receiver.Form}");
        }

        var receivers = new List<Receiver>();
        foreach (var (index, item) in value.EnumerateArray().Index())
        {
            if (TextOrNull(item) is string text && Receiver.TryParse(text, out Receiver receiver))
            {
                receivers.Add(receiver);
            }
            else
            {
                _faults.Add(FaultKinds.InvalidOption, $"{path}[{index}]", Receiver.Form);
            }
        }

        return [.. receivers];
    }

    private Positions? PositionsOf(JsonElement value, string path)
    {
        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int index))
        {
            return Positions.One(index);
        }

        // A number within a string is the command line's form, not JSON's.
        if (TextOrNull(value) is string text && Positions.TryParse(text, out Positions positions) && positions.Index is null)
        {
            return positions;
        }

        _faults.Add(FaultKinds.InvalidOption, path, Positions.Form);
        return null;
    }

    private object? OneOf(OptionType.Words words, JsonElement value, string path)
    {
        string? given = TextOrNull(value);
        object? known = words.Find(given);
        if (known is null)
        {
            _faults.Add(FaultKinds.InvalidOption, path, $"The value is one of {string.Join(", ", words.Known.Select(word => word.Name))}.{words.DidYouMean(given)}");
        }

        return known;
    }

    private bool IsArray(JsonElement value, string path, int most, string what)
    {
        if (value.ValueKind != JsonValueKind.Array)
        {
            _faults.Add(FaultKinds.Malformed, path, "The value is an array.");
            return false;
        }

        if (value.GetArrayLength() > most)
        {
            _faults.Add(FaultKinds.TooLarge, path, $"There are {value.GetArrayLength()} {what}; at most {most} are allowed.");
            return false;
        }

        return true;
    }

    private IEnumerable<int> WholeNumbers(JsonElement array, string path) =>
        array.EnumerateArray().Select((item, index) => IsWhole(item, out int number) ? number : WholeNumber(item, $"{path}[{index}]") ?? 0);

    // A body may hold a million token ids; only of one that is wrong the path is spelt out.
    private static bool IsWhole(JsonElement value, out int number)
    {
        number = 0;
        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out number);
    }

    private int? WholeNumber(JsonElement value, string path)
    {
        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out int number))
        {
            return number;
        }

        _faults.Add(FaultKinds.Malformed, path, $"The value is a whole number from {int.MinValue} to {int.MaxValue}.");
        return null;
    }

    private bool? Flag(JsonElement value, string path)
    {
        if (value.ValueKind is JsonValueKind.True or JsonValueKind.False)
        {
            return value.GetBoolean();
        }

        _faults.Add(FaultKinds.Malformed, path, "The value is true or false.");
        return null;
    }

    private double? Number(JsonElement value, string path)
    {
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out double number))
        {
            return number;
        }

        _faults.Add(FaultKinds.Malformed, path, "The value is a number.");
        return null;
    }

    private string? ShortText(JsonElement value, string path) => Text(value, path, _limits.ShortTextCharacters);

    private string? Text(JsonElement value, string path, int most)
    {
        if (value.ValueKind != JsonValueKind.String)
        {
            _faults.Add(FaultKinds.Malformed, path, "The value is a string.");
            return null;
        }

        string? text = TextOrNull(value);
        if (text is null)
        {
            _faults.Add(FaultKinds.Malformed, path, "The text holds half of a surrogate pair (such as \\ud83d alone) or is not UTF-8.");
            return null;
        }

        if (text.Length > most)
        {
            _faults.Add(FaultKinds.TooLarge, path, $"The text has {text.Length} characters; at most {most} are allowed.");
            return null;
        }

        return text;
    }

    private List<(string Name, JsonElement Value)> Properties(JsonElement value, string path)
    {
        var properties = new List<(string, JsonElement)>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (JsonProperty property in value.EnumerateObject())
        {
            string name;
            try
            {
                name = property.Name;
            }
            catch (InvalidOperationException)
            {
                _faults.Add(FaultKinds.Malformed, path.Length == 0 ? "$" : path, "The name of a property is not Unicode text.");
                continue;
            }

            if (seen.Add(name))
            {
                properties.Add((name, property.Value));
            }
            else
            {
                _faults.Add(FaultKinds.Malformed, path.Length == 0 ? name : $"{path}.{name}", "The property is there twice.");
            }
        }

        return properties;
    }

    /// <summary>The string; null where the value is none, or is one that is not Unicode text.</summary>
    private static string? TextOrNull(JsonElement value)
    {
        try
        {
            return value.ValueKind == JsonValueKind.String ? value.GetString() : null;
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    private static bool IsNull(JsonElement value) => value.ValueKind == JsonValueKind.Null;
}
