namespace HeadPatching.DemoModel;

/// <summary>Where the demo model lies.</summary>
public static class DemoModelFolder
{
    /// <summary>The name of its folder, and of the model.</summary>
    public const string Name = "ioi-demo";

    /// <summary>The trained model as it came with the build, beside the program's own files.</summary>
    public static string Built => Path.Combine(AppContext.BaseDirectory, Name);

    /// <summary>The folder in the source tree where the program was built there, <c>./ioi-demo</c> otherwise.</summary>
    public static string Source
    {
        get
        {
            for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            {
                if (File.Exists(Path.Combine(folder.FullName, "HeadPatching.DemoModel.csproj")))
                {
                    return Path.Combine(folder.FullName, Name);
                }
            }

            return Path.Combine(Directory.GetCurrentDirectory(), Name);
        }
    }
}
