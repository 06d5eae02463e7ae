# tunnel-pooler; build it from the top of the checkout:
#   docker build -f docker/pooler.Dockerfile -t tunnel-pooler .
FROM mcr.microsoft.com/dotnet/sdk:10.0-noble AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/root/.nuget/packages \
  dotnet publish src/TunnelPooler -c Release -p:PublishAot=false -p:DebugType=none -o /out/app

# Chiseled: no shell, no package manager, and the user is not root.
FROM mcr.microsoft.com/dotnet/runtime:10.0-noble-chiseled
COPY --from=build /out/app /app
ENV DOTNET_EnableDiagnostics=0
USER $APP_UID
STOPSIGNAL SIGTERM
# Asking its port would open a stream to the database every few seconds; it ends when it cannot go on.
HEALTHCHECK NONE
ENTRYPOINT ["/app/tunnel-pooler"]
CMD ["forward", "--log-format", "json"]
