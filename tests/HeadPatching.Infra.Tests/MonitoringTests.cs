using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace HeadPatching.Infra.Tests;

/// <summary>Who wants to know how sweeps go: the workbook, the alerts, the logs. Their queries ask for what the app sends.</summary>
public partial class MonitoringTests
{
    public static TheoryData<string> Samples => [.. RepositoryFolder.Samples];

    [Theory]
    [MemberData(nameof(Samples))]
    public void A_failed_sweep_failing_activities_and_undone_work_raise_alerts(string sample)
    {
        JsonNode[] alerts = ArmResources.OfSnapshot(sample).OfType("Microsoft.Insights/scheduledQueryRules");
        Assert.Equal(["activities-failing", "sweep-failed", "work-undone"], alerts.Select(alert => ((string)alert["properties"]!["displayName"]!).Split(' ')[1]).Order(StringComparer.Ordinal));
        Assert.All(alerts, alert => Assert.Contains(".outputs.insightsId.value", (string?)alert["properties"]!["scopes"]![0], StringComparison.Ordinal));
    }

    [Fact]
    public async Task With_an_address_the_alerts_and_the_budget_are_sent_there()
    {
        (JsonNode[] resources, string errors) = await BicepCli.DeployedByAsync("param alertEmail = 'someone@example.com'", "param monthlyBudget = 100", "param budgetStart = '2027-01-01'");
        Assert.Equal("", errors);
        Assert.Single(resources.OfType("Microsoft.Insights/actionGroups"));
        Assert.All(resources.OfType("Microsoft.Insights/scheduledQueryRules"), alert => Assert.Single((JsonArray)alert["properties"]!["actions"]!["actionGroups"]!));
        JsonNode budget = Assert.Single(resources.OfType("Microsoft.Consumption/budgets"));
        Assert.Equal("someone@example.com", (string?)budget["properties"]!["notifications"]!["nearly"]!["contactEmails"]![0]);
    }

    [Theory]
    [MemberData(nameof(Samples))]
    public void Deletions_pulls_and_the_apps_environment_are_logged(string sample)
    {
        JsonNode[] resources = ArmResources.OfSnapshot(sample);
        int environments = resources.OfType("Microsoft.App/managedEnvironments").Length;
        Assert.Equal(2 + environments, resources.OfType("Microsoft.Insights/diagnosticSettings").Length);
    }

    [Fact]
    public void The_workbook_shows_pace_durations_failures_and_what_was_run_again()
    {
        JsonNode workbook = Assert.Single(ArmResources.OfSnapshot("container-apps-gpu").OfType("Microsoft.Insights/workbooks"));
        JsonNode content = JsonNode.Parse((string)workbook["properties"]!["serializedData"]!)!;
        string[] parts = [.. ((JsonArray)content["items"]!).Select(item => (string)item!["name"]!)];
        Assert.Equal(["head", "parameters", "sweeps", "pace", "work", "gpu", "durations", "trouble", "failures"], parts);
        Assert.All(Queries(content), query => Assert.True(Balanced(query), query));
    }

    [Fact]
    public void Every_attribute_that_is_asked_for_is_one_that_the_app_sends()
    {
        string sent = RepositoryFolder.Read("src/HeadPatching.Sweeps/Engine/SweepTelemetry.cs") + RepositoryFolder.Read("src/HeadPatching.Functions/Orchestration/ActivityTelemetry.cs");
        string[] queries =
        [
            .. Queries(JsonNode.Parse(RepositoryFolder.Read("infra/modules/sweeps.workbook.json"))!),
            .. ArmResources.OfSnapshot("container-apps-gpu").OfType("Microsoft.Insights/scheduledQueryRules").Select(alert => (string)alert["properties"]!["criteria"]!["allOf"]![0]!["query"]!),
            .. ReadmeQuery().Matches(RepositoryFolder.Read("infra/README.md")).Select(match => match.Groups[1].Value),
        ];
        string[] asked = [.. queries.SelectMany(query => Attribute().Matches(query)).Select(match => match.Groups[1].Value).Distinct()];
        Assert.Contains("headpatching.sweep.id", asked);
        Assert.All(asked, attribute => Assert.Contains($"\"{attribute}\"", sent, StringComparison.Ordinal));
    }

    [Fact]
    public void The_alert_of_failed_sweeps_names_the_orchestrator()
    {
        Assert.Contains("Name = \"Sweep\"", RepositoryFolder.Read("src/HeadPatching.Functions/Orchestration/SweepOrchestrator.cs"), StringComparison.Ordinal);
        Assert.Contains("'Sweep (Orchestrator)' failed with an error", RepositoryFolder.Read("infra/modules/alerts.bicep").Replace("\\'", "'", StringComparison.Ordinal), StringComparison.Ordinal);

        // It is an error in a category of which host.json keeps warnings and worse.
        JsonNode levels = JsonNode.Parse(RepositoryFolder.Read("host.json"))!["logging"]!["logLevel"]!;
        Assert.Contains((string?)levels["Host.Triggers.DurableTask"], (string[])["Trace", "Debug", "Information", "Warning"]);
        Assert.Contains((string?)levels["DurableTask"], (string[])["Trace", "Debug", "Information", "Warning"]);
    }

    private static IEnumerable<string> Queries(JsonNode node) => node switch
    {
        JsonObject properties => properties.SelectMany(property => property is { Key: "query", Value: JsonValue text } ? [(string)text!] : property.Value is null ? [] : Queries(property.Value)),
        JsonArray items => items.OfType<JsonNode>().SelectMany(Queries),
        _ => [],
    };

    // Outside of strings.
    private static bool Balanced(string query)
    {
        string code = Text().Replace(query, "");
        return code.Count(c => c == '(') == code.Count(c => c == ')') && code.Count(c => c == '[') == code.Count(c => c == ']') && !code.Contains('"', StringComparison.Ordinal);
    }

    [GeneratedRegex("\"[^\"\n]*\"")]
    private static partial Regex Text();

    [GeneratedRegex(@"customDimensions\[""([^""]+)""\]")]
    private static partial Regex Attribute();

    [GeneratedRegex(@"```kusto\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex ReadmeQuery();
}
