// An Elastic Premium plan, CPU only: for models up to GPT-2's sizes, always awake. The whole API works as on a GPU.
using 'main.bicep'

param hosting = 'elasticPremium'
param premiumPlan = 'EP2'
param image = 'headpatching:2.0.0-cpu'
param minReplicas = 1
param maxReplicas = 4
param activitiesAtOnce = 1
param torchThreads = 2
param activationDays = 7
