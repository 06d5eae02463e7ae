using System.CommandLine;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Shared.Hosting.CommandLine;
using Shared.Hosting.Configuration;
using Shared.Hosting.Lifetime;
using Shared.Hosting.Logging;
using Shared.Management;
using TunnelPooler.Forwarding;

namespace TunnelPooler;

/// <summary><c>tunnel-pooler forward</c>.</summary>
internal static class ForwardCommand
{
    private const string Description = """
        Listen locally and carry each connection to a tunnel hostname with a service token.

        Examples:
          tunnel-pooler forward --hostname orders-db.tunnel.example.com --listen 127.0.0.1:5432 --token-file app.token
          psql -h 127.0.0.1 -p 5432 orders
        """;

    public static Command Create()
    {
        var command = new Command("forward", Description);
        var options = new RunOptions(command);
        options.Value("--hostname", "Hostname", "The tunnel hostname", "HOST[:PORT]");
        options.List("--listen", "Listen", "A local address: 127.0.0.1:5432 or unix:/path; may be given several times", "ADDRESS");
        options.Value("--token-file", "Token:File", "The service token that may access the service", "FILE");
        options.Value("--ca-file", "CaFile", "PEM roots that the ingress must chain to, instead of the system's", "FILE");
        options.Value("--connect-to", "ConnectTo", "Connect to this address instead of the hostname's", "HOST[:PORT]");
        options.Value("--management", ManagementAddress.Key, "Health and metrics; loopback or unix:/path (none)", "ADDRESS");
        command.SetAction(async (result, _) => await RunAsync(new ConfigurationLayers(
            "TUNNEL_POOLER__", result.GetValue(options.Config), options.Flags(result))));
        return command;
    }

    private static async Task<int> RunAsync(ConfigurationLayers layers)
    {
        ForwardOptions Load() => layers.Load(static configuration => configuration.Get<ForwardOptions>());
        var options = Load();
        using var loggers = ProgramLog.Create(options.Log);
        var logger = loggers.CreateLogger<Forwarder>();
        var settings = ForwardSettings.From(options, logger);
        using var metrics = new ForwarderMetrics();
        using var signals = new ProcessSignals();
        await new Forwarder(settings, Reload, metrics, TimeProvider.System, loggers).RunAsync(signals);
        return ExitCodes.Success;

        ForwardSettings Reload()
        {
            var next = ForwardSettings.From(Load(), logger);
            foreach (var key in layers.ChangedBeside("Listen", "AllowRemote"))
            {
                logger.RestartNeeded(key);
            }

            return next;
        }
    }
}
