// Log Analytics, Application Insights in it, and a workbook of the sweeps. Only identities may send: the connection string is an address, not a secret.

param name string
param location string
param tags object

@description('Who sends: the app.')
param publisherPrincipalId string

// Also traces and logs, whatever its name says.
var monitoringMetricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: '${name}-logs'
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: 30
    // A bound on the bill; logs of more than this in a day are dropped until the next.
    workspaceCapping: { dailyQuotaGb: 1 }
    features: { disableLocalAuth: true }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: '${name}-insights'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    DisableLocalAuth: true
  }
}

resource publisher 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: insights
  name: guid(insights.id, publisherPrincipalId, monitoringMetricsPublisher)
  properties: {
    principalId: publisherPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', monitoringMetricsPublisher)
    description: 'HeadPatching: Monitoring Metrics Publisher'
  }
}

// What its queries ask for is what src/HeadPatching.Functions/Orchestration/ActivityTelemetry.cs sends.
resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(insights.id, 'sweeps')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'HeadPatching: sweeps'
    category: 'workbook'
    sourceId: insights.id
    serializedData: string(loadJsonContent('sweeps.workbook.json'))
  }
}

output workspaceId string = workspace.id
output connectionString string = insights.properties.ConnectionString
output insightsId string = insights.id
