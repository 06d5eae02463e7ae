using Tunnel.Bench.Contenders;
using Tunnel.Bench.Processes;

namespace Tunnel.Bench.Pooling;

/// <summary>A pooler's memory while many clients are idle.</summary>
internal sealed record IdleClientMemory(double ResidentKiB, double KiBPerClient);

/// <summary>Resident memory of a pooler with clients that logged in, did one query and keep their connection.</summary>
internal static class IdleClients
{
    // Open before the first reading, so that code, buffers and the pool are already in memory.
    private const int WarmUpClients = 100;
    private const int OpenAtOnce = 16;

    private static readonly TimeSpan Settle = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public static async Task<IdleClientMemory> MeasureAsync(PoolerContender contender, PooledLogin login, int clients, CancellationToken cancellationToken)
    {
        var process = contender.Pooler ?? throw new InvalidOperationException("without a pooler there is nothing to measure");
        var scram = new ScramLogin(login);
        var open = new List<QueryClient>();
        try
        {
            await OpenAsync(open, contender, scram, Math.Min(WarmUpClients, clients), cancellationToken);
            await Task.Delay(Settle, cancellationToken);
            var before = ProcessUsage.ResidentKiB(process);
            var opened = open.Count;
            await OpenAsync(open, contender, scram, clients - opened, cancellationToken);
            await Task.Delay(Settle, cancellationToken);
            var after = ProcessUsage.ResidentKiB(process);
            return new IdleClientMemory(after, (after - before) / (clients - opened));
        }
        finally
        {
            open.ForEach(client => client.Dispose());
        }
    }

    private static async Task OpenAsync(List<QueryClient> open, PoolerContender contender, ScramLogin scram, int count, CancellationToken cancellationToken)
    {
        foreach (var batch in Enumerable.Range(0, count).Chunk(OpenAtOnce))
        {
            open.AddRange(await Task.WhenAll(batch.Select(_ => OpenOneAsync(contender, scram, cancellationToken))));
        }
    }

    private static async Task<QueryClient> OpenOneAsync(PoolerContender contender, ScramLogin scram, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Patience);
        return await QueryClient.OpenAsync(contender.Address, scram, Database.Name, limit.Token);
    }
}
