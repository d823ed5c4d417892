using System.Text.Json.Nodes;

namespace HeadPatching.Infra.Tests;

/// <summary>Resources of compiled templates and of snapshots.</summary>
internal static class ArmResources
{
    /// <summary>All resources of a compiled template, those of its modules and theirs included.</summary>
    public static IEnumerable<JsonNode> Of(JsonNode template)
    {
        // With symbolic names resources are an object, otherwise an array.
        IEnumerable<JsonNode?> resources = template["resources"] is JsonObject named ? named.Select(resource => resource.Value) : (JsonArray)template["resources"]!;
        foreach (JsonNode resource in resources.OfType<JsonNode>().Where(resource => (bool?)resource["existing"] != true))
        {
            yield return resource;
            if ((string?)resource["type"] == "Microsoft.Resources/deployments")
            {
                foreach (JsonNode nested in Of(resource["properties"]!["template"]!))
                {
                    yield return nested;
                }
            }
        }
    }

    /// <summary>The resources that a sample deploys, as its committed snapshot has them.</summary>
    public static JsonNode[] OfSnapshot(string sample) => Predicted(RepositoryFolder.Read($"infra/{sample}.snapshot.json"));

    /// <summary>The resources that a snapshot has.</summary>
    public static JsonNode[] Predicted(string snapshot) => [.. ((JsonArray)JsonNode.Parse(snapshot)!["predictedResources"]!).OfType<JsonNode>()];

    /// <summary>Those of a type.</summary>
    public static JsonNode[] OfType(this IEnumerable<JsonNode> resources, string type) => [.. resources.Where(resource => (string?)resource["type"] == type)];

    /// <summary>The app's settings in a sample, whatever hosts it.</summary>
    public static Dictionary<string, string> AppSettings(string sample)
    {
        JsonNode[] resources = OfSnapshot(sample);
        JsonNode? settings = resources.OfType("Microsoft.App/containerApps").SingleOrDefault()?["properties"]!["template"]!["containers"]![0]!["env"]
            ?? resources.OfType("Microsoft.Web/sites").Single()["properties"]!["siteConfig"]!["appSettings"];
        return ((JsonArray)settings!).ToDictionary(setting => (string)setting!["name"]!, setting => (string)setting!["value"]!);
    }

    /// <summary>The probes of the app on Container Apps, by their type.</summary>
    public static Dictionary<string, JsonNode> Probes(string sample) =>
        ((JsonArray)OfSnapshot(sample).OfType("Microsoft.App/containerApps").Single()["properties"]!["template"]!["containers"]![0]!["probes"]!)
            .ToDictionary(probe => (string)probe!["type"]!, probe => probe!);
}
