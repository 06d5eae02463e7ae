# tunnel-ingress; build it from the top of the checkout:
#   docker build -f docker/ingress.Dockerfile -t tunnel-ingress .
FROM mcr.microsoft.com/dotnet/sdk:10.0-noble AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/root/.nuget/packages \
  dotnet publish src/TunnelIngress -c Release -p:PublishAot=false -p:DebugType=none -o /out/app
# A new volume takes over the owner of the directory it hides, and the final image has no shell to make one.
RUN mkdir -p /out/state /out/tokens && chmod 700 /out/state /out/tokens

# Chiseled: no shell, no package manager, and the user is not root.
FROM mcr.microsoft.com/dotnet/aspnet:10.0-noble-chiseled
COPY --from=build /out/app /app
COPY --from=build --chown=$APP_UID:$APP_UID /out/state /var/lib/tunnel-ingress
COPY --from=build --chown=$APP_UID:$APP_UID /out/tokens /tokens
ENV DOTNET_EnableDiagnostics=0 STATE_DIRECTORY=/var/lib/tunnel-ingress
USER $APP_UID
# Above 1024, because the user is not root: publish it as 443 with -p 443:8443.
EXPOSE 8443
VOLUME ["/var/lib/tunnel-ingress"]
STOPSIGNAL SIGTERM
# It asks the management address of the environment (TUNNEL_INGRESS__MANAGEMENT), 127.0.0.1:9080 without.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["/app/tunnel-ingress", "health"]
ENTRYPOINT ["/app/tunnel-ingress"]
CMD ["run", "--listen", "0.0.0.0:8443", "--log-format", "json"]
