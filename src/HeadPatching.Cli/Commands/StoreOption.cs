using System.CommandLine;

namespace HeadPatching.Cli.Commands;

/// <summary>The option that names a store, as each command that has one means it.</summary>
internal static class StoreOption
{
    private const string Name = "--store", Value = "FOLDER|CONNECTION", Kinds = "a folder, or Azure Storage's connection string or account URL";

    /// <summary>A store that has a place of its own where none is named.</summary>
    /// <param name="what">What is kept in it.</param>
    /// <param name="host">Whose place it is (<see cref="DefaultFolders.Store"/>).</param>
    public static Option<string> WithDefault(string what, string host) =>
        new(Name) { Description = $"{what}: {Kinds}", HelpName = Value, DefaultValueFactory = _ => DefaultFolders.Store(host) };

    /// <summary>The store that workers share, which has to be named.</summary>
    public static Option<string> OfWorkers() => new(Name) { Description = $"The store of the workers: {Kinds}", HelpName = Value, Required = true };

    /// <summary>A store whose models are there beside the others.</summary>
    public static Option<string?> OfMoreModels() => new(Name) { Description = $"Also the models of this store: {Kinds}", HelpName = Value };
}
