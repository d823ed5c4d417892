using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace HeadPatching.Infra.Tests;

/// <summary>What must hold of any deployment: no keys, no more rights than needed, every setting there.</summary>
public partial class CompiledTemplateTests
{
    // Role, by its id, and the one type of resource that it may be given on.
    private static readonly Dictionary<string, string> AllowedRoles = new()
    {
        ["b7e6dc6d-f1e8-4753-8033-0f276bb0955b"] = "Microsoft.Storage/storageAccounts",                         // Storage Blob Data Owner
        ["974c5e8b-45b9-4653-ba55-5f855dd0fb88"] = "Microsoft.Storage/storageAccounts",                         // Storage Queue Data Contributor
        ["0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3"] = "Microsoft.Storage/storageAccounts",                         // Storage Table Data Contributor
        ["ba92f5b4-2d11-453d-a403-e96b0029c9fe"] = "Microsoft.Storage/storageAccounts/blobServices/containers", // Storage Blob Data Contributor
        ["7f951dda-4ed3-4680-a7ca-43fe172d538d"] = "Microsoft.ContainerRegistry/registries",                    // AcrPull
        ["3913510d-42f4-4e42-8a64-420c390055eb"] = "Microsoft.Insights/components",                             // Monitoring Metrics Publisher
        ["0ad04412-c4d5-4796-b79c-f76d14c8d402"] = "Microsoft.DurableTask/schedulers/taskHubs",                 // Durable Task Data Contributor
    };

    public static TheoryData<string> Samples => [.. RepositoryFolder.Samples];

    [Fact]
    public async Task The_storage_account_has_no_keys_no_public_blobs_and_TLS_1_2()
    {
        JsonNode account = Assert.Single((await ResourcesAsync()).OfType("Microsoft.Storage/storageAccounts"));
        JsonNode properties = account["properties"]!;
        Assert.False((bool)properties["allowSharedKeyAccess"]!);
        Assert.False((bool)properties["allowBlobPublicAccess"]!);
        Assert.True((bool)properties["supportsHttpsTrafficOnly"]!);
        Assert.Equal("TLS1_2", (string?)properties["minimumTlsVersion"]);
        Assert.All((await ResourcesAsync()).OfType("Microsoft.Storage/storageAccounts/blobServices/containers"), container => Assert.Equal("None", (string?)container["properties"]!["publicAccess"]));
    }

    [Fact]
    public async Task Nothing_reads_a_key_and_nothing_else_takes_one()
    {
        JsonNode template = await BicepCli.BuildAsync("main.bicep");
        Assert.DoesNotMatch(KeyOrPassword(), template.ToJsonString());
        JsonNode[] resources = [.. ArmResources.Of(template)];
        Assert.False((bool)Assert.Single(resources.OfType("Microsoft.ContainerRegistry/registries"))["properties"]!["adminUserEnabled"]!);
        Assert.True((bool)Assert.Single(resources.OfType("Microsoft.Insights/components"))["properties"]!["DisableLocalAuth"]!);
        Assert.True((bool)Assert.Single(resources.OfType("Microsoft.OperationalInsights/workspaces"))["properties"]!["features"]!["disableLocalAuth"]!);
        Assert.All(resources.OfType("Microsoft.Web/sites/basicPublishingCredentialsPolicies"), policy => Assert.False((bool)policy["properties"]!["allow"]!));
    }

    [Fact]
    public async Task Every_role_is_a_data_role_on_the_one_resource_that_needs_it()
    {
        JsonNode[] assignments = (await ResourcesAsync()).OfType("Microsoft.Authorization/roleAssignments");
        Assert.NotEmpty(assignments);
        foreach (JsonNode assignment in assignments)
        {
            // Without a scope it would be on the whole resource group. As compiled: [resourceId('TYPE', ...)].
            var scope = (string?)assignment["scope"];
            Assert.NotNull(scope);
            Match type = ScopeType().Match(scope);
            Assert.True(type.Success, scope);
            Assert.Contains(type.Groups[1].Value, AllowedRoles.Values);
        }
    }

    [Theory]
    [MemberData(nameof(Samples))]
    public void A_sample_gives_each_role_once_on_its_type_of_resource(string sample)
    {
        JsonNode[] assignments = ArmResources.OfSnapshot(sample).OfType("Microsoft.Authorization/roleAssignments");
        string[] roles = [.. assignments.Select(assignment => ((string)assignment["properties"]!["roleDefinitionId"]!).Split('/')[^1])];
        Assert.Equal(roles.Length, roles.Distinct().Count());
        foreach ((JsonNode assignment, string role) in assignments.Zip(roles))
        {
            // The id is the resource's with the assignment after it.
            string on = ((string)assignment["id"]!).Split("Microsoft.Authorization/roleAssignments")[0];
            Assert.Equal(AllowedRoles[role], TypeOf(on));
        }
    }

    [Theory]
    [MemberData(nameof(Samples))]
    public void The_app_is_given_every_setting_that_it_reads(string sample)
    {
        string source = RepositoryFolder.Read("src/HeadPatching.Functions/AppSettings.cs");
        string[] read = [.. SettingRead().Matches(source).Select(match => $"HeadPatching__{match.Groups[1].Value}"), .. InsightsSetting().Matches(source).Select(match => match.Groups[1].Value)];
        Assert.Contains("HeadPatching__Store", read);
        Assert.Contains("APPLICATIONINSIGHTS_CONNECTION_STRING", read);
        Dictionary<string, string> settings = ArmResources.AppSettings(sample);
        Assert.All(read, name => Assert.True(settings.ContainsKey(name), $"{name} is read by AppSettings.cs and is not set in main.bicep."));
        Assert.Equal("dotnet-isolated", settings["FUNCTIONS_WORKER_RUNTIME"]);
    }

