using Microsoft.Extensions.Logging;
using Shared.Pooling.Postgres.Sessions;

namespace Shared.Pooling.Hosting;

/// <summary>Writes what happens in pools to the log. Safe for concurrent use.</summary>
public sealed class PoolEventLog(ILogger logger) : IPoolEvents
{
    public void ClientConnected(string pool, string user, string remote, int id) => logger.ClientConnected(pool, user, remote, id);

    public void ClientEnded(string pool, string user, int id, long requests, TimeSpan duration, string reason) =>
        logger.ClientEnded(pool, user, id, requests, (long)duration.TotalMilliseconds, reason);

    public void ClientRefused(string remote, string reason, bool isDenied) => logger.ClientRefused(remote, reason);

    public void ServerOpened(string pool, int processId) => logger.ServerOpened(pool, processId);

    public void ServerFailed(string pool, string hop, string reason) => logger.ServerFailed(pool, hop, reason);

    public void ServerFault(string pool, Exception exception) => logger.ServerFault(exception, pool);

    public void ServerClosed(string pool, int processId, string reason) => logger.ServerClosed(pool, processId, reason);

    public void CancelFailed(string pool, int processId, string reason) => logger.CancelFailed(pool, processId, reason);
}
