using System.Runtime.CompilerServices;
using Shared.Pooling.Postgres.Origins;

namespace Shared.Pooling.Postgres;

/// <summary>Tries origins without pooling them.</summary>
public static class OriginReports
{
    /// <summary>Tries one after the other.</summary>
    /// <param name="pools">By name.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async IAsyncEnumerable<OriginReport> RunAsync(
        IReadOnlyDictionary<string, PoolDefinition> pools, TimeProvider time, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var (name, pool) in pools)
        {
            yield return await new OriginCheck(new OriginConnector(pool.Origin, time), time).RunAsync(name, cancellationToken);
        }
    }
}
