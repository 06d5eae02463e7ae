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

    /// <summary>Sends a cancel request when its turn has come, and waits until the server has taken it.</summary>
    /// <param name="origin">The connection on which something runs.</param>
    /// <param name="isStillWanted">Asked just before; nothing is sent when it is not.</param>
    /// <returns>False when the request may still arrive; true when it has, or never will.</returns>
    Task<bool> CancelAsync(OriginConnection origin, Func<bool> isStillWanted);
}
