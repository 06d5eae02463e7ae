using System.Collections.Concurrent;
using Shared.Pooling.Postgres.Sessions;

namespace Shared.Pooling.Tests.Postgres;

/// <summary>Keeps what happens in pools.</summary>
internal sealed class PoolEvents : IPoolEvents
{
    /// <summary>Why server connections were closed.</summary>
    public ConcurrentQueue<string> Closed { get; } = new();

    /// <summary>Why the origin could not be logged in to.</summary>
    public ConcurrentQueue<string> Failed { get; } = new();

    /// <summary>What nobody expected of the origin.</summary>
    public ConcurrentQueue<Exception> Faults { get; } = new();

    /// <summary>Why clients were not let in.</summary>
    public ConcurrentQueue<string> Refused { get; } = new();

    /// <summary>Why clients that were let in have ended.</summary>
    public ConcurrentQueue<string> Ended { get; } = new();

    /// <summary>Why queries could not be canceled.</summary>
    public ConcurrentQueue<string> CancelsFailed { get; } = new();

    /// <summary>How many server connections were opened.</summary>
    public int Opened => _opened;

    private int _opened;

    public void ClientConnected(string pool, string user, string remote, int id)
    {
    }

    public void ClientEnded(string pool, string user, int id, long requests, TimeSpan duration, string reason) => Ended.Enqueue(reason);

    public void ClientRefused(string remote, string reason, bool isDenied) => Refused.Enqueue(reason);

    public void ServerOpened(string pool, int processId) => Interlocked.Increment(ref _opened);

    public void ServerFailed(string pool, string hop, string reason) => Failed.Enqueue($"{hop}: {reason}");

    public void ServerFault(string pool, Exception exception) => Faults.Enqueue(exception);

    public void ServerClosed(string pool, int processId, string reason) => Closed.Enqueue(reason);

    public void CancelFailed(string pool, int processId, string reason) => CancelsFailed.Enqueue(reason);
}
