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

// Scale to zero with Azure Storage as the durable backend: nothing counts its control and work-item queues for Container Apps, so only HTTP
// requests wake the app, and it goes to sleep cooldownPeriod after the last one, also in the middle of a sweep. Nothing is lost by that (the
// sweep goes on at the next request, finished layers stay finished), and asking for the sweep's status now and then keeps one replica awake.
// An idle GPU costs more than all the rest together, so zero is the default; hold replicas for as long as a sweep needs them
// (az containerapp update --min-replicas). The Durable Task Scheduler changes nothing about it: its scaler is for apps without the Functions
// host. An Elastic Premium plan has at least one instance, always.
@description('Replicas (Container Apps) or always-ready instances (Elastic Premium, where 0 is taken as 1) that are there without any request.')
@minValue(0)
@maxValue(20)
param minReplicas int = 0

@description('At most so many replicas or instances: the bound on what an hour can cost.')
@minValue(1)
@maxValue(20)
param maxReplicas int = 2

@description('Patching activities at once in a replica. More than one on a GPU share its memory and gain nothing.')
@minValue(1)
@maxValue(8)
param activitiesAtOnce int = 1

@description('Threads that libtorch takes for an activity; 0: the cores, shared out among the activities.')
@minValue(0)
@maxValue(256)
param torchThreads int = 0

@description('A folder in the image or mounted into it whose subfolders are models, beside the demo model. Empty: none.')
param modelsFolder string = ''

@description('How much of a replica\'s own disk models of the store may take, in GiB: the largest at least, and less than the disk has free.')
@minValue(1)
param modelCacheGiB int = 6

@description('Cached activations are deleted after so many days; a later sweep on the same prompts makes them again. Results stay.')
@minValue(1)
@maxValue(365)
param activationDays int = 7

@description('The Durable Task Scheduler instead of Azure Storage; the image must be built with DURABLE_TASK_SCHEDULER=true.')
param durableTaskScheduler bool = false

@description('Storage is reached only from a virtual network of its own. The API stays on the internet, behind its keys.')
param privateNetworking bool = false

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
    HeadPatching__ModelCacheGiB: string(modelCacheGiB)
    HeadPatching__TorchThreads: string(torchThreads)
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
    pullPrincipalId: identity.properties.principalId
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

module scheduler 'modules/scheduler.bicep' = if (durableTaskScheduler) {
  params: {
    name: '${appName}-dts'
    location: location
    tags: tags
    workerPrincipalId: identity.properties.principalId
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
    settings: appSettings
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
    settings: appSettings
  }
  dependsOn: [storage, privateEndpoints]
}

@description('The registry to build and push the image to.')
output registryName string = registry.outputs.name

@description('The artifact store: headpatch --store takes it.')
output storeUrl string = 'https://${storageName}.blob.${environment().suffixes.storage}'

@description('Sweeps are posted here.')
output sweepUrl string = hasApp
  ? 'https://${onContainerApps ? containerApps!.outputs.host : elasticPremium!.outputs.host}/api/sweeps'
  : ''

@description('Prints the key that requests carry in the header x-functions-key.')
output keyCommand string = onContainerApps
  ? 'az containerapp function keys show --resource-group ${resourceGroup().name} --name ${appName} --key-type hostKey --key-name default --query value --output tsv'
  : 'az functionapp keys list --resource-group ${resourceGroup().name} --name ${appName} --query functionKeys.default --output tsv'
