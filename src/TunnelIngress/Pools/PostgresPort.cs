using Shared.Hosting.Configuration;
using Shared.Pooling.Hosting;
using Shared.Pooling.Postgres;
using Shared.Pooling.Postgres.Clients;
using Shared.Streams.Sockets;
using TunnelIngress.Applications;
using TunnelIngress.Certificates;
using TunnelIngress.Configuration;
using TunnelIngress.State;
using TunnelIngress.Streams;

namespace TunnelIngress.Pools;

/// <summary>
/// The ingress's PostgreSQL port: ordinary drivers at a tunnel hostname, over TLS, with a service token as user and password. Each service that
/// has a pool is pooled here, over the streams of its tunnel. Previous stop of a byte: the application's TLS connection. Next stop:
/// <see cref="PostgresPooler"/>, whose connections come from <see cref="ServiceDialer"/>.
/// </summary>
internal sealed class PostgresPort : IAsyncDisposable
{
    private static readonly TimeSpan DrainCheck = TimeSpan.FromMilliseconds(100);

    private readonly StateWatcher _state;
    private readonly StreamService _streams;
    private readonly OriginSecrets _secrets;
    private readonly TokenDirectory _directory;
    private readonly HandshakeOptions _handshake;
    private readonly (int Clients, int Connections) _limits;
    private readonly TimeProvider _time;
    private readonly ILogger<PostgresPort> _logger;
    private readonly PostgresPooler _pooler;
    private readonly PoolMetrics _metrics;
    private readonly ListenerSet<ListenAddress> _listeners;
    private StateSnapshot _applied = StateSnapshot.Empty;

    public PostgresPort(
        IngressSettings settings, StateWatcher state, StreamService streams, OriginSecrets secrets, ICertificateSource certificates,
        AccessCheck access, AcceptBudget budget, ApplicationPlaces places, TimeProvider time, ILogger<PostgresPort> logger)
    {
        (_state, _streams, _secrets, _time, _logger) = (state, streams, secrets, time, logger);
        _directory = new TokenDirectory(state, access, time);
        // Applications of pools must leave places for those who come otherwise, connectors above all.
        _limits = (Math.Min(settings.PostgresMaxClients, budget.Strangers), settings.PostgresMaxConnections);
        _handshake = new HandshakeOptions
        {
            Tls = serverName => new() { ServerCertificateContext = certificates.Select(serverName) },
            RequireTls = true,
            LoginTimeout = settings.PostgresLoginTimeout,
        };
        _pooler = new PostgresPooler(Configuration(), new LimitedPoolLog(new PoolEventLog(logger), access, time, logger), time);
        _metrics = new PoolMetrics(_pooler);
        _listeners = new ListenerSet<ListenAddress>(
            static address => address,
            budget,
            (_, accepted, cut) => ServeAsync(accepted, places, cut),
            (address, exception) => logger.AcceptFailed(exception, address.ToString()),
            time);
        state.Changed += Follow;
    }

    /// <summary>How many applications it serves.</summary>
    public int ClientCount => _pooler.ClientCount;

    /// <summary>Opens what is new and closes what is gone.</summary>
    /// <exception cref="IOException">An address cannot be bound; the message says why.</exception>
    public void Listen(IReadOnlyList<ListenAddress> addresses) => _listeners.Apply(addresses, (_, address) => _logger.PostgresListening(address.ToString()));

    /// <summary>Disconnects applications whose token is not good for their service any more.</summary>
    /// <returns>How many.</returns>
    public int EndWithdrawn(DateTimeOffset now) => _pooler.EndClients((user, pool) => !_directory.MayStay(user, pool, now), "access was withdrawn");

    /// <summary>Whoever is connected uses his token.</summary>
    public void NoteUses(DateTimeOffset now) => _directory.NoteUses(now);

    /// <summary>Takes no new applications and waits until those that are served have left.</summary>
    /// <exception cref="OperationCanceledException">They did not leave in time.</exception>
    public async Task DrainAsync(CancellationToken cancellationToken)
    {
        _listeners.Close();
        while (_pooler.ClientCount > 0)
        {
            await Task.Delay(DrainCheck, _time, cancellationToken);
        }
    }

    /// <summary>Ends what is left.</summary>
    public async ValueTask DisposeAsync()
    {
        _state.Changed -= Follow;
        await _listeners.StopAsync(cut: new CancellationToken(canceled: true));
        _metrics.Dispose();
        await _pooler.DisposeAsync();
    }

    private async Task ServeAsync(AcceptedConnection accepted, ApplicationPlaces places, CancellationToken cut)
    {
        try
        {
            await _pooler.ServeAsync(
                accepted.Stream, new ClientSource(accepted.Remote, OnRecognized: clientId => places.Take(accepted.Place, clientId)?.Message), cut);
        }
        finally
        {
            _directory.Forget(accepted.Remote);
        }
    }

    private void Follow()
    {
        if (!ReferenceEquals(_state.Current.Pools, _applied.Pools))
        {
            _pooler.Apply(Configuration());
        }
    }

    // A pool that cannot be used is left out: its applications are refused, those of others are served.
    private PoolerConfiguration Configuration()
    {
        _applied = _state.Current;
        var pools = new Dictionary<string, PoolDefinition>(StringComparer.Ordinal);
        foreach (var (service, pool) in _applied.Pools)
        {
            try
            {
                pools.Add(service, ServicePoolOptions.Define(pool, _secrets.Unprotect(service, pool.Secret), new ServiceDialer(service, _state, _streams)));
            }
            catch (Exception exception) when (exception is ConfigurationException or IOException)
            {
                _logger.PoolUnusable(service, exception.Message);
            }
        }

        return new PoolerConfiguration
        {
            Directory = _directory,
            Pools = pools,
            Handshake = _handshake,
            MaxClients = _limits.Clients,
            MaxConnections = _limits.Connections,
        };
    }
}
