using System.CommandLine;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Shared.Hosting.CommandLine;
using Shared.Hosting.Configuration;
using Shared.Hosting.Lifetime;
using Shared.Hosting.Logging;
using Shared.Management;
using TunnelConnector.Configuration;
using TunnelConnector.Hosting;

namespace TunnelConnector;

/// <summary><c>tunnel-connector run</c>.</summary>
internal static class RunCommand
{
    private const string Description = """
        Connect the services of a tunnel to its ingresses, and stay connected.

        The connector dials out only. It reaches exactly the targets that are named here and nothing else.

        Examples:
          tunnel-connector run --ingress wss://tunnel.example.com --token-file connector.token \
              --service orders-db=tcp://10.0.1.5:5432
          TUNNEL_CLIENT_ID=… TUNNEL_CLIENT_SECRET=… tunnel-connector run --config /etc/tunnel/connector.json
        """;

    public static Command Create()
    {
        var command = new Command("run", Description);
        var options = AddOptions(command);
        command.SetAction(async (result, _) => await RunAsync(new ConfigurationLayers(
            "TUNNEL_CONNECTOR__", result.GetValue(options.Config), options.Flags(result))));
        return command;
    }

    /// <summary>The options of a command that connects the services.</summary>
    public static RunOptions AddOptions(Command command)
    {
        var options = new RunOptions(command);
        options.List("--ingress", "Ingress", "An ingress to dial; may be given several times", "wss://HOST[:PORT]");
        options.Value("--token-file", "Token:File", "The service token that connects the tunnel", "FILE");
        options.Value("--name", "Name", "What this connector is called at the ingress, across restarts (the machine's name)", "NAME");
        options.Value("--ca-file", "CaFile", "PEM roots that the ingress must chain to, instead of the system's", "FILE");
        options.Pairs("--service", "A service and its target: tcp://host:port, tls://host:port, unix:///path, http://host[:port] or https://host[:port]", "NAME=TARGET",
            static (_, name, target) => [($"Services:{name}:Target", target)]);
        options.Value("--management", ManagementAddress.Key, "Health and metrics; loopback or unix:/path (none)", "ADDRESS");
        return options;
    }

    private static async Task<int> RunAsync(ConfigurationLayers layers)
    {
        ConnectorOptions Load() => layers.Load(static configuration => configuration.Get<ConnectorOptions>());
        using var signals = new ProcessSignals();
        using var loggers = ProgramLog.Create(Load().Log);
        var logger = loggers.CreateLogger<ConnectorHost>();
        await new ConnectorHost(LoadSettings, TimeProvider.System, loggers).RunAsync(signals);
        return ExitCodes.Success;

        ConnectorSettings LoadSettings()
        {
            var settings = ConnectorSettings.From(Load(), TimeProvider.System, logger);
            foreach (var key in layers.ChangedWithin("Ingress", "Name", "Token", "CaFile", "Log", ManagementAddress.Key, ManagementAddress.AllowRemoteKey))
            {
                logger.RestartNeeded(key);
            }

            return settings;
        }
    }
}
