using Shared.Pooling.Pools;
using Shared.Pooling.Postgres.Authentication;
using Shared.Pooling.Postgres.Origins;
using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>
/// The pools that there are now: those of the configuration, and those that clients' databases and users have brought about, for as long
/// as they are used. Safe for concurrent use; its lock is taken when clients come and leave, never for a request.
/// </summary>
internal sealed class PoolSet : IAsyncDisposable
{
    /// <summary>Clients choose databases and users, so what they bring about is bounded.</summary>
    private const int MostPools = 10_000;

    private static readonly TimeSpan SweepInterval = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private readonly Dictionary<PoolKey, Live> _pools = [];
    private readonly HashSet<Task> _closing = [];
    private readonly ConnectionBudget _budget = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly IPoolEvents _events;
    private readonly TimeProvider _time;
    private readonly Task _sweeping;
    private IReadOnlyDictionary<string, PoolDefinition> _definitions = new Dictionary<string, PoolDefinition>();
    private int _maxClients;
    private int _clients;

    public PoolSet(IPoolEvents events, TimeProvider time)
    {
        (_events, _time) = (events, time);
        _sweeping = SweepAsync();
    }

    /// <summary>All pools, in the order of their names.</summary>
    public IReadOnlyList<PostgresPool> All
    {
        get
        {
            lock (_gate)
            {
                return [.. _pools.Values.Select(static live => live.Pool).OrderBy(static pool => pool.Name, StringComparer.Ordinal).ThenBy(static pool => pool.Key.User, StringComparer.Ordinal)];
            }
        }
    }

    /// <summary>The pools of one name; empty when there is none.</summary>
    public IReadOnlyList<PostgresPool> Named(string name) => [.. All.Where(pool => pool.Name == name)];

    /// <summary>Goes on with other definitions and limits.</summary>
    public void Apply(PoolerConfiguration configuration)
    {
        var definitions = configuration.Pools;
        _budget.Limit = configuration.MaxConnections > 0 ? configuration.MaxConnections : int.MaxValue;
        lock (_gate)
        {
            _definitions = definitions;
            _maxClients = configuration.MaxClients;
            foreach (var (key, live) in _pools.ToArray())
            {
                Apply(key, live, definitions.GetValueOrDefault(key.Name));
            }

            foreach (var (name, definition) in definitions)
            {
                if (definition.IsSingle)
                {
                    FindOrCreate(definition.KeyFor(name, definition.Origin.Database, definition.Origin.User), definition, LoginProof.None);
                }
            }
        }
    }

    /// <summary>The pool for a client; dispose the lease when it has left.</summary>
    /// <param name="name">The definition's name.</param>
    /// <param name="database">The database it asks for.</param>
    /// <param name="user">Who it is.</param>
    /// <param name="proof">What its login has shown.</param>
    /// <returns>Null when there is no definition of that name.</returns>
    /// <exception cref="ServerUnavailableException">There are too many clients, or too many pools.</exception>
    public Lease? Enter(string name, string database, string user, LoginProof proof)
    {
        lock (_gate)
        {
            if (!_definitions.TryGetValue(name, out var definition))
            {
                return null;
            }

            if (_clients >= _maxClients)
            {
                throw new ServerUnavailableException(PostgresError.Error(SqlState.TooManyConnections, $"sorry, too many clients already; the pooler's MaxClients is {_maxClients}"));
            }

            var live = FindOrCreate(definition.KeyFor(name, database, user), definition, proof);
            live.Clients++;
            _clients++;
            return new Lease(this, live);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _sweeping;
        Task[] closing;
        lock (_gate)
        {
            foreach (var live in _pools.Values)
            {
                Close(live.Pool);
            }

            closing = [.. _closing];
        }

        await Task.WhenAll(closing);
        _stopping.Dispose();
    }

    private void Apply(PoolKey key, Live live, PoolDefinition? definition)
    {
        // The one pool of a name stays the same to its clients, whatever database or user is behind it now.
        var next = definition is { IsSingle: true } && live.IsSingle ? definition.KeyFor(key.Name, "", "") : key;
        if (definition is null || definition.KeyFor(next.Name, next.Database, next.User) != next)
        {
            _pools.Remove(key);
            live.Pool.EndClients(static _ => true, "the pool was removed from the configuration");
            Close(live.Pool);
        }
        else if (definition.Version != live.Version)
        {
            _pools.Remove(key);
            _pools.Add(next, live);
            live.Version = definition.Version;
            live.Pool.Reconfigure(next, ConnectorFor(definition, next, live.Proof), OptionsFor(definition));
        }
    }

    private static PostgresPoolOptions OptionsFor(PoolDefinition definition) => definition.IsSingle
        ? definition.Options
        : definition.Options with { Connections = definition.Options.Connections with { Min = 0 } };

    private OriginConnector ConnectorFor(PoolDefinition definition, PoolKey key, LoginProof proof) => new(definition.OriginFor(key, proof), _time);

    private Live FindOrCreate(PoolKey key, PoolDefinition definition, LoginProof proof)
    {
        if (!_pools.TryGetValue(key, out var live))
        {
            if (_pools.Count >= MostPools)
            {
                throw new ServerUnavailableException(PostgresError.Error(SqlState.TooManyConnections, $"the pooler has its limit of {MostPools} pools"));
            }

            var pool = new PostgresPool(key, ConnectorFor(definition, key, proof), OptionsFor(definition), _budget, _events, _time);
            _pools.Add(key, live = new Live(pool) { Version = definition.Version, Proof = proof, IsSingle = definition.IsSingle });
        }
        else if (definition.PerUser && !live.Proof.Equals(proof))
        {
            // His password at the database is another one now, or he is let in without any: then the old proof is worth more.
            if (!proof.Equals(LoginProof.None))
            {
                live.Proof = proof;
                live.Pool.Reconfigure(key, ConnectorFor(definition, key, proof), OptionsFor(definition));
            }
        }

        return live;
    }

    private void Close(PostgresPool pool)
    {
        var closing = pool.DisposeAsync().AsTask();
        _closing.RemoveWhere(static task => task.IsCompletedSuccessfully);
        _closing.Add(closing);
    }

    private async Task SweepAsync()
    {
        using var timer = new PeriodicTimer(SweepInterval, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stopping.Token))
            {
                CloseUnused();
            }
        }
        catch (OperationCanceledException)
        {
            // The pooler closes.
        }
    }

    private void CloseUnused()
    {
        lock (_gate)
        {
            foreach (var (key, live) in _pools.ToArray())
            {
                if (live.Clients == 0 && live.Pool.Connections.Counts.IsEmpty && !(_definitions.TryGetValue(key.Name, out var definition) && definition.IsSingle))
                {
                    _pools.Remove(key);
                    Close(live.Pool);
                }
            }
        }
    }

    /// <summary>A pool that a client uses.</summary>
    internal sealed class Lease(PoolSet set, Live live) : IDisposable
    {
        public PostgresPool Pool => live.Pool;

        public void Dispose()
        {
            lock (set._gate)
            {
                live.Clients--;
                set._clients--;
            }
        }
    }

    /// <summary>A pool and what it was made of.</summary>
    internal sealed class Live(PostgresPool pool)
    {
        public PostgresPool Pool => pool;

        public required string Version { get; set; }

        public required LoginProof Proof { get; set; }

        public required bool IsSingle { get; init; }

        public int Clients { get; set; }
    }
}
