// HeadPatching in Azure, into one resource group: storage, an identity, a registry, monitoring, and the Functions app on Container Apps
// (with or without a GPU) or on an Elastic Premium plan. README.md beside this file goes through it command by command.
// There is no key anywhere: everything the app reaches, it reaches by its identity.

targetScope = 'resourceGroup'

@description('Starts every name. Lower-case letters and digits.')
@minLength(3)
@maxLength(9)
param prefix string = 'headpatch'

@description('Where everything is put. Serverless GPUs are not in every region, and need quota.')
param location string = resourceGroup().location

@description('Put on every resource.')
param tags object = { application: 'headpatching' }

@description('What runs the app. Only Container Apps has GPUs.')
@allowed(['containerApps', 'elasticPremium'])
param hosting string = 'containerApps'

@description('The image in this registry, NAME:TAG. Empty: everything but the app, so that there is a registry to push the image to.')
param image string = ''

@description('Container Apps: the kind of machine. One GPU a replica with the two GPU profiles.')
@allowed(['Consumption', 'Consumption-GPU-NC8as-T4', 'Consumption-GPU-NC24-A100'])
param workloadProfile string = 'Consumption'

@description('Elastic Premium: EP1 has 1 core and 3.5 GB, EP2 2 cores and 7 GB, EP3 4 cores and 14 GB.')
@allowed(['EP1', 'EP2', 'EP3'])
param premiumPlan string = 'EP2'

// With Azure Storage as the durable backend the hub's queues say how many replicas there are (modules/container-apps.bicep): none when they are
// empty, so that zero costs nothing and no sweep stops in the middle. With the Durable Task Scheduler the platform makes the rules itself.
// To hold replicas, set this when you deploy, before the sweep: a change of it later makes a new revision, which replaces every replica.
// An Elastic Premium plan has at least one instance, always.
@description('Replicas (Container Apps) or always-ready instances (Elastic Premium, where 0 is taken as 1) that are there without any request.')
@minValue(0)
@maxValue(20)
param minReplicas int = 0

@description('At most so many replicas or instances: the bound on what an hour can cost.')
@minValue(1)
@maxValue(20)
param maxReplicas int = 2

// On a GPU the second waits for its turn; its message in the queue is what asks for another replica.
@description('Patching activities at once in a replica: two at least where the queues say how many replicas there are.')
@minValue(1)
@maxValue(8)
param activitiesAtOnce int = 2

@description('Threads that libtorch takes for an activity; 0: the cores, shared out among the activities.')
@minValue(0)
@maxValue(256)
param torchThreads int = 0

@description('A folder in the image or mounted into it whose subfolders are models, beside the demo model. Empty: none.')
param modelsFolder string = ''

// A replica of Container Apps with more than one core has a disk of 8 GiB, with a GPU too, and no more can be asked for. A model that is larger
// than this cache is refused by name (too-large) before anything is downloaded.
@description('How much of a replica\'s own disk models of the store may take, in GiB: the largest at least. Container Apps: 7 at most. 0: none, weights go from the store straight into memory.')
@minValue(0)
param modelCacheGiB int = 6

@description('Cached activations are deleted after so many days; a later sweep on the same prompts makes them again. Results stay.')
@minValue(1)
@maxValue(365)
param activationDays int = 7

@description('What was overwritten or deleted in the store can be brought back until so many days after it was written; not activations.')
@minValue(1)
@maxValue(3650)
param keepVersionDays int = 90

@description('The durable engine keeps the history of a sweep that has ended for so many days; its results and status stay in the store.')
@minValue(0)
@maxValue(3650)
param keepHistoryDays int = 7

@description('Hosts that a sweep\'s callback may go to, with commas between them. Empty: no callbacks.')
param callbackHosts string = ''

@description('What callbacks are signed with, of at least 16 characters: with callbackHosts alone, and known to the receivers.')
@secure()
param callbackSecret string = ''

@description('The Durable Task Scheduler instead of Azure Storage; the image must be built with DURABLE_TASK_SCHEDULER=true.')
param durableTaskScheduler bool = false

// The scheduler wants a list, and the app's own addresses change and are not known beforehand; what lets the app in is its identity. Narrow it
// where the app leaves through an address that stays, such as a NAT gateway's.
@description('From which addresses the Durable Task Scheduler is reached, as CIDR ranges.')
param schedulerIpRanges array = ['0.0.0.0/0']

@description('Storage is reached only from a virtual network of its own. The API stays on the internet, behind its keys.')
param privateNetworking bool = false

@description('From which addresses the API is reached, as CIDR ranges. Empty: from all.')
param allowedIpRanges array = []

@description('Client id of an app registration: calls then need a Microsoft Entra token for it, beside the key. Empty: the key alone.')
param entraClientId string = ''

