using System.Text.Json;
using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Models.Families.Configs;

/// <summary>
/// The fields of a config.json. A field that is missing or wrong adds a fault and reads as null or its default, so that one reading finds
/// all faults; <see cref="ThrowIfAny"/> throws them at the end.
/// </summary>
internal sealed class ConfigFields
{
    private readonly JsonElement _root;
    private readonly string _path;
    private readonly string _prefix; // of the names in faults: "rope_scaling." within that object
    private readonly List<Fault> _faults;
    private IReadOnlyDictionary<string, int> _missing = new Dictionary<string, int>(); // sizes that may be left out

    public ConfigFields(JsonElement root, string path)
        : this(root, path, prefix: "", [])
    {
    }

    private ConfigFields(JsonElement root, string path, string prefix, List<Fault> faults)
    {
        _root = root;
        _path = path;
        _prefix = prefix;
        _faults = faults;
    }

    /// <summary>The names of all fields.</summary>
    public IEnumerable<string> Names => _root.EnumerateObject().Select(property => property.Name);

    /// <summary>Whether the field is there and not null.</summary>
    public bool Has(string name) => _root.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null;

    /// <summary>Whether the field is there, be it as null.</summary>
    public bool Mentions(string name) => _root.TryGetProperty(name, out _);

    /// <summary>An object's fields, whose faults are this one's too; null where it is missing, null or no object (the latter adds a fault).</summary>
    public ConfigFields? Object(string name)
    {
        if (!Has(name))
        {
            return null;
        }

        var value = _root.GetProperty(name);
        if (value.ValueKind == JsonValueKind.Object)
        {
            return new ConfigFields(value, _path, $"{_prefix}{name}.", _faults);
        }

        AddFault(FaultKinds.UnsupportedModel, $"{name} is {Untrusted.Show(value.GetRawText())}; it must be an object or null.");
        return null;
    }

    /// <summary>The same fields, some of whose sizes may be left out, and are then these.</summary>
    public ConfigFields WithMissing(IReadOnlyDictionary<string, int> sizes) => new(_root, _path, _prefix, _faults) { _missing = sizes };

    /// <summary>A text; null where it is missing, null or no text (the latter adds a fault).</summary>
    public string? Text(string name)
    {
        if (!Has(name))
        {
            return null;
        }

        var value = _root.GetProperty(name);
        if (value.ValueKind == JsonValueKind.String)
        {
            return value.GetString();
        }

        AddFault(FaultKinds.UnsupportedModel, $"{name} is {Untrusted.Show(value.GetRawText())}; it must be a text.");
        return null;
    }

    /// <summary>The texts of an array, none where it is missing or null.</summary>
    public IReadOnlyList<string> Texts(string name)
    {
        if (!Has(name))
        {
            return [];
        }

        var value = _root.GetProperty(name);
        if (value.ValueKind == JsonValueKind.Array && value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String))
        {
            return [.. value.EnumerateArray().Select(item => item.GetString()!)];
        }

