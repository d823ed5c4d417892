// Container Apps with one serverless A100 a replica, none of them while nobody asks for anything.
using 'main.bicep'

param hosting = 'containerApps'
param workloadProfile = 'Consumption-GPU-NC24-A100'
param image = 'headpatching:2.0.0-cuda'
param minReplicas = 0
param maxReplicas = 2
param torchThreads = 24
param activationDays = 3
