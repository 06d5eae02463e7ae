# tunnel-pooler; build it from the top of the checkout:
#   docker build -f docker/pooler.Dockerfile -t tunnel-pooler .
FROM mcr.microsoft.com/dotnet/sdk:10.0-noble AS build
# Native code needs a linker.
RUN apt-get update && apt-get install -y --no-install-recommends clang zlib1g-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/root/.nuget/packages \
  dotnet publish src/TunnelPooler -c Release -p:PublishAot=true -p:DebugType=none -o /out/app && rm -f /out/app/*.dbg /out/app/*.xml

# Chiseled: no shell, no package manager, no .NET runtime (it is native code), and the user is not root.
FROM mcr.microsoft.com/dotnet/runtime-deps:10.0-noble-chiseled
COPY --from=build /out/app /app
USER $APP_UID
STOPSIGNAL SIGTERM
# It has no management address unless it is given one (TUNNEL_POOLER__MANAGEMENT): several of a pod share their ports. docker/README.md has the
# check for then. Asking its own port would open a stream to the database every few seconds.
HEALTHCHECK NONE
ENTRYPOINT ["/app/tunnel-pooler"]
CMD ["forward", "--log-format", "json"]
