// All the options at once: Container Apps without a GPU, storage in a virtual network, the Durable Task Scheduler, an operator of the store.
using 'main.bicep'

param hosting = 'containerApps'
param workloadProfile = 'Consumption'
param image = 'headpatching:0.1.0-cpu-scheduler'
param minReplicas = 1
param maxReplicas = 4
param torchThreads = 4
param durableTaskScheduler = true
param privateNetworking = true
// The object id of a group: az ad group show --group NAME --query id --output tsv
param operatorPrincipalId = '00000000-0000-0000-0000-000000000001'
param operatorPrincipalType = 'Group'
