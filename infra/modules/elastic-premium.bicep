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

var inNetwork = !empty(subnetId)

// What the plan needs besides. The port is the one in infra/Dockerfile.
var allSettings = union(settings, sendsCallbacks ? { HeadPatching__CallbackSecret: callbackSecret } : {}, {
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
      // An instance that does not answer is replaced; one whose store is away is not, for another would have none either.
      healthCheckPath: '/api/health/live'
      ipSecurityRestrictionsDefaultAction: empty(allowedIpRanges) ? 'Allow' : 'Deny'
      ipSecurityRestrictions: [
        for (range, index) in allowedIpRanges: {
          name: 'allowed-${index}'
          ipAddress: range
          action: 'Allow'
          priority: 100 + index
        }
      ]
      minimumElasticInstanceCount: minInstances
      functionAppScaleLimit: maxInstances
      vnetRouteAllEnabled: inNetwork
      // In a network the scale controller cannot look into the storage; the host then tells it how long the queues are.
      functionsRuntimeScaleMonitoringEnabled: inNetwork
      appSettings: [for setting in items(allSettings): { name: setting.key, value: setting.value }]
    }
  }

  resource auth 'config' = if (!empty(entraClientId)) {
    name: 'authsettingsV2'
    properties: {
      platform: { enabled: true }
      globalValidation: {
        requireAuthentication: true
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
