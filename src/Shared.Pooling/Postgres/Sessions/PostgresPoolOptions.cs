using Shared.Pooling.Pools;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>How a pool of connections to a PostgreSQL behaves. Immutable.</summary>
public sealed record PostgresPoolOptions
{
    /// <summary>How long a client keeps a server connection.</summary>
    public PoolMode Mode { get; init; } = PoolMode.Transaction;

    /// <summary>How many connections, and for how long.</summary>
    public PoolOptions Connections { get; init; } = new();

    /// <summary>How many statements a server connection keeps prepared; the least recently used is closed for a new one.</summary>
    public int PreparedStatements { get; init; } = 256;

    /// <summary>The largest statement that is looked into, in bytes. A client that sends a larger one keeps its server connection.</summary>
    public int MaxStatementLength { get; init; } = 16 * 1024 * 1024;

    /// <summary>What clients may not leave in a session.</summary>
    public Pins Refuse { get; init; }

    /// <summary>A statement may run for so long; then it is cancelled (57014). Zero: for ever.</summary>
    public TimeSpan QueryTimeout { get; init; }

    /// <summary>A client may do nothing for so long; then it is disconnected (57P05). Zero: for ever.</summary>
    public TimeSpan IdleTimeout { get; init; }

    /// <summary>A client may do nothing in a transaction for so long; then it is disconnected (25P03). Zero: for ever.</summary>
    public TimeSpan IdleInTransactionTimeout { get; init; }

    /// <summary>A client may take nothing of its answers for so long; then it is disconnected (57014). Zero: for ever.</summary>
    public TimeSpan StallTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>A cancel request may take so long.</summary>
    public TimeSpan CancelTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>A client may take so long to read its last answers.</summary>
    public TimeSpan FarewellTimeout { get; init; } = TimeSpan.FromSeconds(5);
}
