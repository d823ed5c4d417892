namespace HeadPatching.Testing;

/// <summary>Azurite cannot be had on this machine; the message says why. Tests that need it are skipped.</summary>
public sealed class AzuriteUnavailableException(string message) : Exception(message);
