using Shared.Pooling.Postgres.Origins;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>Where a server connection belongs: the pool. Safe for concurrent use; never called under a connection's gate.</summary>
internal interface IServerOwner
{
    /// <summary>The clock.</summary>
    TimeProvider Time { get; }

    /// <summary>The connection is clean and idle.</summary>
    void Released(ServerSession server);

    /// <summary>The connection has ended.</summary>
    void Lost(ServerSession server, string reason);

    /// <summary>Sends a cancel request and waits until the server has taken it.</summary>
    Task CancelAsync(OriginConnection origin, CancellationToken cancellationToken);
}
