// The Functions app as a Linux container on an Elastic Premium plan: no GPU, never at zero, no cold start.

param name string
param location string
param tags object

@description('False: the plan without the app, before there is an image.')
param deployApp bool

@description('REGISTRY/NAME:TAG.')
param image string
param identityId string
param identityClientId string

@description('Empty: no virtual network.')
param subnetId string
param plan string

@description('At least 1: an Elastic Premium plan is never empty.')
param minInstances int
param maxInstances int

@description('The app\'s settings, name to value.')
param settings object

var inNetwork = !empty(subnetId)

// What the plan needs besides. The port is the one in infra/Dockerfile.
var allSettings = union(settings, {
  WEBSITES_PORT: '8080'
  WEBSITES_ENABLE_APP_SERVICE_STORAGE: 'false'
})

resource serverFarm 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: '${name}-plan'
  location: location
  tags: tags
  kind: 'elastic'
  sku: {
    name: plan
    tier: 'ElasticPremium'
  }
  properties: {
    reserved: true // Linux
    maximumElasticWorkerCount: maxInstances
  }
}

resource app 'Microsoft.Web/sites@2024-04-01' = if (deployApp) {
  name: name
  location: location
  tags: tags
  kind: 'functionapp,linux,container'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: serverFarm.id
    httpsOnly: true
    virtualNetworkSubnetId: inNetwork ? subnetId : null
    siteConfig: {
      linuxFxVersion: 'DOCKER|${image}'
      acrUseManagedIdentityCreds: true
      acrUserManagedIdentityID: identityClientId
      minTlsVersion: '1.2'
      ftpsState: 'Disabled'
      healthCheckPath: '/api/health'
      minimumElasticInstanceCount: minInstances
      functionAppScaleLimit: maxInstances
      vnetRouteAllEnabled: inNetwork
      // In a network the scale controller cannot look into the storage; the host then tells it how long the queues are.
      functionsRuntimeScaleMonitoringEnabled: inNetwork
      appSettings: [for setting in items(allSettings): { name: setting.key, value: setting.value }]
    }
  }

  // No passwords for deploying, neither by FTP nor by web.
  resource ftp 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }
  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

output host string = deployApp ? app!.properties.defaultHostName : ''
