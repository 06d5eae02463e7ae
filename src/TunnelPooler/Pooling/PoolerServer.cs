using Microsoft.Extensions.Logging;
using Shared.Hosting.Lifetime;
using Shared.Pooling.Postgres;
using Shared.Streams.Sockets;

namespace TunnelPooler.Pooling;

/// <summary>The pooler as a program: its listeners, its pools, its end.</summary>
internal sealed class PoolerServer(PoolerSettings settings, TimeProvider time, ILogger<PoolerServer> logger)
{
    private static readonly TimeSpan DrainCheck = TimeSpan.FromMilliseconds(100);

    private readonly ServiceManager _serviceManager = new();

    /// <summary>Runs until the signals say otherwise and all clients have left or were cut.</summary>
    /// <exception cref="IOException">An address cannot be bound.</exception>
    public async Task RunAsync(ProcessSignals signals)
    {
        using var cut = new CancellationTokenSource();
        await using var pooler = new PostgresPooler(
            settings.Pools, settings.Users, settings.Administrators, settings.Handshake, settings.MaxConnections, new PoolEventLog(logger), time);
        var listeners = new ListenerSet<ListenAddress>(
            static address => address,
            (address, accepted, _) => pooler.ServeAsync(accepted.Stream, accepted.Remote, settings.TrustUnixSockets && address.UnixPath is not null, cut.Token),
            (address, exception) => logger.AcceptFailed(exception, address.ToString()),
            time);
        listeners.Apply(settings.Listen, (_, address) => logger.PoolerListening(address.ToString(), string.Join(", ", settings.Pools.Keys)));
        _serviceManager.Ready();
        await signals.WaitForDrainAsync(static () => { });
        listeners.Close();
        await DrainAsync(pooler, signals.Stop);
        await cut.CancelAsync();
        await listeners.StopAsync();
        logger.Stopped();
    }

    private async Task DrainAsync(PostgresPooler pooler, CancellationToken stopNow)
    {
        _serviceManager.Stopping();
        logger.PoolerDraining(pooler.ClientCount, settings.Grace.TotalSeconds);
        using var over = new CancellationTokenSource(settings.Grace, time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(over.Token, stopNow);
        try
        {
            while (pooler.ClientCount > 0)
            {
                await Task.Delay(DrainCheck, time, limit.Token);
            }
        }
        catch (OperationCanceledException)
        {
            logger.PoolerDrainCut(pooler.ClientCount);
        }
    }
}