        AddFault(FaultKinds.UnsupportedModel, $"{name} is {Untrusted.Show(value.GetRawText())}; it must be an array of texts.");
        return [];
    }

    /// <summary>Adds a fault for each of the fields that is there and neither null nor false: each would change the arithmetic.</summary>
    public void Refuse(params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if (Has(name) && _root.GetProperty(name).ValueKind != JsonValueKind.False)
            {
                AddFault(FaultKinds.UnsupportedModel, $"{name} is {Untrusted.Show(_root.GetProperty(name).GetRawText())}; models with it are not supported.");
            }
        }
    }

    /// <summary>Adds a fault where weights are said to be quantised, by whatever method.</summary>
    public void RefuseQuantised()
    {
        if (Object("quantization_config") is { } quantization)
        {
            AddFault(
                FaultKinds.UnsupportedModel,
                $"quantization_config is there (quant_method {Untrusted.Show(quantization.Text("quant_method") ?? "missing")}); quantised weights are not supported, "
                + "but for gpt-oss's mxfp4. Get the model as float32, float16 or bfloat16.");
        }
    }

    /// <summary>The BOS, a token of the vocabulary. Null where config.json says null, which is that there is none; where it says nothing, the family's own, if the vocabulary has it.</summary>
    /// <param name="vocabulary">The vocabulary's size; null where that could not be read.</param>
    /// <param name="missing">The family's own.</param>
    public int? BosId(int? vocabulary, int missing)
    {
        int last = (vocabulary ?? Limits.Vocabulary) - 1;
        return Mentions("bos_token_id") ? Integer("bos_token_id", 0, last) : missing <= last ? missing : null;
    }

    /// <summary>A field that must be there, an integer from 1 to <paramref name="max"/>; null where it is not so.</summary>
    public int? Size(string name, int max)
    {
        if (!Has(name))
        {
            if (_missing.TryGetValue(name, out var size))
            {
                return size;
            }

            AddFault(FaultKinds.Missing, $"{name} is missing.");
            return null;
        }

        return Integer(name, 1, max);
    }

    /// <summary>An integer in a range; null where it is missing, null or wrong (the latter adds a fault).</summary>
    public int? Integer(string name, int min, int max)
    {
        if (!Has(name))
        {
            return null;
        }

        var value = _root.GetProperty(name);
        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && number >= min && number <= max)
        {
            return number;
        }

        AddFault(
            FaultKinds.UnsupportedModel,
            $"{name} is {Untrusted.Show(value.GetRawText())}; it must be an integer from {min} to {max}.");
        return null;
    }

    /// <summary>A number above 0 and below 1, or the default where it is missing.</summary>
    public double Fraction(string name, double missing)
    {
        if (!Has(name))
        {
            return missing;
        }

        var value = _root.GetProperty(name);
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number is > 0 and < 1)
        {
            return number;
        }

        AddFault(FaultKinds.UnsupportedModel, $"{name} is {Untrusted.Show(value.GetRawText())}; it must be a number above 0 and below 1.");
        return missing;
    }

    /// <summary>A number above 0, or the default where it is missing; a missing default means that it must be there.</summary>
    public double Positive(string name, double? missing)
    {
        if (!Has(name))
        {
            if (missing is null)
            {
                AddFault(FaultKinds.Missing, $"{name} is missing.");
            }

            return missing ?? 1;
        }

        var value = _root.GetProperty(name);
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number > 0 && double.IsFinite(number))
        {
            return number;
        }

        AddFault(FaultKinds.UnsupportedModel, $"{name} is {Untrusted.Show(value.GetRawText())}; it must be a number above 0.");
        return missing ?? 1;
    }

    /// <summary>An array of so many numbers above 0; as many ones where it is not so, which adds a fault.</summary>
    public IReadOnlyList<double> Numbers(string name, int count)
    {
        double[]? numbers = Has(name) && _root.GetProperty(name) is { ValueKind: JsonValueKind.Array } value
            ? [.. value.EnumerateArray().Select(item => item.ValueKind == JsonValueKind.Number && item.TryGetDouble(out var number) ? number : 0)]
            : null;
        if (numbers?.Length == count && numbers.All(number => number > 0 && double.IsFinite(number)))
        {
            return numbers;
        }

        AddFault(
            Has(name) ? FaultKinds.UnsupportedModel : FaultKinds.Missing,
            Has(name) ? $"{name} is {Untrusted.Show(_root.GetProperty(name).GetRawText())}; it must be an array of {count} numbers above 0." : $"{name} is missing.");
        return [.. Enumerable.Repeat(1.0, count)];
    }

    /// <summary>True or false, or the default where it is missing.</summary>
    public bool Flag(string name, bool missing)
    {
        if (!Has(name))
        {
            return missing;
        }

        var value = _root.GetProperty(name);
        if (value.ValueKind is JsonValueKind.True or JsonValueKind.False)
        {
            return value.GetBoolean();
        }

        AddFault(FaultKinds.UnsupportedModel, $"{name} is {Untrusted.Show(value.GetRawText())}; it must be true or false.");
        return missing;
    }

    /// <summary>An activation function by transformers' name for it, or the default where it is missing.</summary>
    public Activation Activation(string name, Activation missing)
    {
        if (!Has(name))
        {
            return missing;
        }

        var value = _root.GetProperty(name);
        Activation? activation = (value.ValueKind == JsonValueKind.String ? value.GetString() : null) switch
        {
            "gelu" => Models.Activation.Gelu,
            "gelu_new" or "gelu_pytorch_tanh" => Models.Activation.GeluTanh,
            "relu" => Models.Activation.Relu,
            "silu" or "swish" => Models.Activation.Silu,
            _ => null,
        };
        if (activation is null)
        {
            AddFault(
                FaultKinds.UnsupportedModel,
                $"{name} is {Untrusted.Show(value.GetRawText())}; supported are gelu, gelu_new, gelu_pytorch_tanh, relu, silu, swish.");
        }

        return activation ?? missing;
    }

    /// <summary>Adds a fault of this file.</summary>
    public void AddFault(string kind, string message) => _faults.Add(new Fault(kind, _path, _prefix + message));

    /// <summary>Throws all faults, if there are any.</summary>
    /// <exception cref="InvalidInputException">There are.</exception>
    public void ThrowIfAny()
    {
        if (_faults.Count > 0)
        {
            throw new InvalidInputException(_faults);
        }
    }
}
