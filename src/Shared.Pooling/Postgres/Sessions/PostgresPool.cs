using System.Collections.Concurrent;
using Shared.Pooling.Pools;
using Shared.Pooling.Postgres.Origins;
using Shared.Pooling.Postgres.Protocol;
using Shared.Pooling.Postgres.Statements;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>
/// The server connections of one origin, database and user, and the clients that share them. Safe for concurrent use.
/// </summary>
internal sealed partial class PostgresPool : IServerOwner, IAsyncDisposable
{
    private const int MostWelcomes = 1000;
    private const int MostShared = 1000;

    private static readonly TimeSpan SweepInterval = TimeSpan.FromMilliseconds(500);

    private static readonly PostgresError Closed = PostgresError.Fatal(SqlState.AdminShutdown, "the pool was closed");

    private readonly ConnectionPool<ServerSession> _connections;
    private readonly ConcurrentDictionary<ServerSession, bool> _servers = new();
    private readonly ConcurrentDictionary<int, IPoolClient> _clients = new();
    private readonly ConcurrentDictionary<string, ReportedParameters> _welcomes = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<ReportedParameters, ReportedParameters> _shared = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly CancelRequests _cancels;
    private readonly ConnectionBudget? _budget;
    private readonly IPoolEvents _events;
    private volatile OriginConnector _connector;
    private readonly Task _sweeping;
    private long _requests;
    private long _transactions;

    public PostgresPool(PoolKey key, OriginConnector connector, PostgresPoolOptions options, ConnectionBudget? budget, IPoolEvents events, TimeProvider time)
    {
        (Key, _connector, Options, _budget, _events, Time) = (key, connector, options, budget, events, time);
        Policy = new ClientPolicy(options.Mode, options.Refuse);
        _cancels = new CancelRequests(this, events);
        _connections = new ConnectionPool<ServerSession>(ConnectAsync, options.Connections, budget, time);
        _sweeping = SweepAsync();
    }

    /// <summary>What its connections have in common.</summary>
    public PoolKey Key { get; private set; }

    /// <summary>The name in the configuration.</summary>
    public string Name => Key.Name;

    /// <summary>How it behaves.</summary>
    public PostgresPoolOptions Options { get; private set; }

    /// <summary>What it refuses.</summary>
    public ClientPolicy Policy { get; private set; }

    /// <summary>The statements that its clients have prepared.</summary>
    public StatementRegistry Statements { get; } = new();

    /// <inheritdoc/>
    public TimeProvider Time { get; }

    /// <summary>How many clients it has.</summary>
    public int ClientCount => _clients.Count;

    /// <summary>How many requests and transactions its clients have sent since the start.</summary>
    public (long Requests, long Transactions) Totals => (
        Volatile.Read(ref _requests) + _clients.Values.Sum(static client => client.Activity.Requests),
        Volatile.Read(ref _transactions) + _clients.Values.Sum(static client => client.Activity.Transactions));

    /// <summary>Disconnects all clients and closes all connections.</summary>
    public void Kill()
    {
        EndClients(static _ => true, "terminating connection due to administrator command");
        _connections.Reconnect();
    }

    /// <summary>Disconnects the clients that fit.</summary>
    /// <returns>How many there were.</returns>
    public int EndClients(Func<ClientIdentity, bool> which, string reason) => End(which, PostgresError.Fatal(SqlState.AdminShutdown, reason));

    /// <summary>Goes on with another origin or other limits: connections are replaced as they come free, and clients stay.</summary>
    public void Reconfigure(PoolKey key, OriginConnector connector, PostgresPoolOptions options)
    {
        (Key, _connector, Options, Policy) = (key, connector, options, new ClientPolicy(options.Mode, options.Refuse));
        _connections.Options = options.Connections;
        _welcomes.Clear();
        _connections.Reconnect();
    }

    /// <summary>How it is now.</summary>
    public PoolStatus Status
    {
        get
        {
            var counts = _connections.Counts;
            var (requests, transactions) = Totals;
            var states = _clients.Values.CountBy(static client => client.Activity.State).ToDictionary();
            var replicating = states.GetValueOrDefault(ClientState.Replicating);
            return new PoolStatus(Name, Key.Database, Key.User)
            {
                ClientsActive = states.GetValueOrDefault(ClientState.Active) + states.GetValueOrDefault(ClientState.IdleInTransaction) + replicating,
                ClientsIdle = states.GetValueOrDefault(ClientState.Idle),
                ClientsWaiting = counts.Waiting,
                OldestWait = counts.OldestWait,
                ServersActive = counts.Leased,
                ServersIdle = counts.Idle,
                ServersConnecting = counts.Connecting,
                ServersPinned = SessionEffects.CountPins(_servers.Keys),
                Replications = replicating,
                Requests = requests,
                Transactions = transactions,
                WaitTotal = counts.WaitTotal,
                ServersOpened = counts.Opened,
                LoginsFailed = counts.Failed,
            };
        }
    }

