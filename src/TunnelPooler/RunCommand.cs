using System.CommandLine;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Shared.Hosting.CommandLine;
using Shared.Hosting.Configuration;
using Shared.Hosting.Lifetime;
using Shared.Hosting.Logging;
using Shared.Management;
using Shared.Pooling.Postgres;
using Shared.Streams.Sockets;
using TunnelPooler.Pooling;

namespace TunnelPooler;

/// <summary><c>tunnel-pooler run</c>.</summary>
internal static class RunCommand
{
    private const string Description = """
        Share few connections to a PostgreSQL among many clients, directly or through a tunnel.
        The pools are in the configuration file; docs/pooling.md begins with one.

        Examples:
          tunnel-pooler run --config pooler.json
          psql -h 127.0.0.1 -p 6432 -U app orders
        """;

    public static Command Create()
    {
        var command = new Command("run", Description);
        var options = new RunOptions(command);
        options.List("--listen", "Listen", "An address for applications: 127.0.0.1:6432 or unix:/path; may be given several times", "ADDRESS");
        options.Value("--management", "Management", "Health and metrics; loopback or unix:/path (none)", "ADDRESS");
        command.SetAction(async (result, _) => await RunAsync(new ConfigurationLayers(
            "TUNNEL_POOLER__", result.GetValue(options.Config), options.Flags(result))));
        return command;
    }

    private static async Task<int> RunAsync(ConfigurationLayers layers)
    {
        PoolerOptions Load() => layers.Load(static configuration => configuration.Get<PoolerOptions>());
        var options = Load();
        using var loggers = ProgramLog.Create(options.Log);
        var logger = loggers.CreateLogger<PoolerSettings>();
        var settings = PoolerSettings.From(options, TimeProvider.System, logger);

        // Half of that is for carriers, which gain when one thread hears of them together.
        if (!options.Pools.Values.Any(PoolerPools.LeadsThroughTunnel))
        {
            SocketLoops.Count = Environment.ProcessorCount;
        }

        using var signals = new ProcessSignals();
        if (settings.RequireReachable)
        {
            await RequireReachableAsync(settings);
        }

        await new PoolerServer(settings, Reload, TimeProvider.System, loggers).RunAsync(signals);
        return ExitCodes.Success;

        PoolerSettings Reload()
        {
            var next = PoolerSettings.From(Load(), TimeProvider.System, logger);
            foreach (var key in layers.ChangedWithin(ManagementAddress.Key, ManagementAddress.AllowRemoteKey, "Log"))
            {
                logger.RestartNeeded(key);
            }

            return next;
        }
    }

    private static async Task RequireReachableAsync(PoolerSettings settings)
    {
        await foreach (var report in OriginReports.RunAsync(settings.Checkable, TimeProvider.System, CancellationToken.None))
        {
            if (!report.IsReachable)
            {
                throw new IOException($"Pool {report.Pool} cannot be reached at {report.Hop}: {report.Failure} {report.Hint}");
            }
        }
    }
}
