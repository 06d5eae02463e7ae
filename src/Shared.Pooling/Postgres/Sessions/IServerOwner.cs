using Shared.Pooling.Postgres.Origins;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>Where a server connection belongs: the pool. Safe for concurrent use; never called under a connection's gate.</summary>
internal interface IServerOwner
{
    /// <summary>The clock.</summary>
    TimeProvider Time { get; }

    /// <summary>The same object for equal parameters, so that a client who comes to another connection has nothing to compare.</summary>
    ReportedParameters Share(ReportedParameters reported);

    /// <summary>The connection is clean and idle. Who has waited for it goes on within this call.</summary>
    void Released(ServerSession server);

    /// <summary>The connection has ended.</summary>
    void Lost(ServerSession server, string reason);

    /// <summary>Sends a cancel request and waits until the server has taken it.</summary>
    Task CancelAsync(OriginConnection origin, CancellationToken cancellationToken);
}
