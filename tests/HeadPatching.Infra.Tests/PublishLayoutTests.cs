using System.Text.Json.Nodes;

namespace HeadPatching.Infra.Tests;

/// <summary>What the Functions host and libtorch must find in /home/site/wwwroot.</summary>
public class PublishLayoutTests(PublishedApp app) : IClassFixture<PublishedApp>
{
    [Fact]
    public async Task The_published_folder_has_what_the_Functions_host_expects()
    {
        string folder = await app.FolderAsync();
        Assert.All(
            ["host.json", "functions.metadata", "extensions.json", "worker.config.json", ".azurefunctions/function.deps.json", "HeadPatching.Functions.dll"],
            file => Assert.True(File.Exists(Path.Combine(folder, file)), file));

        JsonNode worker = Json(folder, "worker.config.json")["description"]!;
        Assert.Equal("dotnet-isolated", (string?)worker["language"]);
        Assert.True(File.Exists(Path.Combine(folder, (string)worker["defaultWorkerPath"]!)));

        // The host loads each extension from where this file says.
        var extensions = (JsonArray)Json(folder, "extensions.json")["extensions"]!;
        Assert.Contains(extensions, extension => (string?)extension!["name"] == "DurableTask");
        Assert.All(extensions, extension => Assert.True(File.Exists(Path.Combine(folder, (string)extension!["hintPath"]!)), (string?)extension!["hintPath"]));

        string[] functions = [.. ((JsonArray)Json(folder, "functions.metadata")).Select(function => (string)function!["name"]!)];
        Assert.All(["SubmitSweep", "GetSweep", "GetHealth", "UnknownRoute"], name => Assert.Contains(name, functions));
    }

    [Fact]
    public async Task Of_models_only_the_demo_is_in_it_and_of_native_libraries_those_of_Linux_x64()
    {
        string folder = await app.FolderAsync();
        Assert.Equal(["ioi-demo"], Directory.GetDirectories(Path.Combine(folder, "models")).Select(model => Path.GetFileName(model)));
        Assert.True(File.Exists(Path.Combine(folder, "models", "ioi-demo", "model.safetensors")));
        Assert.All(["libLibTorchSharp.so", "libtorch.so", "libc10.so", "libSkiaSharp.so"], library => Assert.True(File.Exists(Path.Combine(folder, library)), library));
        Assert.False(Directory.Exists(Path.Combine(folder, "runtimes")), "runtimes/ holds libraries of other systems.");
        Assert.False(File.Exists(Path.Combine(folder, "local.settings.json")));
    }

    private static JsonNode Json(string folder, string file) => JsonNode.Parse(File.ReadAllText(Path.Combine(folder, file)))!;
}
