using Shared.Pooling.Postgres.Administration;
using Shared.Pooling.Postgres.Clients;
using Shared.Pooling.Postgres.Sessions;
using Shared.Streams;

namespace Shared.Pooling.Postgres;

/// <summary>
/// The PostgreSQL pooler: pools behind one front door. Knows no transport: it serves any stream, and reaches origins by any dialer.
/// Safe for concurrent use.
/// </summary>
public sealed class PostgresPooler : IAsyncDisposable
{
    private readonly PoolSet _pools;
    private readonly PostgresFrontend _frontend;

    /// <summary>Creates the pools; their first connections are opened at once.</summary>
    /// <param name="configuration">What it does.</param>
    /// <param name="events">The log.</param>
    /// <param name="time">The clock.</param>
    /// <param name="reload">Reads the configuration anew and applies it, for the console; throws what is wrong with it as an <see cref="IOException"/>.</param>
    public PostgresPooler(PoolerConfiguration configuration, IPoolEvents events, TimeProvider time, Func<CancellationToken, Task>? reload = null)
    {
        _pools = new PoolSet(events, time);
        _pools.Apply(configuration);
        _frontend = new PostgresFrontend(_pools, new AdminConsole(new ConsoleCommands(_pools, reload)), events, time) { Configuration = configuration };
    }

    /// <summary>How many clients are served.</summary>
    public int ClientCount => _pools.All.Sum(static pool => pool.ClientCount);

    /// <summary>How the pools are now, one entry a pool.</summary>
    public IEnumerable<PoolStatus> Status => _pools.All.Select(static pool => pool.Status);

    /// <summary>
    /// Goes on with another configuration. Pools that are the same stay as they are; others get new connections as theirs come free;
    /// clients of a pool that is gone are told so.
    /// </summary>
    public void Apply(PoolerConfiguration configuration)
    {
        _pools.Apply(configuration);
        _frontend.Configuration = configuration;
    }

    /// <summary>Ends the clients that fit, with the code for an administrator's command (57P01).</summary>
    /// <param name="which">By the user it logged in as and its pool's name.</param>
    /// <param name="reason">What it is told.</param>
    /// <returns>How many were ended.</returns>
    public int EndClients(Func<string, string, bool> which, string reason) => _pools.All.Sum(pool => pool.EndClients(client => which(client.User, pool.Name), reason));

    /// <summary>Serves one connection until it ends. Takes the stream over.</summary>
    /// <param name="stream">The client's connection.</param>
    /// <param name="source">How it came to us.</param>
    /// <param name="cut">Ends it.</param>
    public Task ServeAsync(DuplexStream stream, ClientSource source, CancellationToken cut) => _frontend.ServeAsync(stream, source, cut);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _pools.DisposeAsync();
}
