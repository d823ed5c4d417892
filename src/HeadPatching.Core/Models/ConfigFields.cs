using System.Text.Json;
using HeadPatching.Core.Faults;

namespace HeadPatching.Core.Models;

/// <summary>
/// The fields of a config.json. A field that is missing or wrong adds a fault and reads as null or its default, so that one reading finds
/// all faults; <see cref="ThrowIfAny"/> throws them at the end.
/// </summary>
internal sealed class ConfigFields(JsonElement root, string path)
{
    private readonly List<Fault> _faults = [];

    /// <summary>Whether the field is there and not null.</summary>
    public bool Has(string name) => root.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null;

    /// <summary>Whether the field is there, be it as null.</summary>
    public bool Mentions(string name) => root.TryGetProperty(name, out _);

    /// <summary>A field that must be there, an integer from 1 to <paramref name="max"/>; null where it is not so.</summary>
    public int? Size(string name, int max)
    {
        if (!Has(name))
        {
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

        var value = root.GetProperty(name);
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

        var value = root.GetProperty(name);
        if (value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && number is > 0 and < 1)
        {
            return number;
        }

        AddFault(FaultKinds.UnsupportedModel, $"{name} is {Untrusted.Show(value.GetRawText())}; it must be a number above 0 and below 1.");
        return missing;
    }

    /// <summary>True or false, or the default where it is missing.</summary>
    public bool Flag(string name, bool missing)
    {
        if (!Has(name))
        {
            return missing;
        }

        var value = root.GetProperty(name);
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

        var value = root.GetProperty(name);
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
    public void AddFault(string kind, string message) => _faults.Add(new Fault(kind, path, message));

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