    /// <summary>Its clients.</summary>
    public IEnumerable<IPoolClient> Clients => _clients.Values;

    /// <summary>Its server connections.</summary>
    public IEnumerable<ServerSession> Servers => _servers.Keys;

    /// <summary>The connections themselves, for the console.</summary>
    public ConnectionPool<ServerSession> Connections => _connections;

    /// <summary>What the server reports to a client with these settings; null when none of them was here yet.</summary>
    public ReportedParameters? FindWelcome(string settings) => _welcomes.GetValueOrDefault(settings);

    /// <summary>Keeps what the server reports to a client with these settings, so that the next one is answered without asking it.</summary>
    public void RememberWelcome(string settings, ReportedParameters reported)
    {
        if (_welcomes.Count >= MostWelcomes)
        {
            _welcomes.Clear();
        }

        _welcomes[settings] = reported;
    }

    /// <summary>A free connection; null when one has to be waited for.</summary>
    public ServerSession? TryAcquire(ServerSession? preferred) => _connections.TryAcquire(preferred);

    /// <summary>A free connection; waits for one.</summary>
    /// <exception cref="IOException">There is none; <see cref="Explain"/> says it to the client.</exception>
    /// <exception cref="OperationCanceledException">The wait was cancelled.</exception>
    public ValueTask<ServerSession> AcquireAsync(ServerSession? preferred, CancellationToken cancellationToken) =>
        _connections.AcquireAsync(preferred, cancellationToken);

    /// <summary>What a client is told when there is no connection for it.</summary>
    public static PostgresError Explain(Exception failure) => failure switch
    {
        OriginException origin => PostgresError.Error(origin.SqlState, origin.Message) with { Detail = origin.Detail, Hint = origin.Hint },
        PoolClosedException => PostgresError.Fatal(SqlState.AdminShutdown, failure.Message),
        _ => PostgresError.Error(SqlState.TooManyConnections, failure.Message),
    };

    /// <summary>Serves a client until it leaves.</summary>
    public async Task ServeAsync(IPoolClient client, CancellationToken cancellationToken)
    {
        _clients[client.Identity.Id] = client;
        if (_stopping.IsCancellationRequested)
        {
            // Those that there were have been ended already.
            client.End(Closed);
        }

        try
        {
            await client.RunAsync(cancellationToken);
        }
        finally
        {
            _clients.TryRemove(client.Identity.Id, out _);
            Interlocked.Add(ref _requests, client.Activity.Requests);
            Interlocked.Add(ref _transactions, client.Activity.Transactions);
            _events.ClientEnded(
                Name, client.Identity.User, client.Identity.Id, client.Activity.Requests, client.Activity.Age, client.EndReason);
        }
    }

    /// <inheritdoc/>
    public ReportedParameters Share(ReportedParameters reported)
    {
        // Clients choose settings, so what is kept of them is bounded.
        if (_shared.Count >= MostShared)
        {
            _shared.Clear();
        }

        return _shared.GetOrAdd(reported, reported);
    }

    /// <inheritdoc/>
    public void Released(ServerSession server) => _connections.Return(server);

    /// <inheritdoc/>
    public void Lost(ServerSession server, string reason)
    {
        _servers.TryRemove(server, out _);
        _connections.Remove(server);
        _events.ServerClosed(Name, server.ProcessId, reason);
    }

    /// <inheritdoc/>
    public Task<bool> CancelAsync(OriginConnection origin, Func<bool> isStillWanted) => _cancels.SendAsync(origin, isStillWanted);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        End(static _ => true, Closed);
        await _sweeping;
        await _connections.DisposeAsync();
        _stopping.Dispose();
    }

    private int End(Func<ClientIdentity, bool> which, PostgresError farewell)
    {
        var ended = 0;
        foreach (var client in _clients.Values)
        {
            if (which(client.Identity))
            {
                client.End(farewell);
                ended++;
            }
        }

        return ended;
    }

    private async ValueTask<ServerSession> ConnectAsync(CancellationToken cancellationToken)
    {
        var origin = await OpenAsync(cancellationToken);
        var server = new ServerSession(origin, this, Options.PreparedStatements);
        _servers[server] = true;
        server.Start();
        _events.ServerOpened(Name, server.ProcessId);
        return server;
    }

    private async ValueTask<OriginConnection> OpenAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await _connector.ConnectAsync(cancellationToken);
        }
        catch (OriginException exception)
        {
            _events.ServerFailed(Name, exception.Hop, exception.Hint is { } hint ? $"{exception.Message}. {hint}" : exception.Message);
            throw;
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            _events.ServerFault(Name, exception);
            throw OriginException.Fault(exception);
        }
    }

    private async Task SweepAsync()
    {
        using var timer = new PeriodicTimer(SweepInterval, Time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stopping.Token))
            {
                foreach (var client in _clients.Values)
                {
                    client.EnforceTimeouts();
                }

                foreach (var server in _servers.Keys)
                {
                    server.BreakWhenStuck(Options.CancelTimeout);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The pool closes.
        }
    }
}
