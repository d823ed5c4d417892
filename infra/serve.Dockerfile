# syntax=docker/dockerfile:1
# `headpatch serve`: the API and its pages with the engine in the same process, no Functions and no Azure. From the root of a clean clone:
#   docker build -f infra/serve.Dockerfile -t headpatching-serve .
#   docker run --rm -p 127.0.0.1:7071:7071 -v headpatching:/data headpatching-serve
# There is no login: publish the port to this machine alone, as above, or put a proxy with one before it.
ARG SDK_IMAGE=mcr.microsoft.com/dotnet/sdk:10.0
ARG RUNTIME_IMAGE=mcr.microsoft.com/dotnet/aspnet:10.0

FROM ${SDK_IMAGE} AS build
# cpu or cuda, as in infra/Dockerfile; cuda: docker run --gpus all.
ARG TORCH=cpu
WORKDIR /source
COPY BannedSymbols.txt Directory.Build.props Directory.Build.targets Directory.Packages.props global.json .editorconfig ./
COPY src/HeadPatching.Core/HeadPatching.Core.csproj src/HeadPatching.Core/
COPY src/HeadPatching.Core/Native/ src/HeadPatching.Core/Native/
COPY src/HeadPatching.Sweeps/HeadPatching.Sweeps.csproj src/HeadPatching.Sweeps/
COPY src/HeadPatching.Reports/HeadPatching.Reports.csproj src/HeadPatching.Reports/
COPY src/HeadPatching.Azure/HeadPatching.Azure.csproj src/HeadPatching.Azure/
COPY src/HeadPatching.Http/HeadPatching.Http.csproj src/HeadPatching.Http/
COPY src/HeadPatching.Cli/HeadPatching.Cli.csproj src/HeadPatching.Cli/
RUN case "$TORCH" in cpu|cuda) ;; *) echo "TORCH is '$TORCH': cpu or cuda." >&2; exit 1;; esac \
 && dotnet restore src/HeadPatching.Cli -r linux-x64 -p:TorchRuntime=$TORCH
COPY src/ src/
RUN dotnet publish src/HeadPatching.Cli -c Release -r linux-x64 --self-contained false \
      -p:TorchRuntime=$TORCH -o /published \
 && rm -f /published/*.pdb /published/HeadPatching.*.xml /published/headpatch.xml \
 && chmod -R a+rX /published \
 && mkdir /native /data \
 && mv /published/lib*.so* /native/

FROM ${RUNTIME_IMAGE}
# The user that the runtime's image has for it.
ARG RUN_AS=1654
# The cache of models lies under HOME.
ENV HOME=/data \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=build --chown=${RUN_AS}:${RUN_AS} /data /data
COPY --from=build /native /app
COPY --from=build /published /app
USER ${RUN_AS}:${RUN_AS}
VOLUME /data
EXPOSE 7071
ENTRYPOINT ["/app/headpatch", "serve", "--urls", "http://0.0.0.0:7071", "--store", "/data/store"]
