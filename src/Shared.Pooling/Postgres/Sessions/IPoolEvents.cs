namespace Shared.Pooling.Postgres.Sessions;

/// <summary>What happens in a pool, for the program's log. Safe for concurrent use; must not throw.</summary>
public interface IPoolEvents
{
    /// <summary>A client was let in.</summary>
    void ClientConnected(string pool, string user, string remote, int id);

    /// <summary>A client has left, or had to.</summary>
    void ClientEnded(string pool, string user, int id, long requests, TimeSpan duration, string reason);

    /// <summary>A client was not let in.</summary>
    /// <param name="remote">Where it connects from.</param>
    /// <param name="reason">Why.</param>
    /// <param name="isDenied">True when what it logged in with was not good, false when something else was in the way.</param>
    void ClientRefused(string remote, string reason, bool isDenied);

    /// <summary>A connection to the origin was opened.</summary>
    void ServerOpened(string pool, int processId);

    /// <summary>The origin could not be logged in to.</summary>
    void ServerFailed(string pool, string hop, string reason);

    /// <summary>A connection to the origin could not be opened for a reason that nobody expected.</summary>
    void ServerFault(string pool, Exception exception);

    /// <summary>A connection to the origin has ended.</summary>
    void ServerClosed(string pool, int processId, string reason);

    /// <summary>The origin could not be asked to cancel a query.</summary>
    void CancelFailed(string pool, int processId, string reason);
}
