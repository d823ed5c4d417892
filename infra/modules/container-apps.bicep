// The Functions app on Container Apps, one GPU a replica where the workload profile has one.

param name string
param location string
param tags object

@description('False: the environment without the app, before there is an image.')
param deployApp bool

@description('REGISTRY/NAME:TAG.')
param image string
param registryServer string
param identityId string
param workspaceId string

@description('Empty: a network of the service\'s own.')
param subnetId string
param workloadProfile string
param minReplicas int
param maxReplicas int

@description('The app\'s settings, name to value.')
param settings object

// All of the machine that a GPU replica is billed for; without a GPU, the most that a replica may have.
var sizes = {
  Consumption: { cpu: 4, memory: '8Gi' }
  'Consumption-GPU-NC8as-T4': { cpu: 8, memory: '56Gi' }
  'Consumption-GPU-NC24-A100': { cpu: 24, memory: '220Gi' }
}
var withoutGpu = workloadProfile == 'Consumption'
var profile = withoutGpu ? 'Consumption' : 'gpu'
// In infra/Dockerfile too: a user without rights cannot listen below 1024 everywhere.
var port = 8080

resource environment 'Microsoft.App/managedEnvironments@2025-07-01' = {
  name: '${name}-env'
  location: location
  tags: tags
  properties: {
    // By diagnostic settings: the other way, log-analytics, wants the workspace's key.
    appLogsConfiguration: { destination: 'azure-monitor' }
    vnetConfiguration: empty(subnetId) ? null : { infrastructureSubnetId: subnetId, internal: false }
    workloadProfiles: union(
      [{ name: 'Consumption', workloadProfileType: 'Consumption' }],
      withoutGpu ? [] : [{ name: profile, workloadProfileType: workloadProfile }]
    )
  }
}

resource logs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: environment
  name: 'logs'
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        categoryGroup: 'allLogs'
        enabled: true
      }
    ]
  }
}

resource app 'Microsoft.App/containerApps@2025-07-01' = if (deployApp) {
  name: name
  location: location
  tags: tags
  kind: 'functionapp'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    environmentId: environment.id
    workloadProfileName: profile
    configuration: {
      activeRevisionsMode: 'Single'
      ingress: {
        external: true
        targetPort: port
        allowInsecure: false
      }
      registries: [
        {
          server: registryServer
          identity: identityId
        }
      ]
    }
    template: {
      // A replica that is to go finishes or gives back its activity first.
      terminationGracePeriodSeconds: 600
      containers: [
        {
          name: 'headpatching'
          image: image
          resources: {
            cpu: sizes[workloadProfile].cpu
            memory: sizes[workloadProfile].memory
          }
          env: [for setting in items(settings): { name: setting.key, value: setting.value }]
          probes: [
            {
              type: 'Startup'
              httpGet: { path: '/api/health', port: port }
              periodSeconds: 30
              failureThreshold: 10
            }
            {
              // Patient: libtorch may take every core for a minute, and a restart would throw the running activity away.
              type: 'Liveness'
              httpGet: { path: '/api/health', port: port }
              periodSeconds: 60
              timeoutSeconds: 30
              failureThreshold: 5
            }
          ]
        }
      ]
      scale: {
        minReplicas: minReplicas
        maxReplicas: maxReplicas
        // Half an hour after the last request, the longest that host.json lets an activity take. main.bicep says more at minReplicas.
        cooldownPeriod: 1800
      }
    }
  }
}

output host string = deployApp ? app!.properties.configuration.ingress.fqdn : ''
