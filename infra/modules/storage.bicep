// One storage account for the artifacts (container), the Functions host (its own containers) and the durable backend (queues, tables, leases).
// Keys are off: whoever comes, comes with an identity.

param name string
param location string
param tags object

@description('The container of artifacts: sweeps/, pairs/, activations/, runs/, sums/ and models/.')
param containerName string

@description('Blobs under activations/ are deleted after so many days.')
param activationDays int

@description('Former versions of anything else are deleted so many days after they were written.')
param keepVersionDays int

@description('Where deletions are logged.')
param workspaceId string

@description('The app.')
param appPrincipalId string

@description('Who may read and write artifacts besides; empty for nobody.')
param operatorPrincipalId string
param operatorPrincipalType string

@description('Reached by private endpoints alone, instead of from the internet.')
param isPrivate bool

// The roles' ids are the same in every tenant. The scope is the account and not less, since the host and the durable backend make containers
// (leases, large messages, keys), queues (one a partition) and tables (history, instances) of names of their own.
var appRoles = {
  // Owner, not contributor: the Functions host asks for it, for the leases that say which replica leads.
  'Storage Blob Data Owner': 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  'Storage Queue Data Contributor': '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  'Storage Table Data Contributor': '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
}
var blobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  // One copy in three halls of one region would be Standard_ZRS; activations can be made again, so the cheapest does.
  sku: { name: 'Standard_LRS' }
  properties: {
    accessTier: 'Hot'
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: isPrivate ? 'Deny' : 'Allow'
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2024-01-01' = {
  parent: account
  name: 'default'
  properties: {
    // What is overwritten or deleted stays as a former version, and the lifecycle's rules below say for how long, by folder. Soft delete of
    // blobs cannot be had by folder: it would keep, and bill, every activation for days after its deletion.
    isVersioningEnabled: true
    deleteRetentionPolicy: { enabled: false }
    containerDeleteRetentionPolicy: {
      enabled: true
      days: 14
    }
  }
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2024-01-01' = {
  parent: blobs
  name: containerName
  properties: { publicAccess: 'None' }
}

// Who deleted what. Reads and writes would be a line for each block of each activation.
resource deletions 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: blobs
  name: 'deletions'
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'StorageDelete'
        enabled: true
      }
    ]
  }
}

// activations/ and sums/ are large, and made again where they are missed. sweeps/ (requests, plans, results), pairs/, runs/ (what patched runs
// gave, a few KB each; `headpatch store prune` removes those that no sweep refers to) and models/ stay until somebody deletes them.
resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2024-01-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        {
          name: 'delete-activations'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: {
              blobTypes: ['blockBlob']
              prefixMatch: ['${containerName}/activations/', '${containerName}/sums/']
            }
            actions: {
              baseBlob: { delete: { daysAfterModificationGreaterThan: activationDays } }
              version: { delete: { daysAfterCreationGreaterThan: 0 } }
            }
          }
        }
        {
          // The host's and the backend's own containers too.
          name: 'delete-former-versions'
          enabled: true
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob'] }
            actions: {
              version: { delete: { daysAfterCreationGreaterThan: keepVersionDays } }
            }
          }
        }
      ]
    }
  }
}

resource appRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in items(appRoles): {
    scope: account
    name: guid(account.id, appPrincipalId, role.value)
    properties: {
      principalId: appPrincipalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role.value)
      description: 'HeadPatching: ${role.key}'
    }
  }
]

resource operatorRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(operatorPrincipalId)) {
  scope: container
  name: guid(container.id, operatorPrincipalId, blobDataContributor)
  properties: {
    principalId: operatorPrincipalId
    #disable-next-line BCP036 // one of the allowed values, checked in main.bicep
    principalType: operatorPrincipalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
    description: 'HeadPatching: artifacts and models'
  }
}

output id string = account.id
