namespace Shared.Pooling.Pools;

/// <summary>Somebody who waits for a connection: gets exactly one connection or one reason.</summary>
internal sealed class PoolWaiter<TConnection>(long since) : IDisposable
{
    private readonly TaskCompletionSource<TConnection> _result = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private CancellationTokenRegistration _cancellation;
    private ITimer? _timer;

    /// <summary>Since when, as a timestamp of the clock.</summary>
    public long Since { get; } = since;

    /// <summary>The connection to be.</summary>
    public Task<TConnection> Result => _result.Task;

    /// <summary>True once it has its connection or its reason.</summary>
    public bool IsOver => _result.Task.IsCompleted;

    /// <summary>Limits the wait.</summary>
    public void Limit(TimeProvider time, TimeSpan timeout, Action<PoolWaiter<TConnection>> onTimeout, Action<PoolWaiter<TConnection>, CancellationToken> onCancelled, CancellationToken cancellationToken)
    {
        _timer = time.CreateTimer(_ => onTimeout(this), null, timeout, Timeout.InfiniteTimeSpan);
        _cancellation = cancellationToken.UnsafeRegister((_, token) => onCancelled(this, token), null);
    }

    /// <returns>False when it does not wait any more; the connection stays with the caller.</returns>
    public bool TryServe(TConnection connection) => _result.TrySetResult(connection);

    public bool TryFail(Exception reason) => _result.TrySetException(reason);

    public bool TryCancel(CancellationToken token) => _result.TrySetCanceled(token);

    /// <inheritdoc/>
    public void Dispose()
    {
        _timer?.Dispose();
        _cancellation.Dispose();
    }
}