    [Theory]
    [MemberData(nameof(Samples))]
    public void The_host_reaches_its_storage_and_its_telemetry_by_identity(string sample)
    {
        Dictionary<string, string> settings = ArmResources.AppSettings(sample);
        JsonNode account = Assert.Single(ArmResources.OfSnapshot(sample).OfType("Microsoft.Storage/storageAccounts"));
        Assert.False(settings.ContainsKey("AzureWebJobsStorage"));
        Assert.Equal((string?)account["name"], settings["AzureWebJobsStorage__accountName"]);
        Assert.Equal("managedidentity", settings["AzureWebJobsStorage__credential"]);
        Assert.Contains("userAssignedIdentities", settings["AzureWebJobsStorage__clientId"], StringComparison.Ordinal);
        Assert.Equal(settings["AzureWebJobsStorage__clientId"], settings["AZURE_CLIENT_ID"]);
        Assert.Contains("Authorization=AAD;ClientId=", settings["APPLICATIONINSIGHTS_AUTHENTICATION_STRING"], StringComparison.Ordinal);
    }

    [Fact]
    public void A_GPU_replica_runs_one_activity_at_a_time_and_has_a_GPU()
    {
        Assert.Equal("1", ArmResources.AppSettings("container-apps-gpu")["HeadPatching__ActivitiesAtOnce"]);
        JsonNode[] resources = ArmResources.OfSnapshot("container-apps-gpu");
        JsonNode app = Assert.Single(resources.OfType("Microsoft.App/containerApps"));
        Assert.Equal("functionapp", (string?)app["kind"]);
        var profile = (string?)app["properties"]!["workloadProfileName"];
        var profiles = (JsonArray)Assert.Single(resources.OfType("Microsoft.App/managedEnvironments"))["properties"]!["workloadProfiles"]!;
        Assert.Contains(profiles, known => (string?)known!["name"] == profile && ((string)known["workloadProfileType"]!).Contains("GPU", StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Samples))]
    public void Old_activations_and_their_sums_are_deleted_and_nothing_else_is(string sample)
    {
        JsonNode lifecycle = Assert.Single(ArmResources.OfSnapshot(sample).OfType("Microsoft.Storage/storageAccounts/managementPolicies"));
        JsonNode rule = Assert.Single((JsonArray)lifecycle["properties"]!["policy"]!["rules"]!)!;
        string? container = (string?)ArmResources.AppSettings(sample)["HeadPatching__Container"];
        Assert.Equal([$"{container}/activations/", $"{container}/sums/"], ((JsonArray)rule["definition"]!["filters"]!["prefixMatch"]!).Select(prefix => (string?)prefix));
        Assert.True((int)rule["definition"]!["actions"]!["baseBlob"]!["delete"]!["daysAfterModificationGreaterThan"]! >= 1);
    }

    [Fact]
    public void Private_networking_closes_the_account_to_the_internet_and_opens_its_three_services_inside()
    {
        JsonNode[] resources = ArmResources.OfSnapshot("container-apps-private");
        JsonNode account = Assert.Single(resources.OfType("Microsoft.Storage/storageAccounts"));
        Assert.Equal("Disabled", (string?)account["properties"]!["publicNetworkAccess"]);
        string[] services = [.. resources.OfType("Microsoft.Network/privateEndpoints")
            .Select(endpoint => (string)endpoint["properties"]!["privateLinkServiceConnections"]![0]!["properties"]!["groupIds"]![0]!)
            .Order(StringComparer.Ordinal)];
        Assert.Equal(["blob", "queue", "table"], services);
        Assert.Equal(3, resources.OfType("Microsoft.Network/privateDnsZones").Length);
    }

    private static async Task<JsonNode[]> ResourcesAsync() => [.. ArmResources.Of(await BicepCli.BuildAsync("main.bicep"))];

    // The type of the last resource of an id: providers/NAMESPACE/TYPE/NAME/TYPE/NAME/...
    private static string TypeOf(string id)
    {
        string[] parts = id.Split("/providers/", StringSplitOptions.RemoveEmptyEntries)[1].Split('\'', ')')[0].Split('/', StringSplitOptions.RemoveEmptyEntries);
        return string.Join('/', [parts[0], .. parts.Skip(1).Where((_, index) => index % 2 == 0)]);
    }

    [GeneratedRegex(@"own\[""(\w+)""\]")]
    private static partial Regex SettingRead();

    [GeneratedRegex(@"""(APPLICATIONINSIGHTS_\w+)""")]
    private static partial Regex InsightsSetting();

    [GeneratedRegex(@"^\[resourceId\('([\w./]+)'")]
    private static partial Regex ScopeType();

    [GeneratedRegex(@"listKeys|listAccountSas|listServiceSas|listCredentials|sharedKey\b|AccountKey=|AdminPassword", RegexOptions.IgnoreCase)]
    private static partial Regex KeyOrPassword();
}
