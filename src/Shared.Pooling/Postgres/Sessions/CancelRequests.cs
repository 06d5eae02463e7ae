using System.Diagnostics.CodeAnalysis;
using Shared.Pooling.Postgres.Origins;

namespace Shared.Pooling.Postgres.Sessions;

/// <summary>
/// Sends a pool's requests to cancel. Each takes a connection to the database, beside those that the pool may have: so few are on their way at
/// once, others wait for their turn, and one whose turn does not come in time is dropped. Safe for concurrent use.
/// </summary>
/// <param name="pool">Whose they are.</param>
/// <param name="events">The log.</param>
[SuppressMessage("Design", "CA1001", Justification = "The semaphore holds nothing without its wait handle, and a request may outlive the pool.")]
internal sealed class CancelRequests(PostgresPool pool, IPoolEvents events)
{
    /// <summary>So many are on their way at once.</summary>
    public const int MostAtOnce = 8;

    private readonly SemaphoreSlim _turns = new(MostAtOnce);

    /// <inheritdoc cref="IServerOwner.CancelAsync"/>
    public async Task<bool> SendAsync(OriginConnection origin, Func<bool> isStillWanted)
    {
        if (!await WaitAsync())
        {
            events.CancelFailed(pool.Name, origin.ProcessId, $"{MostAtOnce} other requests to cancel were on their way for too long");
            return true;
        }

        try
        {
            return !isStillWanted() || await SendNowAsync(origin);
        }
        finally
        {
            _turns.Release();
        }
    }

    private async Task<bool> WaitAsync()
    {
        using var patience = new CancellationTokenSource(pool.Options.CancelTimeout, pool.Time);
        try
        {
            await _turns.WaitAsync(patience.Token);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private async Task<bool> SendNowAsync(OriginConnection origin)
    {
        using var patience = new CancellationTokenSource(pool.Options.CancelTimeout, pool.Time);
        try
        {
            if (await origin.Connector.CancelAsync(origin, patience.Token) is not { } doubt)
            {
                return true;
            }

            events.CancelFailed(pool.Name, origin.ProcessId, $"it is not known whether the request has arrived: {doubt}");
            return false;
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException)
        {
            events.CancelFailed(pool.Name, origin.ProcessId, exception.Message);
            return true;
        }
    }
}