@description('Basic does. Premium is for artifact streaming, which shortens the start of a replica with a large image.')
@allowed(['Basic', 'Standard', 'Premium'])
param registrySku string = 'Basic'

@description('Who is told of failed sweeps and of the budget. Empty: the alerts are in the portal only.')
param alertEmail string = ''

@description('What the resource group may cost a month, in the subscription\'s currency: alertEmail is told at 80 % and at 100 %. 0: no budget.')
@minValue(0)
param monthlyBudget int = 0

@description('The first day of the month in which the budget begins, such as 2027-01-01. It cannot be changed later.')
param budgetStart string = ''

@description('Object id of a user or group who may read and write artifacts and models (headpatch --store URL). Empty: nobody but the app.')
param operatorPrincipalId string = ''

@description('What operatorPrincipalId is.')
@allowed(['User', 'Group', 'ServicePrincipal'])
param operatorPrincipalType string = 'User'

var suffix = uniqueString(resourceGroup().id)
var appName = '${prefix}-${suffix}'
var storageName = '${prefix}${suffix}'
var artifactContainer = 'headpatching'
var onContainerApps = hosting == 'containerApps'
var hasApp = !empty(image)
var durable = loadJsonContent('../host.json').extensions.durableTask
var mostCacheGiB = onContainerApps ? 7 : modelCacheGiB

// What the app and its host read. Names with two underscores are sections: HeadPatching__Store is HeadPatching:Store, and
// AzureFunctionsJobHost__... replaces a value of host.json.
var appSettings = union(
  {
    FUNCTIONS_WORKER_RUNTIME: 'dotnet-isolated'
    FUNCTIONS_EXTENSION_VERSION: '~4'
    AzureWebJobsStorage__accountName: storageName
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__clientId: identity.properties.clientId
    // The API's keys are kept in the storage account, so that they outlive every replica.
    AzureWebJobsSecretStorageType: 'blob'
    // Azure.Identity in the app takes the identity with this client id; a user-assigned one is not found by itself.
    AZURE_CLIENT_ID: identity.properties.clientId
    APPLICATIONINSIGHTS_CONNECTION_STRING: monitoring.outputs.connectionString
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'Authorization=AAD;ClientId=${identity.properties.clientId}'
    HeadPatching__ActivitiesAtOnce: string(activitiesAtOnce)
    HeadPatching__Store: 'https://${storageName}.blob.${environment().suffixes.storage}'
    HeadPatching__Container: artifactContainer
    HeadPatching__Models: modelsFolder
    HeadPatching__ModelCache: '/home/model-cache'
    HeadPatching__ModelCacheGiB: modelCacheGiB <= mostCacheGiB
      ? string(modelCacheGiB)
      : fail('modelCacheGiB is more than a replica\'s disk holds: 7 at most on Container Apps')
    HeadPatching__KeepHistoryDays: string(keepHistoryDays)
    HeadPatching__CallbackHosts: callbackHosts
    HeadPatching__TorchThreads: string(torchThreads)
    // One more than run: it waits a moment for a place, and a host that took more would keep them from the others.
    AzureFunctionsJobHost__extensions__durableTask__maxConcurrentActivityFunctions: string(activitiesAtOnce + 1)
  },
  durableTaskScheduler
    ? {
        DURABLE_TASK_SCHEDULER_CONNECTION_STRING: 'Endpoint=${scheduler!.outputs.endpoint};Authentication=ManagedIdentity;ClientID=${identity.properties.clientId}'
        AzureFunctionsJobHost__extensions__durableTask__hubName: scheduler!.outputs.taskHub
        AzureFunctionsJobHost__extensions__durableTask__storageProvider__type: 'azureManaged'
        AzureFunctionsJobHost__extensions__durableTask__storageProvider__connectionStringName: 'DURABLE_TASK_SCHEDULER_CONNECTION_STRING'
      }
    : {}
)

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' = {
  name: '${appName}-id'
  location: location
  tags: tags
}

module network 'modules/network.bicep' = if (privateNetworking) {
  params: {
    name: '${appName}-vnet'
    location: location
    tags: tags
    appDelegation: onContainerApps ? 'Microsoft.App/environments' : 'Microsoft.Web/serverFarms'
  }
}

module storage 'modules/storage.bicep' = {
  params: {
    name: storageName
    location: location
    tags: tags
    containerName: artifactContainer
    activationDays: activationDays
    keepVersionDays: keepVersionDays
    workspaceId: monitoring.outputs.workspaceId
    appPrincipalId: identity.properties.principalId
    operatorPrincipalId: operatorPrincipalId
    operatorPrincipalType: operatorPrincipalType
    isPrivate: privateNetworking
  }
}

