using HeadPatching.Core.Faults;

namespace HeadPatching.Sweeps.Models;

/// <summary>A model that a sweep was made with cannot be lent any more: it is gone, or has changed since.</summary>
/// <param name="model">Its name.</param>
/// <param name="cause">What was found.</param>
public sealed class ModelUnavailableException(string model, InvalidInputException cause)
    : Exception($"The model '{model}' is not there any more as it was: {string.Join(' ', cause.Faults.Select(fault => fault.Message))}", cause);
