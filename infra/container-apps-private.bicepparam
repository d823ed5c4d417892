// The options: Container Apps without a GPU, storage in a virtual network, the Durable Task Scheduler. README.md says how models get into a store
// that the internet does not reach.
using 'main.bicep'

param hosting = 'containerApps'
param workloadProfile = 'Consumption'
param image = 'headpatching:2.0.0-cpu-scheduler'
param minReplicas = 1
param maxReplicas = 4
param torchThreads = 4
param durableTaskScheduler = true
param privateNetworking = true