module privateEndpoints 'modules/private-endpoints.bicep' = if (privateNetworking) {
  params: {
    storageName: storageName
    storageId: storage.outputs.id
    location: location
    tags: tags
    subnetId: network!.outputs.endpointSubnetId
    virtualNetworkId: network!.outputs.id
  }
}

module registry 'modules/registry.bicep' = {
  params: {
    name: '${prefix}${suffix}'
    location: location
    tags: tags
    sku: registrySku
    pullPrincipalId: identity.properties.principalId
    workspaceId: monitoring.outputs.workspaceId
  }
}

module monitoring 'modules/monitoring.bicep' = {
  params: {
    name: appName
    location: location
    tags: tags
    publisherPrincipalId: identity.properties.principalId
  }
}

module alerts 'modules/alerts.bicep' = {
  params: {
    name: appName
    location: location
    tags: tags
    insightsId: monitoring.outputs.insightsId
    email: alertEmail
    monthlyBudget: monthlyBudget
    budgetStart: budgetStart
  }
}

module scheduler 'modules/scheduler.bicep' = if (durableTaskScheduler) {
  params: {
    name: '${appName}-dts'
    location: location
    tags: tags
    workerPrincipalId: identity.properties.principalId
    ipRanges: schedulerIpRanges
  }
}

module containerApps 'modules/container-apps.bicep' = if (onContainerApps) {
  params: {
    name: appName
    location: location
    tags: tags
    deployApp: hasApp
    image: '${registry.outputs.loginServer}/${image}'
    registryServer: registry.outputs.loginServer
    identityId: identity.id
    workspaceId: monitoring.outputs.workspaceId
    subnetId: privateNetworking ? network!.outputs.appSubnetId : ''
    workloadProfile: workloadProfile
    minReplicas: minReplicas
    maxReplicas: maxReplicas
    queueAccount: storageName
    // What the Azure Storage backend names its queues.
    queues: durableTaskScheduler
      ? []
      : concat(
          ['${toLower(durable.hubName)}-workitems'],
          map(
            range(0, durable.storageProvider.partitionCount),
            part => '${toLower(durable.hubName)}-control-${padLeft(part, 2, '0')}'
          )
        )
    allowedIpRanges: allowedIpRanges
    entraClientId: entraClientId
    settings: appSettings
    sendsCallbacks: !empty(callbackHosts)
    callbackSecret: callbackSecret
  }
  // Without its roles, and a way to the storage, the app would fail its first start.
  dependsOn: [storage, privateEndpoints]
}

module elasticPremium 'modules/elastic-premium.bicep' = if (!onContainerApps) {
  params: {
    name: appName
    location: location
    tags: tags
    deployApp: hasApp
    image: '${registry.outputs.loginServer}/${image}'
    identityId: identity.id
    identityClientId: identity.properties.clientId
    subnetId: privateNetworking ? network!.outputs.appSubnetId : ''
    plan: premiumPlan
    minInstances: max(minReplicas, 1)
    maxInstances: maxReplicas
    allowedIpRanges: allowedIpRanges
    entraClientId: entraClientId
    settings: appSettings
    sendsCallbacks: !empty(callbackHosts)
    callbackSecret: callbackSecret
  }
  dependsOn: [storage, privateEndpoints]
}

@description('The registry to build and push the image to.')
output registryName string = registry.outputs.name

@description('The same by its address: azd pushes to it.')
output AZURE_CONTAINER_REGISTRY_ENDPOINT string = registry.outputs.loginServer

@description('The artifact store: headpatch --store takes it.')
output storeUrl string = 'https://${storageName}.blob.${environment().suffixes.storage}'

@description('Sweeps are posted here.')
output sweepUrl string = hasApp
  ? 'https://${onContainerApps ? containerApps!.outputs.host : elasticPremium!.outputs.host}/api/sweeps'
  : ''

@description('What infra/hooks/scale.sh sets after each deployment: the app, and its scale rules as JSON. Empty where the platform\'s own do.')
output scaleApp string = onContainerApps && hasApp && !durableTaskScheduler ? containerApps!.outputs.appId : ''
output scalePatch string = onContainerApps && hasApp && !durableTaskScheduler
  ? string(containerApps!.outputs.scalePatch)
  : ''

@description('Prints the key that requests carry in the header x-functions-key. On Container Apps it asks a running replica: wake one first.')
output keyCommand string = onContainerApps
  ? 'az containerapp function keys show --resource-group ${resourceGroup().name} --name ${appName} --key-type hostKey --key-name default --query value.value --output tsv'
  : 'az functionapp keys list --resource-group ${resourceGroup().name} --name ${appName} --query functionKeys.default --output tsv'
