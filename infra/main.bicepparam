// What azd deploys (azure.yaml): first everything but the app; then, once it has built and pushed the image, all of it. `azd env set NAME VALUE`
// sets the variables.
using 'main.bicep'

// azd writes REGISTRY/NAME:TAG here once it has pushed. Empty before.
var pushed = readEnvironmentVariable('SERVICE_APP_IMAGE_NAME', '')

param image = substring(pushed, indexOf(pushed, '/') + 1)
param workloadProfile = readEnvironmentVariable('WORKLOAD_PROFILE', 'Consumption')
param minReplicas = int(readEnvironmentVariable('MIN_REPLICAS', '0'))
param maxReplicas = int(readEnvironmentVariable('MAX_REPLICAS', '2'))
param operatorPrincipalId = readEnvironmentVariable('OPERATOR_PRINCIPAL_ID', '')
param alertEmail = readEnvironmentVariable('ALERT_EMAIL', '')
