using System.Globalization;
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
        string[] read = [.. SettingRead().Matches(source).Select(match => $"HeadPatching__{match.Groups[1].Value}{match.Groups[2].Value}"), .. InsightsSetting().Matches(source).Select(match => match.Groups[1].Value)];
        Assert.Contains("HeadPatching__Store", read);
        Assert.Contains("HeadPatching__KeepHistoryDays", read);
        Assert.Contains("APPLICATIONINSIGHTS_CONNECTION_STRING", read);
        Dictionary<string, string> settings = ArmResources.AppSettings(sample);
        const string Secret = "HeadPatching__CallbackSecret"; // set where the operator has one, and nowhere in a snapshot
        Assert.All(["container-apps", "elastic-premium"], module => Assert.Contains(Secret, RepositoryFolder.Read($"infra/modules/{module}.bicep"), StringComparison.Ordinal));
        Assert.All(read.Where(name => name != Secret), name => Assert.True(settings.ContainsKey(name), $"{name} is read by AppSettings.cs and is not set in main.bicep."));
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
    public void A_GPU_replica_takes_two_activities_the_second_of_which_asks_for_another_replica_and_has_a_GPU()
    {
        Assert.Equal("2", ArmResources.AppSettings("container-apps-gpu")["HeadPatching__ActivitiesAtOnce"]);
        JsonNode[] resources = ArmResources.OfSnapshot("container-apps-gpu");
        JsonNode app = Assert.Single(resources.OfType("Microsoft.App/containerApps"));
        Assert.Equal("functionapp", (string?)app["kind"]);
        var profile = (string?)app["properties"]!["workloadProfileName"];
        var profiles = (JsonArray)Assert.Single(resources.OfType("Microsoft.App/managedEnvironments"))["properties"]!["workloadProfiles"]!;
        Assert.Contains(profiles, known => (string?)known!["name"] == profile && ((string)known["workloadProfileType"]!).Contains("GPU", StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Samples))]
    public void A_host_takes_one_activity_more_than_it_runs(string sample)
    {
        Dictionary<string, string> settings = ArmResources.AppSettings(sample);
        string taken = settings["AzureFunctionsJobHost__extensions__durableTask__maxConcurrentActivityFunctions"];
        Assert.Equal($"{int.Parse(settings["HeadPatching__ActivitiesAtOnce"], CultureInfo.InvariantCulture) + 1}", taken);
    }

    [Theory]
    [MemberData(nameof(Samples))]
    public void Old_activations_and_their_sums_are_deleted_and_of_all_else_only_former_versions(string sample)
    {
        JsonNode lifecycle = Assert.Single(ArmResources.OfSnapshot(sample).OfType("Microsoft.Storage/storageAccounts/managementPolicies"));
        Dictionary<string, JsonNode> rules = ((JsonArray)lifecycle["properties"]!["policy"]!["rules"]!).ToDictionary(rule => (string)rule!["name"]!, rule => rule!["definition"]!);
        Assert.Equal(["delete-activations", "delete-former-versions"], rules.Keys.Order(StringComparer.Ordinal));

        string? container = (string?)ArmResources.AppSettings(sample)["HeadPatching__Container"];
        JsonNode activations = rules["delete-activations"];
        Assert.Equal([$"{container}/activations/", $"{container}/sums/"], ((JsonArray)activations["filters"]!["prefixMatch"]!).Select(prefix => (string?)prefix));
        Assert.True((int)activations["actions"]!["baseBlob"]!["delete"]!["daysAfterModificationGreaterThan"]! >= 1);
        Assert.Equal(0, (int)activations["actions"]!["version"]!["delete"]!["daysAfterCreationGreaterThan"]!);

        JsonNode versions = rules["delete-former-versions"]["actions"]!;
        Assert.Null(versions["baseBlob"]);
        Assert.True((int)versions["version"]!["delete"]!["daysAfterCreationGreaterThan"]! >= 30);
    }

    [Theory]
    [MemberData(nameof(Samples))]
    public void A_deleted_result_can_be_brought_back_and_a_deleted_activation_is_not_kept(string sample)
    {
        JsonNode blobs = Assert.Single(ArmResources.OfSnapshot(sample).OfType("Microsoft.Storage/storageAccounts/blobServices"))["properties"]!;
        Assert.True((bool)blobs["isVersioningEnabled"]!);
        Assert.True((bool)blobs["containerDeleteRetentionPolicy"]!["enabled"]!);
        Assert.False((bool)blobs["deleteRetentionPolicy"]!["enabled"]!); // of every blob alike, activations too
    }

    [Theory]
    [InlineData("container-apps-gpu")]
    [InlineData("container-apps-private")]
    public void A_replica_is_restarted_for_not_answering_and_not_for_its_store(string sample)
    {
        Dictionary<string, JsonNode> probes = ArmResources.Probes(sample);
        Assert.Equal("/api/health/live", (string?)probes["Startup"]["httpGet"]!["path"]);
        Assert.Equal("/api/health/live", (string?)probes["Liveness"]["httpGet"]!["path"]);
        Assert.Equal("/api/health", (string?)probes["Readiness"]["httpGet"]!["path"]);
        Assert.True(Seconds(probes["Startup"]) >= 300 && Seconds(probes["Liveness"]) > 300 && Seconds(probes["Readiness"]) >= 300);

        string functions = RepositoryFolder.Read("src/HeadPatching.Functions/Triggers/SweepTriggers.cs");
        Assert.Contains("AuthorizationLevel.Anonymous, \"get\", \"head\", Route = \"api/health\"", functions, StringComparison.Ordinal);
        Assert.Contains("AuthorizationLevel.Anonymous, \"get\", \"head\", Route = \"api/health/live\"", functions, StringComparison.Ordinal);

        // The service takes no more than ten failures of a probe.
        static int Seconds(JsonNode probe) => (int)probe["failureThreshold"]! is <= 10 and int failures ? failures * (int)probe["periodSeconds"]! : 0;
    }

    [Fact]
    public void An_instance_of_Elastic_Premium_is_replaced_for_not_answering_and_not_for_its_store()
    {
        JsonNode site = Assert.Single(ArmResources.OfSnapshot("elastic-premium").OfType("Microsoft.Web/sites"));
        Assert.Equal("/api/health/live", (string?)site["properties"]!["siteConfig"]!["healthCheckPath"]);
    }

    [Fact]
    public async Task Replicas_come_and_go_with_every_queue_of_the_hub_and_not_with_its_timer()
    {
        JsonNode main = await BicepCli.BuildAsync("main.bicep");
        JsonNode app = main["resources"]!["containerApps"]!["properties"]!;
        string queues = app["parameters"]!["queues"]!.ToString();
        Assert.Contains("format('{0}-workitems', toLower(variables('durable').hubName))", queues, StringComparison.Ordinal);
        Assert.Contains("range(0, variables('durable').storageProvider.partitionCount)", queues, StringComparison.Ordinal);
        Assert.Contains("format('{0}-control-{1}'", queues, StringComparison.Ordinal);
        string patch = app["template"]!["outputs"]!["scalePatch"]!["value"]!.ToString();
        Assert.All(
            ["'allowScalingRuleOverride', true()", "'azureQueue'", "'queueLength', 1", "'http'"],
            part => Assert.Contains(part, patch, StringComparison.Ordinal));
    }

    [Fact]
    public void A_deployment_has_no_rules_of_its_own_which_the_platform_would_refuse_while_an_app_is_created() =>
        Assert.All(["container-apps-gpu", "container-apps-private"], sample =>
        {
            JsonNode scale = Assert.Single(ArmResources.OfSnapshot(sample).OfType("Microsoft.App/containerApps"))["properties"]!["template"]!["scale"]!;
            Assert.Null(scale["allowScalingRuleOverride"]);
            Assert.Null(scale["rules"]);
        });

    [Fact]
    public async Task A_cache_of_models_that_a_replicas_disk_does_not_hold_is_refused()
    {
        Assert.All(RepositoryFolder.Samples, sample => Assert.InRange(int.Parse(ArmResources.AppSettings(sample)["HeadPatching__ModelCacheGiB"], CultureInfo.InvariantCulture), 1, 7));
        Assert.Contains("modelCacheGiB", (await BicepCli.DeployedByAsync("param modelCacheGiB = 8")).Errors, StringComparison.Ordinal);
        Assert.Equal("", (await BicepCli.DeployedByAsync("param modelCacheGiB = 7")).Errors);
        Assert.Equal("", (await BicepCli.DeployedByAsync("param hosting = 'elasticPremium'", "param modelCacheGiB = 80")).Errors);
    }

    [Fact]
    public void A_sample_names_no_principal()
    {
        foreach (string sample in RepositoryFolder.Samples)
        {
            Assert.DoesNotContain("PrincipalId", RepositoryFolder.Read($"infra/{sample}.bicepparam"), StringComparison.Ordinal);
            Assert.All(
                ArmResources.OfSnapshot(sample).OfType("Microsoft.Authorization/roleAssignments"),
                assignment => Assert.Contains("userAssignedIdentities", (string?)assignment["properties"]!["principalId"], StringComparison.Ordinal));
        }
    }

    [Theory]
    [InlineData("containerApps", "Microsoft.App/containerApps/authConfigs")]
    [InlineData("elasticPremium", "Microsoft.Web/sites/config")]
    public async Task Sign_in_and_addresses_guard_the_API_where_they_are_asked_for_and_leave_health_alone(string hosting, string auth)
    {
        (JsonNode[] open, _) = await BicepCli.DeployedByAsync($"param hosting = '{hosting}'");
        Assert.Empty(open.OfType(auth));

        (JsonNode[] guarded, string errors) = await BicepCli.DeployedByAsync(
            $"param hosting = '{hosting}'", "param entraClientId = '11111111-1111-1111-1111-111111111111'", "param allowedIpRanges = ['192.0.2.0/24']");
        Assert.Equal("", errors);
        JsonNode validation = Assert.Single(guarded.OfType(auth))["properties"]!["globalValidation"]!;
        Assert.Equal("Return401", (string?)validation["unauthenticatedClientAction"]);
        Assert.Equal(["/api/health", "/api/health/live"], ((JsonArray)validation["excludedPaths"]!).Select(path => (string?)path));
        JsonNode app = guarded.OfType("Microsoft.App/containerApps").Concat(guarded.OfType("Microsoft.Web/sites")).Single()["properties"]!;
        JsonNode restrictions = (app["configuration"]?["ingress"] ?? app["siteConfig"])!["ipSecurityRestrictions"]!;
        Assert.Contains("192.0.2.0/24", Assert.Single((JsonArray)restrictions)!.ToJsonString(), StringComparison.Ordinal);
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

    [GeneratedRegex(@"own\[""(\w+)""\]|Whole\(own, nameof\((\w+)\)")]
    private static partial Regex SettingRead();

    [GeneratedRegex(@"""(APPLICATIONINSIGHTS_\w+)""")]
    private static partial Regex InsightsSetting();

    [GeneratedRegex(@"^\[resourceId\('([\w./]+)'")]
    private static partial Regex ScopeType();

    [GeneratedRegex(@"listKeys|listAccountSas|listServiceSas|listCredentials|sharedKey\b|AccountKey=|AdminPassword", RegexOptions.IgnoreCase)]
    private static partial Regex KeyOrPassword();
}
