namespace HeadPatching.Core.Tests.Models;

/// <summary>The reference models in <c>shared/golden</c> beside the repository.</summary>
internal static class GoldenModels
{
    /// <summary>A reference model's folder; skips the test where there is none.</summary>
    public static string Folder(string name)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var golden = Path.Combine(folder.FullName, "shared", "golden", name);
            if (Directory.Exists(golden))
            {
                return golden;
            }
        }

        Assert.Skip($"shared/golden/{name} is not beside the repository.");
        return "";
    }
}
