namespace HeadPatching.Core.Models.Families.Configs;

/// <summary>
/// The most that a config.json may say of a size: far above every published model and far below what an int or a machine holds. Beyond
/// them, the file is wrong.
/// </summary>
internal static class Limits
{
    public const int Layers = 1_000;
    public const int Width = 1 << 17;
    public const int MlpWidth = 1 << 20;
    public const int Experts = 1 << 14;
    public const int Context = 1 << 22;
    public const int Vocabulary = 1 << 24;

    /// <summary>
    /// The longest prompt of a model with rotary positions. Its tables have a row for each position, and some models claim millions; nobody
    /// patches heads over so many.
    /// </summary>
    public const int RotaryContext = 1 << 17;
}
