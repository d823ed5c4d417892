#!/bin/sh
# Wakes a deployed app, runs a sweep of the demo model to its end and prints where its report is. azd runs it after each deployment, with the
# deployment's outputs in the environment. By itself:
#   infra/hooks/smoke.sh https://HOST/api/sweeps KEY
# Where calls need a token too (entraClientId), TOKEN is one.
set -eu

sweeps=${1:-${sweepUrl:?the address of sweeps, as the first argument or in sweepUrl}}
api=${sweeps%/sweeps}
wake_s=${WAKE_S:-1200} # the first start fetches an image of up to several GB
sweep_s=${SWEEP_S:-900}

# The key stays out of the list of processes.
headers=$(mktemp)
answer=$(mktemp)
trap 'rm -f "$headers" "$answer"' EXIT

call() { # what curl is to do; the answer's body goes to $answer
  curl -fsS --max-time 300 --header "@$headers" --output "$answer" "$@"
}
field() { # the first value of that name in $answer
  grep -o "\"$1\": *\"[^\"]*\"" "$answer" | head -n 1 | cut -d '"' -f 4
}

echo "Waking $api"
until call "$api/health" 2>/dev/null; do
  wake_s=$((wake_s - 10))
  if [ "$wake_s" -le 0 ]; then
    echo "It does not answer:" >&2
    call "$api/health"
    exit 1
  fi
  sleep 10
done

# Only a running replica can say its key.
key=${2:-$(eval "${keyCommand:?the key, as the second argument, or in keyCommand what prints it}")}
echo "x-functions-key: $key" >"$headers"
if [ -n "${TOKEN:-}" ]; then
  echo "Authorization: Bearer $TOKEN" >>"$headers"
fi

call --header 'Content-Type: application/json' --data '{"model": "ioi-demo", "dataset": "ioi"}' "$sweeps"
id=$(field id)
status=accepted
echo "Sweep $id"
while :; do
  call "$sweeps/$id"
  status=$(field status)
  case $status in
    completed) break ;;
    failed | cancelled)
      echo "It is $status:" >&2
      cat "$answer" >&2
      exit 1
      ;;
  esac
  sweep_s=$((sweep_s - 5))
  if [ "$sweep_s" -le 0 ]; then
    echo "It is still $status." >&2
    exit 1
  fi
  sleep 5
done

call "$sweeps/$id/report"
grep -q '<html' "$answer"
echo "Completed. Sweeps and their reports for a browser, which asks for the key:"
echo "${api%/api}/"
echo "This one's report, after that: $sweeps/$id/report"
