#!/bin/sh
# A wheel that carries the program, and so needs neither .NET nor a server, for the platform it is built on (Linux x64 is what is tested):
#   src/headpatching-python/build-wheel.sh [FOLDER]      # dist by default
set -eu

folder=$(mkdir -p "${1:-dist}" && cd "${1:-dist}" && pwd)
cd "$(dirname "$0")"
trap 'rm -rf headpatching/_program build headpatching.egg-info' EXIT
rm -rf headpatching/_program
dotnet publish ../HeadPatching.Cli -c Release -r linux-x64 --self-contained -o headpatching/_program -nologo -v quiet
"${PYTHON:-python3}" -m pip wheel . --no-deps --wheel-dir "$folder"
ls -lh "$folder"
