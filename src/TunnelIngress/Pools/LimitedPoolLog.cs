using Shared.Hosting.Logging;
using Shared.Pooling.Postgres.Sessions;
using Shared.Streams.Sockets;
using TunnelIngress.Access;
using TunnelIngress.Applications;

namespace TunnelIngress.Pools;

/// <summary>
/// The log of pools that strangers can reach: what they bring about is written only so often, and tokens that are refused count as they do elsewhere.
/// Safe for concurrent use.
/// </summary>
internal sealed class LimitedPoolLog(IPoolEvents log, AccessCheck access, TimeProvider time, ILogger logger) : IPoolEvents
{
    private readonly LineLimit _lines = new(AccessCheck.LogLinesPerSecond, TimeSpan.FromSeconds(1), time, logger.ClientRefusalsNotLogged);

    public void ClientConnected(string pool, string user, string remote, int id) => log.ClientConnected(pool, user, remote, id);

    public void ClientEnded(string pool, string user, int id, long requests, TimeSpan duration, string reason) =>
        log.ClientEnded(pool, user, id, requests, duration, reason);

    public void ClientRefused(string remote, string reason, bool isDenied)
    {
        if (isDenied)
        {
            access.CountRefusal(RemoteNetwork.AddressOf(remote));
        }

        if (_lines.MayWrite())
        {
            log.ClientRefused(remote, reason, isDenied);
        }
    }

    public void ServerOpened(string pool, int processId) => log.ServerOpened(pool, processId);

    public void ServerFailed(string pool, string hop, string reason) => log.ServerFailed(pool, hop, reason);

    public void ServerFault(string pool, Exception exception) => log.ServerFault(pool, exception);

    public void ServerClosed(string pool, int processId, string reason) => log.ServerClosed(pool, processId, reason);

    public void CancelFailed(string pool, int processId, string reason) => log.CancelFailed(pool, processId, reason);
}
