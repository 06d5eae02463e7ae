using Shared.Pooling.Postgres.Sessions;

namespace Shared.Pooling.Postgres;

/// <summary>A pool at one moment, for metrics.</summary>
/// <param name="Pool">Its name.</param>
/// <param name="Database">The database at the origin.</param>
/// <param name="User">The user at the origin.</param>
public sealed record PoolStatus(string Pool, string Database, string User)
{
    /// <summary>Clients that have a connection.</summary>
    public int ClientsActive { get; init; }

    /// <summary>Clients that need none at the moment.</summary>
    public int ClientsIdle { get; init; }

    /// <summary>Clients that wait for one.</summary>
    public int ClientsWaiting { get; init; }

    /// <summary>How long the first of them has waited.</summary>
    public TimeSpan OldestWait { get; init; }

    /// <summary>Connections that a client has.</summary>
    public int ServersActive { get; init; }

    /// <summary>Connections that nobody needs.</summary>
    public int ServersIdle { get; init; }

    /// <summary>Connections that log in.</summary>
    public int ServersConnecting { get; init; }

    /// <summary>Connections that a client keeps between its transactions, by what keeps it.</summary>
    public IReadOnlyDictionary<Pins, int> ServersPinned { get; init; } = new Dictionary<Pins, int>();

    /// <summary>Replication connections.</summary>
    public int Replications { get; init; }

    /// <summary>Requests since the start.</summary>
    public long Requests { get; init; }

    /// <summary>Transactions since the start.</summary>
    public long Transactions { get; init; }

    /// <summary>How long clients have waited for connections, all together, since the start.</summary>
    public TimeSpan WaitTotal { get; init; }

    /// <summary>Connections opened since the start.</summary>
    public long ServersOpened { get; init; }

    /// <summary>Logins at the origin that failed, since the start.</summary>
    public long LoginsFailed { get; init; }
}
