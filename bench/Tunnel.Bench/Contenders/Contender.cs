using System.Net;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Contenders;

/// <summary>One way to reach the same database and the same raw target.</summary>
/// <param name="Name">Short name, the column of the table and the key in the JSON file.</param>
/// <param name="Way">What lies between the client and the target, for the reader of the table.</param>
/// <param name="Postgres">Where pgbench connects.</param>
/// <param name="Raw">Where the raw TCP measures connect: bulk transfer and idle streams.</param>
/// <param name="Processes">The processes that carry the bytes, without the client, the database and the raw target.</param>
internal sealed record Contender(string Name, string Way, EndPoint Postgres, EndPoint Raw, IReadOnlyList<WatchedProcess> Processes)
{
    public const string Base = "direct TCP";
}
