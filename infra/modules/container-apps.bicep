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

@description('The storage account of the queues below.')
param queueAccount string

@description('The durable backend\'s queues: as many replicas as the longest has messages. Empty: the platform\'s own rules.')
param queues array

@description('CIDR ranges that may call; empty for all.')
param allowedIpRanges array

@description('Client id of an app registration whose tokens calls must carry; empty for none.')
param entraClientId string

@description('The app\'s settings, name to value.')
param settings object

@description('Whether it sends callbacks, and so has a secret that they are signed with.')
param sendsCallbacks bool

@description('That secret.')
@secure()
param callbackSecret string

// All of the machine that a GPU replica is billed for; without a GPU, the most that a replica may have.
var sizes = {
  Consumption: { cpu: 4, memory: '8Gi' }
  'Consumption-GPU-NC8as-T4': { cpu: 8, memory: '56Gi' }
  'Consumption-GPU-NC24-A100': { cpu: 24, memory: '220Gi' }
}
var withoutGpu = workloadProfile == 'Consumption'
var profile = withoutGpu ? 'Consumption' : 'gpu'
var byQueues = !empty(queues)
var scale = {
  minReplicas: minReplicas
  maxReplicas: maxReplicas
  // Without the queues only calls keep it awake: then for the longest that host.json lets an activity take.
  cooldownPeriod: byQueues ? 300 : 1800
}
// In infra/Dockerfile too: a user without rights cannot listen below 1024 everywhere.
var port = 8080

resource appEnvironment 'Microsoft.App/managedEnvironments@2025-07-01' = {
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
  scope: appEnvironment
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
    environmentId: appEnvironment.id
    workloadProfileName: profile
    configuration: {
      activeRevisionsMode: 'Single'
      ingress: {
        external: true
        targetPort: port
        allowInsecure: false
        ipSecurityRestrictions: [
          for (range, index) in allowedIpRanges: { name: 'allowed-${index}', ipAddressRange: range, action: 'Allow' }
        ]
      }
      registries: [
        {
          server: registryServer
          identity: identityId
        }
      ]
      secrets: sendsCallbacks ? [{ name: 'callback-secret', value: callbackSecret }] : []
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
          env: concat(
            map(items(settings), setting => { name: setting.key, value: setting.value }),
            sendsCallbacks ? [{ name: 'HeadPatching__CallbackSecret', secretRef: 'callback-secret' }] : []
          )
          // live asks no store: while the store is away the app answers 503 with the reason, and a restart would mend nothing.
          probes: [
            {
              type: 'Startup'
              httpGet: { path: '/api/health/live', port: port }
              periodSeconds: 30
              failureThreshold: 10
            }
            {
              // Patient: libtorch may take every core for a minute, and a restart would throw the running activity away.
              type: 'Liveness'
              httpGet: { path: '/api/health/live', port: port }
              periodSeconds: 60
              timeoutSeconds: 30
              failureThreshold: 10
            }
            {
              // Without the store for five minutes: no more calls are sent to it. It is not restarted for that.
              type: 'Readiness'
              httpGet: { path: '/api/health', port: port }
              periodSeconds: 30
              timeoutSeconds: 20
              failureThreshold: 10
            }
          ]
        }
      ]
      scale: scale
    }
  }

  resource auth 'authConfigs' = if (!empty(entraClientId)) {
    name: 'current'
    properties: {
      platform: { enabled: true }
      globalValidation: {
        unauthenticatedClientAction: 'Return401'
        excludedPaths: ['/api/health', '/api/health/live']
      }
      identityProviders: {
        azureActiveDirectory: {
          enabled: true
          registration: {
            clientId: entraClientId
            openIdIssuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
          }
          validation: { allowedAudiences: [entraClientId, 'api://${entraClientId}'] }
        }
      }
    }
  }
}

output host string = deployApp ? app!.properties.configuration.ingress.fqdn : ''

// The platform would make a rule of each trigger that it knows: none of Azure Storage's durable queues, so that a sweep would stop when nobody asks
// for it, and one of the timer that tidies every five minutes, which would keep a GPU awake for ever. An activity's message stays in the queue,
// unseen, until the activity has ended, and is counted: a replica that works is not taken away for want of work. Rules of one's own are refused
// while an app is created, and every deployment of the app takes them away: infra/hooks/scale.sh patches them in afterwards.
output scalePatch object = byQueues
  ? {
      properties: {
        template: {
          scale: union(scale, {
            allowScalingRuleOverride: true
            rules: concat(
              [{ name: 'http', http: { metadata: { concurrentRequests: '100' } } }],
              map(queues, queue => {
                name: queue
                azureQueue: {
                  accountName: queueAccount
                  queueName: queue
                  queueLength: 1
                  identity: identityId
                }
              })
            )
          })
        }
      }
    }
  : {}

output appId string = deployApp ? app!.id : ''
