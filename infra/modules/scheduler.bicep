// The Durable Task Scheduler with a task hub, paid by the action.

param name string
param location string
param tags object

@description('Who works: the app.')
param workerPrincipalId string

@description('CIDR ranges that it is reached from; the service wants one at least.')
param ipRanges array

var durableTaskDataContributor = '0ad04412-c4d5-4796-b79c-f76d14c8d402'

resource scheduler 'Microsoft.DurableTask/schedulers@2025-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    sku: { name: 'Consumption' }
    ipAllowlist: ipRanges
  }
}

resource hub 'Microsoft.DurableTask/schedulers/taskHubs@2025-11-01' = {
  parent: scheduler
  name: 'headpatching'
}

resource worker 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: hub
  name: guid(hub.id, workerPrincipalId, durableTaskDataContributor)
  properties: {
    principalId: workerPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', durableTaskDataContributor)
    description: 'HeadPatching: Durable Task Data Contributor'
  }
}

output endpoint string = scheduler.properties.endpoint
output taskHub string = hub.name
