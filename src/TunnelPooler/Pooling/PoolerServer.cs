using Microsoft.Extensions.Logging;
using Shared.Hosting.Configuration;
using Shared.Hosting.Lifetime;
using Shared.Management;
using Shared.Pooling.Hosting;
using Shared.Pooling.Postgres;
using Shared.Pooling.Postgres.Clients;
using Shared.Streams.Sockets;

namespace TunnelPooler.Pooling;

/// <summary>The pooler as a program: its listeners, its pools, its reloads, its end.</summary>
internal sealed class PoolerServer(PoolerSettings settings, Func<PoolerSettings> load, TimeProvider time, ILoggerFactory loggers)
{
    private static readonly TimeSpan DrainCheck = TimeSpan.FromMilliseconds(100);

    private readonly ServiceManager _serviceManager = new();
    private readonly ILogger<PoolerServer> _logger = loggers.CreateLogger<PoolerServer>();
    private readonly Lock _reloading = new();
    private readonly List<Task> _retired = [];
    private PoolerSettings _settings = settings;

    /// <summary>Runs until the signals say otherwise and all clients have left or were cut.</summary>
    /// <exception cref="IOException">An address cannot be bound.</exception>
    public async Task RunAsync(ProcessSignals signals)
    {
        PostgresPooler pooler = null!;
        ListenerSet<ListenAddress> listeners = null!;
        await using var pools = pooler = new PostgresPooler(
            _settings.Pooling, new PoolEventLog(loggers.CreateLogger<PostgresPooler>()), time, cancellationToken => Task.Run(() => Reload(pooler, listeners), cancellationToken));
        listeners = new ListenerSet<ListenAddress>(
            static address => address,
            ConnectionLimit.Create(ConnectionLimit.ForClients, _logger, time),
            (address, accepted, cut) => pooler.ServeAsync(accepted.Stream, SourceOf(address, accepted), cut),
            (address, exception) => _logger.AcceptFailed(exception, address.ToString()),
            time);
        using var metrics = new PoolMetrics(pooler);
        var listening = new ListeningState(signals.Drain);
        await using var management = await ManagementServer.StartAsync(_settings.Management, () => listening.Now(), loggers, PoolMetrics.MeterName);
        Listen(listeners, _settings);
        listening.Begin();
        _serviceManager.Ready();
        await signals.WaitForDrainAsync(() => ReloadBySignal(pooler, listeners), _logger);
        listeners.Close();
        await DrainAsync(pooler, signals.Stop);
        await listeners.StopAsync(cut: new CancellationToken(canceled: true));
        await Task.WhenAll([.. _retired, _settings.Directory.DisposeAsync().AsTask()]);
        _logger.Stopped();
    }

    private ClientSource SourceOf(ListenAddress address, AcceptedConnection accepted)
    {
        var isLocal = address.UnixPath is not null;
        return new ClientSource(accepted.Remote, isLocal, isLocal && _settings.TrustUnixSockets, _ =>
        {
            accepted.Place.Recognize();
            return null;
        });
    }

    private void Listen(ListenerSet<ListenAddress> listeners, PoolerSettings now) =>
        listeners.Apply(now.Listen, (_, address) => _logger.PoolerListening(address.ToString(), string.Join(", ", now.Pooling.Pools.Keys)));

    private void ReloadBySignal(PostgresPooler pooler, ListenerSet<ListenAddress> listeners)
    {
        try
        {
            Reload(pooler, listeners);
        }
        catch (IOException)
        {
            // Nobody waits for an answer, and the log has it.
        }
    }

    /// <exception cref="IOException">The configuration is wrong, and what was in force stays so; or an address cannot be listened on. The log has it, too.</exception>
    private void Reload(PostgresPooler pooler, ListenerSet<ListenAddress> listeners)
    {
        lock (_reloading)
        {
            PoolerSettings next;
            try
            {
                next = load();
            }
            catch (ConfigurationException exception)
            {
                _logger.ReloadFailed(exception.Message);
                throw new IOException(exception.Message, exception);
            }

            pooler.Apply(next.Pooling);
            _retired.RemoveAll(static task => task.IsCompletedSuccessfully);
            _retired.Add(_settings.Directory.DisposeAsync().AsTask());
            _settings = next;
            try
            {
                Listen(listeners, next);
            }
            catch (IOException exception)
            {
                _logger.ReloadIncomplete(exception.Message);
                throw;
            }

            _logger.Reloaded();
        }
    }

    private async Task DrainAsync(PostgresPooler pooler, CancellationToken stopNow)
    {
        _serviceManager.Stopping();
        var grace = _settings.Grace;
        _logger.PoolerDraining(pooler.ClientCount, grace.TotalSeconds);
        using var over = new CancellationTokenSource(grace, time);
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
            _logger.PoolerDrainCut(pooler.ClientCount);
        }
    }
}
