using System.Net;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Pooling;

/// <summary>One way of pgbench, or of an application, to the database.</summary>
/// <param name="Name">Short name.</param>
/// <param name="Way">What lies between the client and the database.</param>
/// <param name="Address">Where clients connect.</param>
/// <param name="Pooler">The pooler's process; null when there is none.</param>
/// <param name="SharesStatements">Whether prepared statements work on it in transaction mode.</param>
internal sealed record PoolerContender(string Name, string Way, IPEndPoint Address, WatchedProcess? Pooler, bool SharesStatements = true)
{
    public const string Base = "direct";
}
