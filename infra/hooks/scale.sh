#!/bin/sh
# Gives an app on Container Apps the scale rules of the durable backend's queues, after each deployment of it: the platform refuses rules of one's
# own while an app is created, and takes them away when it is deployed again. azd runs it with the deployment's outputs in the environment. By itself:
#   infra/hooks/scale.sh "$(out scaleApp)" "$(out scalePatch)"
set -eu

app=${1-${scaleApp:-}}
patch=${2-${scalePatch:-}}
[ -n "$app" ] || { echo "The platform scales this app by itself."; exit 0; }
: "${patch:?the scale rules, as the second argument or in scalePatch}"
url="https://management.azure.com$app?api-version=2026-03-02-preview" # the first version that knows allowScalingRuleOverride

az rest --method patch --url "$url" --body "$patch" --output none
wait_s=${WAIT_S:-600}
while :; do
  state=$(az rest --method get --url "$url" --query properties.provisioningState --output tsv)
  case $state in
    Succeeded) break ;;
    Failed | Canceled)
      echo "The scale rules were not taken: $state." >&2
      exit 1
      ;;
  esac
  wait_s=$((wait_s - 5))
  if [ "$wait_s" -le 0 ]; then
    echo "The app is still $state." >&2
    exit 1
  fi
  sleep 5
done
[ "$(az rest --method get --url "$url" --query properties.template.scale.allowScalingRuleOverride --output tsv)" = true ] || {
  echo "The platform's own rules are still in force." >&2
  exit 1
}
echo "As many replicas as the longest queue has messages."
