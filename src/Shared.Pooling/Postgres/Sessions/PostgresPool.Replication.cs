using Shared.Pooling.Postgres.Origins;
using Shared.Pooling.Postgres.Protocol;

namespace Shared.Pooling.Postgres.Sessions;

// Connections for clients that replicate: each client has one of its own, which counts as any other where all pools are limited together.
internal sealed partial class PostgresPool
{
    private int _replications;

    /// <summary>Opens a connection for a client that replicates; as many as the pool may have.</summary>
    /// <exception cref="ServerUnavailableException">There is none.</exception>
    public async Task<OriginConnection> OpenReplicationAsync(IReadOnlyList<KeyValuePair<string, string>> parameters, CancellationToken cancellationToken)
    {
        var isCounted = false;
        try
        {
            if (Interlocked.Increment(ref _replications) > Options.Connections.Max)
            {
                throw Unavailable("the pool has its limit of replication connections; raise Max");
            }

            await CountAsync(cancellationToken);
            isCounted = true;
            return await _connector.ConnectAsync(parameters, cancellationToken);
        }
        catch (OriginException exception)
        {
            GiveBack(isCounted);
            throw new ServerUnavailableException(Explain(exception));
        }
        catch
        {
            GiveBack(isCounted);
            throw;
        }
    }

    /// <summary>Closes it.</summary>
    public async ValueTask CloseReplicationAsync(OriginConnection origin)
    {
        await origin.DisposeAsync();
        origin.Reader.Dispose();
        GiveBack(isCounted: true);
    }

    private static ServerUnavailableException Unavailable(string message) => new(PostgresError.Error(SqlState.TooManyConnections, message));

    private async Task CountAsync(CancellationToken cancellationToken)
    {
        if (_budget is null)
        {
            return;
        }

        using var patience = new CancellationTokenSource(Options.Connections.WaitTimeout, Time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        try
        {
            await _budget.TakeAsync(Time, limit.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw Unavailable("all pools together have their limit of connections; raise MaxConnections, or find what holds the connections");
        }
    }

    private void GiveBack(bool isCounted)
    {
        Interlocked.Decrement(ref _replications);
        if (isCounted)
        {
            _budget?.Give();
        }
    }
}
