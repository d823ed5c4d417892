using System.Net;
using System.Text.Json;
using HeadPatching.Testing;

namespace HeadPatching.Http.Tests;

/// <summary>A model that is pushed to the store of a server that runs already.</summary>
public class StoredModelTests
{
    [Fact]
    public async Task A_pushed_model_is_listed_and_swept_without_a_restart_and_before_that_it_is_unknown()
    {
        using var folder = new TemporaryFolder();
        LongSweep.WriteModel(folder["uploaded"]); // and not in the server's own folder of models
        await using InProcessServer server = await InProcessServer.StartAsync(folder.Path);
        const string Body = """{"model": "pushed", "pairs": [{"clean": [1, 2, 3], "corrupted": [1, 4, 3], "correct": 5, "incorrect": 6}]}""";
        using (HttpResponseMessage refused = await server.Client.PostAsync(Body))
        {
            Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
            Assert.Contains("There is no model 'pushed'", await refused.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        }

        var (exitCode, _, error) = await HeadpatchProcess.RunAsync(
            folder.Path, "model", "push", Path.Combine(folder["uploaded"], LongSweep.Model), "pushed", "--store", folder["store"], "--quiet");
        Assert.Equal((0, ""), (exitCode, error.Trim()));

        JsonElement models = (await server.Client.GetAsync("/api/models")).GetProperty("models");
        JsonElement listed = Assert.Single(models.EnumerateArray(), model => model.GetProperty("name").GetString() == "pushed");
        Assert.Equal(LongSweep.Layers, listed.GetProperty("layers").GetInt32());
        JsonElement ended = await server.Client.WaitForEndAsync(await server.Client.StartAsync(Body));
        Assert.Equal("completed", ended.GetProperty("status").GetString());
    }
}
