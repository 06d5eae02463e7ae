using Shared.Pooling.Pools;
using Shared.Pooling.Postgres.Administration;
using Shared.Pooling.Postgres.Clients;
using Shared.Pooling.Postgres.Origins;
using Shared.Pooling.Postgres.Sessions;
using Shared.Streams;

namespace Shared.Pooling.Postgres;

/// <summary>
/// The PostgreSQL pooler: pools by the name that clients ask for as the database, behind one front door. Knows no transport: it serves
/// any stream, and reaches origins by any dialer. Safe for concurrent use.
/// </summary>
public sealed class PostgresPooler : IAsyncDisposable
{
    private readonly Dictionary<string, PostgresPool> _pools;
    private readonly PostgresFrontend _frontend;

    /// <summary>Creates the pools; their first connections are opened at once.</summary>
    /// <param name="pools">By name.</param>
    /// <param name="credentials">Who may connect.</param>
    /// <param name="administrators">Which of them may use the console: the database "pooler".</param>
    /// <param name="handshake">How.</param>
    /// <param name="maxConnections">How many connections all pools may have together; 0 without a limit.</param>
    /// <param name="events">The log.</param>
    /// <param name="time">The clock.</param>
    public PostgresPooler(
        IReadOnlyDictionary<string, PooledOrigin> pools, IClientCredentials credentials, IReadOnlySet<string> administrators,
        HandshakeOptions handshake, int maxConnections, IPoolEvents events, TimeProvider time)
    {
        var budget = maxConnections > 0 ? new ConnectionBudget(maxConnections) : null;
        _pools = pools.ToDictionary(
            static pool => pool.Key,
            pool => new PostgresPool(pool.Key, new OriginConnector(pool.Value.Origin, time), pool.Value.Pool, budget, events, time),
            StringComparer.Ordinal);
        _frontend = new PostgresFrontend(new Directory(_pools), new AdminConsole(new ConsoleCommands(_pools), administrators), credentials, handshake, events, time);
    }

    /// <summary>How many clients are served.</summary>
    public int ClientCount => _pools.Values.Sum(static pool => pool.ClientCount);

    /// <summary>Serves one connection until it ends. Takes the stream over.</summary>
    /// <param name="stream">The client's connection.</param>
    /// <param name="remote">Where it comes from, for the log.</param>
    /// <param name="trusted">True to ask for no password.</param>
    /// <param name="cut">Ends it.</param>
    public Task ServeAsync(DuplexStream stream, string remote, bool trusted, CancellationToken cut) => _frontend.ServeAsync(stream, remote, trusted, cut);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var pool in _pools.Values)
        {
            await pool.DisposeAsync();
        }
    }

    private sealed class Directory(Dictionary<string, PostgresPool> pools) : IPoolDirectory
    {
        public PostgresPool? Find(ClientStartup startup) => pools.GetValueOrDefault(startup.Database);
    }
}
